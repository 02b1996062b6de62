from __future__ import annotations

import pytest

from tests.support.evaluations import example_evaluation, example_serving
from training.evaluation.page.report import assemble
from training.evaluation.requirements import (
    Target,
    interval_of,
    judged,
    knowing,
    metric_of,
    requirements_met,
    shipped_name,
)
from training.quality.schema import ProtocolQuality, Quality, Words


@pytest.fixture
def quality() -> Quality:
    return assemble(example_evaluation(), example_serving())


@pytest.mark.parametrize(
    ("words", "just_met", "just_missed"),
    [
        ("at least", 1.0, 0.99),
        ("above", 1.01, 1.0),
        ("at most", 1.0, 1.01),
        ("under", 0.99, 1.0),
    ],
)
def test_a_bound_holds_up_to_itself_or_not_as_its_words_say(
    words: Words, just_met: float, just_missed: float
) -> None:
    def met(reached: float) -> bool:
        [verdict] = judged([Target("f", "a figure", words, 1.0, reached, "m")])
        return verdict.met

    assert met(just_met)
    assert not met(just_missed)


def test_what_a_request_of_the_compressed_student_costs_is_judged_once(quality: Quality) -> None:
    rows = requirements_met(quality)
    assert [(row.figure, row.model, row.protocol) for row in rows] == [
        ("latency_p99_ms", "student_shipped", None),
        ("cost_per_request_usd", "student_shipped", None),
    ]
    assert rows[0].reached == quality.serving["student_shipped"].latency_p99_ms


@pytest.mark.parametrize(
    "measured", [("student", "student_shipped"), ("student", "student_tuned"), ("student",)]
)
def test_where_no_student_ships_the_one_that_was_taught_is_judged(measured: tuple[str, ...]) -> None:
    split = example_evaluation().protocols["next_basket"].split
    protocol = ProtocolQuality({name: {} for name in measured}, split, {})
    assert shipped_name(Quality(protocols={"next_basket": protocol})) == measured[-1]


def test_a_figure_that_was_not_measured_has_no_verdict() -> None:
    assert judged([Target("f", "a figure", "above", 0.0, None, "m")]) == []


def test_what_was_measured_is_found_and_what_was_not_is_none(quality: Quality) -> None:
    models = quality.protocols["next_basket"].models
    assert metric_of(quality, "next_basket", "als", "auc") == models["als"]["auc"]
    assert interval_of(quality, "next_basket", "ensemble_minus_als", "ndcg@10") == (0.048, 0.068)
    assert knowing(quality, 2, "popular", "ndcg@10") == 0.2
    for nothing in (
        metric_of(quality, "published", "als", "auc"),
        metric_of(quality, "next_basket", "als", "mrr"),
        interval_of(quality, "next_basket", "als_minus_ease", "ndcg@10"),
        knowing(quality, 3, "popular", "ndcg@10"),
        knowing(Quality(), 2, "popular", "ndcg@10"),
    ):
        assert nothing is None
