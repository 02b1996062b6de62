"""Models measured in processes of their own, and how they compare."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from msgspec.structs import asdict

from models.repeats import RepeatModel
from tests.support.blocks import block_dataset
from tests.support.students import random_histories, random_student
from training.base.runs import Run
from training.data.split import split_by_time
from training.ensemble.ensemble import Ensemble
from training.ensemble.item_timeline import ItemTimeline
from training.ensemble.stacking import Stacking
from training.evaluation.benchmark import Load, benchmark_model, machine
from training.members.popularity import Popularity
from training.quality.schema import Quality
from training.student.export import export_student
from training.student.files import save_student

LOAD = Load(n_requests=40, n_batches=5)


def popular_ensemble() -> Ensemble:
    """Popularity alone, stacked on labels by chance."""
    past = split_by_time(block_dataset(), validation_share=0.2, test_share=0.2).past
    unfitted = Ensemble(
        [Popularity().fit(past, seed=0)], RepeatModel.unlearned(ItemTimeline.of(past)), Stacking()
    )
    features = np.concatenate(list(unfitted.describe(list(past.histories)[:10])))  # (n_pairs, n_features)
    labels = np.arange(len(features)) % 2 == 0
    strategy = Stacking().fit(features, labels, np.arange(len(features)), seed=0)
    return replace(unfitted, strategy=strategy)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run with a random student in it, and an ensemble of popularity alone."""
    run = Run.create(tmp_path_factory.mktemp("runs"))
    histories = random_histories(8)
    save_student(export_student(random_student(), histories)["int8"], run.student("student_shipped"))
    popular_ensemble().save(run.ensemble)
    run.keep_histories([history for history in histories if history.item_indices.max() < 60])
    run.write(Quality())
    return run


@pytest.mark.parametrize("model", ["student_shipped", "ensemble"])
def test_a_model_is_measured_in_a_process_of_its_own(run: Run, model: str) -> None:
    figures = benchmark_model(run, model, LOAD, price_per_vcpu_hour=36.0)
    assert all(value > 0 for value in asdict(figures).values())
    assert figures.latency_p50_ms <= figures.latency_p99_ms
    assert figures.latency_batch16_p50_ms <= figures.latency_batch16_p99_ms
    assert figures.model_memory_bytes < figures.peak_memory_bytes


def test_size_is_of_all_that_answering_reads(run: Run) -> None:
    on_disk = [file.stat().st_size for file in run.ensemble.iterdir()]
    assert benchmark_model(run, "ensemble", LOAD, price_per_vcpu_hour=1.0).size_bytes == sum(on_disk)


def test_a_request_costs_its_cpu_time(run: Run) -> None:
    figures = benchmark_model(run, "student_shipped", LOAD, price_per_vcpu_hour=36.0)
    assert figures.cost_per_request_usd == pytest.approx(figures.cpu_seconds_per_request * 0.01)


def test_the_machine_has_a_processor() -> None:
    assert int(machine().cores) >= 1
