"""Bounds of any shop against its own baselines, and those that were promised for UCI Online Retail."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from tests.support.evaluations import example_data, example_evaluation, example_serving
from tests.support.example_studies import spread
from training.evaluation.page.render import render
from training.evaluation.page.report import assemble
from training.evaluation.targets import promises_met, targets_met
from training.quality.schema import Explanations, Quality, Verdict

Judge = Callable[[Quality], list[Verdict]]


@pytest.fixture
def quality() -> Quality:
    """Of a run on UCI Online Retail."""
    return assemble(example_evaluation(), example_serving())


@pytest.fixture
def other_shop() -> Quality:
    evaluation, data = example_evaluation(), example_data()
    evaluation.data = replace(data, source="online_retail.csv.gz", last_event=data.last_event + 1)
    return assemble(evaluation, example_serving())


def row(judge: Judge, quality: Quality, meaning: str, protocol: str | None = None) -> Verdict:
    (found,) = [row for row in judge(quality) if row.meaning == meaning and row.protocol == protocol]
    return found


def test_a_shop_is_not_held_against_what_was_promised_for_another(other_shop: Quality) -> None:
    assert other_shop.promises == []
    assert {row.bound for row in other_shop.targets or []} == {0.0, 0.95, 1.0, 2.0}
    page = render(other_shop)
    assert "This is another shop" in page
    assert "As promised for UCI Online Retail" not in page


def test_every_comparison_with_the_ensemble_ends_with_its_unit(quality: Quality) -> None:
    said = {row.meaning for row in (*targets_met(quality), *promises_met(quality))}
    assert "times faster than the ensemble, p50" in said
    assert not [meaning for meaning in said if ", p50 than" in meaning]


def test_online_retail_is_known_by_its_content_and_held_against_what_was_promised(quality: Quality) -> None:
    quality.data = replace(example_data(), source="a-shop.csv")
    assert {row.bound for row in promises_met(quality)} > {0.85, 0.86, 0.93, 0.58, 0.98, 25.0}
    page = render(quality)
    assert "This is UCI Online Retail" in page
    assert "As promised for UCI Online Retail" in page


@pytest.mark.parametrize("change", [{"first_event": 0}, {"n_people": 4_900}, {"n_items": 0}])
def test_data_that_is_not_online_retail_is_not_taken_for_it(quality: Quality, change: dict[str, int]) -> None:
    quality.data = replace(example_data(), **change)
    assert promises_met(quality) == []


def test_a_target_may_be_a_ratio(quality: Quality) -> None:
    models = quality.protocols["leave_last_out"].models
    found = row(targets_met, quality, "share of the ensemble's NDCG@10 kept", "leave_last_out")
    assert found.reached == pytest.approx(
        models["student_shipped"]["ndcg@10"] / models["ensemble"]["ndcg@10"]
    )
    assert found.met


def test_a_target_may_be_a_difference_in_points(quality: Quality) -> None:
    models = quality.protocols["next_basket"].models
    models["student_shipped"]["accuracy"] = models["ensemble"]["accuracy"] - 0.0071
    of_any, promised = (
        row(judge, quality, "points of accuracy lost against the ensemble", "next_basket")
        for judge in (targets_met, promises_met)
    )
    assert of_any.reached == promised.reached == pytest.approx(0.71)
    assert of_any.met
    assert not promised.met


def test_an_ensemble_of_any_shop_may_not_be_shown_worse_than_its_best_member(quality: Quality) -> None:
    leads = quality.intervals["next_basket"]["ensemble_minus_best_member"]
    meaning = "lead over the best member in NDCG@10, upper end"
    leads["ndcg@10"] = (-0.02, 0.01)
    assert row(targets_met, quality, meaning, "next_basket").met
    leads["ndcg@10"] = (-0.02, -0.01)
    assert not row(targets_met, quality, meaning, "next_basket").met


def test_the_promised_lead_is_judged_by_the_lower_end_of_its_interval(quality: Quality) -> None:
    lead = "lead over the best member in NDCG@10, lower end"
    quality.intervals["next_basket"]["ensemble_minus_best_member"]["ndcg@10"] = (0.0, 0.1)
    assert not row(promises_met, quality, lead, "next_basket").met
    assert row(promises_met, quality, lead, "leave_last_out").met


def test_what_ships_must_beat_the_charts_of_its_shop(quality: Quality) -> None:
    meaning = "lead over the most popular items in NDCG@20, lower end"
    assert row(targets_met, quality, meaning, "next_basket").met
    quality.intervals["next_basket"]["student_shipped_minus_popular"]["catalogue_ndcg@20"] = (-0.01, 0.1)
    assert not row(targets_met, quality, meaning, "next_basket").met


def test_absolute_quality_is_required_under_leave_last_out_only(quality: Quality) -> None:
    protocols = {row.protocol for row in promises_met(quality) if row.meaning == "AUC on balanced pairs"}
    assert protocols == {"leave_last_out"}


def test_what_was_not_measured_has_no_verdict(quality: Quality) -> None:
    quality.cold_start = quality.explanations = None
    quality.retention, quality.intervals, quality.ratios = {}, {}, {}
    assert {row.meaning for row in targets_met(quality)} == {
        "share of the ensemble's NDCG@10 kept",
        "share of the ensemble's NDCG@20 kept",
        "points of accuracy lost against the ensemble",
    }


def test_items_without_texts_cannot_be_known_by_them(quality: Quality) -> None:
    lead = "lead over chance in NDCG@10 among items known by their text alone, lower end"
    assert row(targets_met, quality, lead).met
    quality.data = replace(example_data(), n_items_with_text=0)
    assert lead not in {row.meaning for row in targets_met(quality)}


def test_new_items_are_judged_by_the_lower_end_of_the_lead(quality: Quality) -> None:
    lead = "lead over popularity in NDCG@10 among items known by their text alone, lower end"
    assert row(promises_met, quality, lead).figure == "ndcg@10"
    assert quality.cold_start is not None
    assert quality.cold_start.items is not None
    quality.cold_start.items.differences["student_text_minus_popular"]["ndcg@10"] = spread(0.007)
    assert not row(promises_met, quality, lead).met


def test_cold_start_is_judged_of_what_ships(quality: Quality) -> None:
    assert quality.cold_start is not None
    assert quality.cold_start.people is not None
    people = quality.cold_start.people.models
    ours = people["student_shipped"]
    ours["2"] = replace(ours["2"], ndcg=0.59 * ours["20"].ndcg)
    found = row(promises_met, quality, "NDCG@10 after two events, share of that after twenty")
    assert (found.model, found.met) == ("student_shipped", False)
    assert found.reached == pytest.approx(0.59)
    lead = "lead over the most popular items in NDCG@10 after two events"
    ours["2"] = replace(ours["2"], ndcg=people["popular"]["2"].ndcg - 0.01)
    assert not row(targets_met, quality, lead).met


def test_explanations_of_any_shop_must_beat_a_wrong_explanation(quality: Quality) -> None:
    meaning = "explanations that pass the removal test, beside those of another item"
    quality.explanations = Explanations(removal_pass_rate=0.6, control_pass_rate=0.5)
    assert row(targets_met, quality, meaning).met
    assert not row(promises_met, quality, "share of explanations that pass the removal test").met
    quality.explanations = Explanations(removal_pass_rate=0.6, control_pass_rate=0.6)
    assert not row(targets_met, quality, meaning).met
