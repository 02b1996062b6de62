from __future__ import annotations

import pytest

from tests.support.evaluations import example_evaluation, example_serving
from training.evaluation.page.report import assemble
from training.evaluation.requirements import (
    Quality,
    Target,
    Words,
    figure_at,
    requirements_met,
    shipped_name,
    verdict,
)


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
        return bool(verdict("f", "a figure", words, 1.0, reached, model="m", protocol=None)["met"])

    assert met(just_met)
    assert not met(just_missed)


def test_what_a_request_of_the_compressed_student_costs_is_judged_once(quality: Quality) -> None:
    rows = requirements_met(quality)
    assert [(row["figure"], row["model"], row["protocol"]) for row in rows] == [
        ("latency_p99_ms", "student_shipped", None),
        ("cost_per_request_usd", "student_shipped", None),
    ]
    assert rows[0]["reached"] == quality["serving"]["student_shipped"]["latency_p99_ms"]


@pytest.mark.parametrize(
    "measured", [("student", "student_shipped"), ("student", "student_tuned"), ("student",)]
)
def test_where_no_student_ships_the_one_that_was_taught_is_judged(measured: tuple[str, ...]) -> None:
    quality: Quality = {"protocols": {"next_basket": {"models": {name: {} for name in measured}}}}
    assert shipped_name(quality) == measured[-1]


def test_a_ratio_to_nothing_has_no_verdict() -> None:
    target = Target("a ratio", "above", 0.0, "m", None, "a", over="b")
    assert target.reached({"a": 1.0, "b": 0.0}) is None
    assert target.reached({"a": 1.0, "b": 4.0}) == 0.25


def test_a_path_leads_through_keys_and_positions() -> None:
    quality = {"intervals": {"x@10": [0.25, 0.5]}}
    assert figure_at(quality, "intervals/x@10/1") == 0.5
    assert figure_at(quality, "intervals/x@10/2") is None
    assert figure_at(quality, "intervals/y/0") is None
