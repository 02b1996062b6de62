from __future__ import annotations

import pytest

from tests.support.evaluations import example_evaluation, example_serving
from training.evaluation.report import assemble
from training.evaluation.requirements import (
    Quality,
    Target,
    Words,
    figure_at,
    requirements_met,
    shipped_name,
    targets_met,
    verdict,
)


@pytest.fixture
def quality() -> Quality:
    return assemble(example_evaluation(), example_serving())


def row(quality: Quality, meaning: str, protocol: str | None = None) -> Quality:
    (found,) = [
        row for row in targets_met(quality) if row["meaning"] == meaning and row["protocol"] == protocol
    ]
    return found


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


def test_accuracy_is_judged_under_each_protocol_and_what_a_request_costs_once(quality: Quality) -> None:
    assert [(row["figure"], row["protocol"]) for row in requirements_met(quality)] == [
        ("accuracy", "next_basket"),
        ("accuracy", "leave_last_out"),
        ("latency_p99_ms", None),
        ("cost_per_request_usd", None),
    ]


def test_the_shipped_student_is_the_one_judged(quality: Quality) -> None:
    accuracy = requirements_met(quality)[1]
    shipped = quality["protocols"]["leave_last_out"]["models"]["student_shipped"]
    assert accuracy["model"] == "student_shipped"
    assert accuracy["reached"] == shipped["accuracy"]


@pytest.mark.parametrize("measured", [("student", "student_shipped"), ("student",)])
def test_where_no_student_ships_the_one_that_was_taught_is_judged(measured: tuple[str, ...]) -> None:
    quality: Quality = {"protocols": {"next_basket": {"models": {name: {} for name in measured}}}}
    assert shipped_name(quality) == measured[-1]


def test_a_target_may_be_a_ratio(quality: Quality) -> None:
    models = quality["protocols"]["leave_last_out"]["models"]
    found = row(quality, "share of the ensemble's NDCG@10 kept", "leave_last_out")
    assert found["reached"] == pytest.approx(
        models["student_shipped"]["ndcg@10"] / models["ensemble"]["ndcg@10"]
    )
    assert found["met"]


def test_a_target_may_be_a_difference_in_points(quality: Quality) -> None:
    models = quality["protocols"]["next_basket"]["models"]
    models["student_shipped"]["accuracy"] = models["ensemble"]["accuracy"] - 0.0071
    found = row(quality, "points of accuracy lost against the ensemble", "next_basket")
    assert found["reached"] == pytest.approx(0.71)
    assert not found["met"]


def test_the_lead_over_members_is_judged_by_the_lower_end_of_its_interval(quality: Quality) -> None:
    lead = "lead over the best member in NDCG@10, lower end"
    quality["intervals"]["next_basket"]["ensemble_minus_best_member"]["ndcg@10"] = [0.0, 0.1]
    assert not row(quality, lead, "next_basket")["met"]
    assert row(quality, lead, "leave_last_out")["met"]


def test_absolute_quality_is_asked_under_leave_last_out_only(quality: Quality) -> None:
    asked = {row["protocol"] for row in targets_met(quality) if row["meaning"] == "AUC on balanced pairs"}
    assert asked == {"leave_last_out"}


def test_what_was_not_measured_has_no_verdict(quality: Quality) -> None:
    for part in ("cold_start", "explanations", "retention", "intervals", "ratios"):
        del quality[part]
    assert {row["meaning"] for row in targets_met(quality)} == {
        "NDCG@10",
        "accuracy on balanced pairs",
        "AUC on balanced pairs",
        "share of the ensemble's NDCG@10 kept",
        "share of the ensemble's NDCG@20 kept",
        "points of accuracy lost against the ensemble",
    }


def test_a_ratio_to_nothing_has_no_verdict() -> None:
    target = Target("a ratio", "above", 0.0, "m", None, "a", over="b")
    assert target.reached({"a": 1.0, "b": 0.0}) is None
    assert target.reached({"a": 1.0, "b": 4.0}) == 0.25


def test_a_path_leads_through_keys_and_positions() -> None:
    quality = {"intervals": {"x@10": [0.25, 0.5]}}
    assert figure_at(quality, "intervals/x@10/1") == 0.5
    assert figure_at(quality, "intervals/x@10/2") is None
    assert figure_at(quality, "intervals/y/0") is None


def test_new_items_are_judged_by_the_lower_end_of_the_lead(quality: Quality) -> None:
    lead = "lead over popularity in NDCG@10 among items known by their text alone, lower end"
    assert row(quality, lead)["figure"] == "ndcg@10"
    quality["cold_start"]["items"]["differences"]["student_text_minus_popular"]["ndcg@10"]["low"] = -0.001
    assert not row(quality, lead)["met"]


def test_cold_start_is_judged_of_what_ships(quality: Quality) -> None:
    people = quality["cold_start"]["people"]["models"]["student_shipped"]
    people["2"]["ndcg@10"] = 0.59 * people["20"]["ndcg@10"]
    found = row(quality, "NDCG@10 after two events, share of that after twenty")
    assert (found["model"], found["met"]) == ("student_shipped", False)
    assert found["reached"] == pytest.approx(0.59)
