"""The file's side of the schema: what is written, what is left out, and what earlier runs may lack."""

from __future__ import annotations

import json

import pytest

from tests.support.evaluations import example_evaluation, example_serving
from training.evaluation.page.render import render
from training.evaluation.page.report import assemble
from training.quality.schema import Quality, Recipe


def test_what_is_written_is_read_back_as_the_same() -> None:
    quality = assemble(example_evaluation(), example_serving())
    assert Quality.from_json(quality.to_json()) == quality


def test_metrics_have_their_own_names_in_the_file() -> None:
    written = json.loads(example_evaluation().to_json())
    assert {"ndcg@10", "catalogue_ndcg@20"} <= set(written["leave_one_out"]["next_basket"]["als"])
    assert set(written["protocols"]["next_basket"]["segments"]["popular"]["person"]["new"]) == {
        "n",
        "ndcg@10",
        "catalogue_ndcg@20",
    }


def test_a_part_that_was_not_measured_is_left_out_and_an_empty_verdict_is_not() -> None:
    assert json.loads(Quality(promises=[]).to_json()) == {"promises": []}


def test_what_is_none_although_it_was_measured_is_null() -> None:
    strategies = example_evaluation().strategies
    written = json.loads(Quality(strategies=strategies).to_json())["strategies"]["next_basket"]
    assert written["margin"] == 0.002
    without = Quality.from_json(json.dumps({"strategies": {"next_basket": written | {"margin": None}}}))
    assert json.loads(without.to_json())["strategies"]["next_basket"]["margin"] is None


@pytest.mark.parametrize("figure", [float("inf"), 1e-05, 3.0])
def test_figures_are_written_as_json_of_the_standard_library_does(figure: float) -> None:
    assert Quality(ratios={"size": figure}).to_json() == json.dumps({"ratios": {"size": figure}}, indent=1)


def test_a_run_of_an_earlier_release_has_a_page() -> None:
    written = json.loads(example_evaluation().to_json())
    later = [written["data"].pop(field) for field in ("columns", "n_items_with_text")]
    assert all([*later, written.pop("recipe"), written["stages"].pop("cpu_seconds")])
    assert "Quality on the test slice" in render(Quality.from_json(json.dumps(written)))


def test_what_a_later_release_adds_is_passed_over() -> None:
    recipe = {"is_tuned": False, "members": ["als"], "beside": [], "new": 1}
    assert Quality.from_json(json.dumps({"recipe": recipe, "other": {}})).recipe == Recipe(False, ["als"], [])
