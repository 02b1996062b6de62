from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from rich.console import Console

from tests.support.evaluations import example_data, example_evaluation, example_serving
from tests.support.simulations import example_study
from training.base.errors import RunMissing
from training.base.runs import Run
from training.evaluation.page import report
from training.evaluation.page.render import render
from training.evaluation.page.report import assemble, ratios, simulated, summarised, write_report
from training.quality.figures import to_json
from training.quality.schema import Quality
from training.quality.simulated import ExperimentsStudy


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A finished run with the example's figures; timing its models takes no time."""
    monkeypatch.setattr(report, "benchmark", lambda run, *, price_per_vcpu_hour, console: example_serving())
    folder = tmp_path / "runs" / "20260301T101500Z"
    folder.mkdir(parents=True)
    Run(folder).write(example_evaluation())
    return Run.open(folder)


def test_both_files_are_written_and_the_page_is_made_from_the_json_alone(run: Run, tmp_path: Path) -> None:
    paths = write_report(run, tmp_path / "out", price_per_vcpu_hour=0.07, console=Console(quiet=True))
    assert [path.name for path in paths] == ["quality.json", "quality.html"]
    quality = Quality.from_json(paths[0].read_text())
    assert paths[1].read_text() == render(quality)
    assert (quality.run, quality.price_per_vcpu_hour_usd) == ("20260301T101500Z", 0.07)


def test_the_json_holds_every_part_that_was_measured(run: Run, tmp_path: Path) -> None:
    json_path, _ = write_report(run, tmp_path, price_per_vcpu_hour=0.05, console=Console(quiet=True))
    quality, evaluation = json.loads(json_path.read_text()), json.loads(example_evaluation().to_json())
    for part in set(evaluation) - {"data"}:
        assert quality[part] == evaluation[part]
    assert quality["schema_version"] == 1
    assert quality["serving"] == msgspec.to_builtins(example_serving())


def test_a_run_that_is_not_finished_has_no_report(tmp_path: Path) -> None:
    with pytest.raises(RunMissing):
        write_report(Run.open(tmp_path), tmp_path, price_per_vcpu_hour=0.05, console=Console(quiet=True))


def test_a_run_of_another_form_is_refused_by_what_is_wrong_in_it(run: Run) -> None:
    (run.folder / "evaluation.json").write_text('{"recipe": {"is_tuned": "no"}}')
    with pytest.raises(RunMissing, match=r"evaluation\.json is not of this release .*is_tuned.*train again"):
        run.evaluation()


def test_a_part_that_was_not_measured_is_not_in_the_json_either() -> None:
    evaluation = example_evaluation()
    evaluation.cold_start = None
    assert "cold_start" not in json.loads(assemble(evaluation, example_serving()).to_json())


def test_ratios_say_how_many_times_less_the_shipped_student_needs() -> None:
    found = ratios(assemble(example_evaluation(), example_serving()))
    assert found["size"] == pytest.approx(40.0)
    assert found["latency"] == pytest.approx(20.0)
    assert found["model_memory"] == pytest.approx(40.0)
    assert found["peak_memory"] == pytest.approx((61 + 360) / 70)


def test_points_of_accuracy_are_those_of_the_protocol_that_loses_most() -> None:
    evaluation = example_evaluation()
    for protocol, accuracy in (("next_basket", 0.81), ("leave_last_out", 0.84)):
        models = evaluation.protocols[protocol].models
        models["ensemble"]["accuracy"], models["student_shipped"]["accuracy"] = 0.85, accuracy
    assert assemble(evaluation, example_serving()).ratios["accuracy_points"] == pytest.approx(4.0)


def test_a_model_that_was_not_timed_has_no_ratio() -> None:
    serving = example_serving()
    del serving["ensemble"]
    assert set(assemble(example_evaluation(), serving).ratios) == {"accuracy_points"}


def test_long_lists_of_the_data_become_distributions() -> None:
    data = replace(example_data(), history_lengths=[3, 1, 3, 20], item_counts=[5, 80, 10, 5])
    assert summarised(data) == replace(
        data,
        history_lengths=None,
        item_counts=None,
        people_by_history_length={"1": 1, "3": 2, "20": 1},
        event_share_of_top_items={"0.01": 0.8, "0.05": 0.8, "0.1": 0.8, "0.2": 0.8, "0.5": 0.9},
    )


def test_what_was_simulated_beside_the_run_is_part_of_the_report(tmp_path: Path) -> None:
    file = tmp_path / "experiments.json"
    assert simulated(file, ExperimentsStudy) is None
    file.write_text(to_json(example_study()))
    assert simulated(file, ExperimentsStudy) == example_study()
