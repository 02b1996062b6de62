"""The whole step on a small student: a curve, versions of what holds, and one that ships."""

from __future__ import annotations

import pytest
import torch

from models.student import Student
from tests.support.students import N_ITEMS, questions_answered_by, random_histories, random_student
from training.base.callback import no_progress
from training.metrics.protocols import draw_candidates
from training.student.certification import CertificationSettings
from training.student.compression import CompressedStudent, compress_student
from training.student.pruning import PruningSettings, Widths
from training.student.tower import StudentModel

CURVE = PruningSettings(n_points=2, max_sparsity=0.5, max_neighbour_sparsity=0.5, n_examples=50)
EIGHT_BITS = ("int8_tables", "int8_dynamic", "int8_static")


def student_with_idle_parts() -> StudentModel:
    """Half of its heads, hidden units and neighbours say nothing, so half can go for nothing."""
    model = random_student()
    with torch.no_grad():
        model.user_tower.output.weight[:, ::2] = 0.0
        for layer in (model.user_tower.hidden, model.user_tower.residual):
            layer.weight[:, :16] = 0.0  # two heads of eight factors
        model.cooccurrence.weights[:, ::2] = 0.0
    return model


def compress(
    curve: PruningSettings, *, max_quality_loss: float, recovered: list[Widths] | None = None
) -> CompressedStudent:
    def recover(model: StudentModel) -> StudentModel:
        if recovered is not None:
            recovered.append(Widths.of(model.settings))
        return model

    model = student_with_idle_parts()
    questions = questions_answered_by(model, 60)
    return compress_student(
        model,
        recover,
        random_histories(50),
        (questions, draw_candidates(questions, N_ITEMS, seed=0)),
        curve,
        CertificationSettings(max_quality_loss=max_quality_loss),
        seed=0,
        progress=no_progress,
    )


@pytest.fixture(scope="module")
def recovered() -> list[Widths]:
    return []


@pytest.fixture(scope="module")
def compressed(recovered: list[Widths]) -> CompressedStudent:
    return compress(CURVE, max_quality_loss=0.5, recovered=recovered)


def test_every_point_is_measured_and_what_holds_is_quantized(compressed: CompressedStudent) -> None:
    points = ["", "pruned_25_", "pruned_50_"]
    assert list(compressed.evidence) == [
        f"{point}{bits}" for point in points for bits in ("fp32", *EIGHT_BITS, "int4_tables")
    ]


def test_the_curve_gets_narrower_and_smaller(compressed: CompressedStudent) -> None:
    curve = [compressed.evidence[name] for name in ("fp32", "pruned_25_fp32", "pruned_50_fp32")]
    assert [(row["n_heads"], row["n_hidden"], row["n_neighbours"]) for row in curve] == [
        (4, 16, 8),
        (3, 12, 6),
        (2, 8, 4),
    ]
    assert [row["sparsity"] for row in curve] == [0.0, 0.25, 0.5]
    sizes = [row["size_bytes"] for row in curve]
    assert sizes == sorted(sizes, reverse=True)


def test_idle_parts_are_pruned_for_nothing(compressed: CompressedStudent) -> None:
    assert compressed.evidence["pruned_50_fp32"]["catalogue_ndcg@20_loss"] == pytest.approx(0.0, abs=1e-9)


def test_every_point_is_taught_again_at_its_own_width(
    compressed: CompressedStudent, recovered: list[Widths]
) -> None:
    assert recovered == [(3, 12, 6), (2, 8, 4)]


def test_what_ships_is_a_version_that_holds_with_its_reason(compressed: CompressedStudent) -> None:
    row = compressed.evidence[compressed.shipped]
    assert row["holds"]
    assert row["is_served"]
    assert compressed.reason.startswith(f"{compressed.shipped} ships")
    assert compressed.versions["student_shipped"].size_bytes() == row["size_bytes"]
    assert compressed.precision == compressed.versions["student_shipped"].precision


def test_the_student_and_the_pruned_one_are_left_in_fp32(compressed: CompressedStudent) -> None:
    student, pruned = compressed.versions["student"], compressed.versions["student_pruned"]
    assert student.precision == pruned.precision == "fp32"
    assert student.size_bytes() > pruned.size_bytes()


def test_latency_is_measured_for_what_is_served_alone(compressed: CompressedStudent) -> None:
    timed = {name for name, row in compressed.evidence.items() if "latency_p50_ms" in row}
    assert timed == {name for name, row in compressed.evidence.items() if row["is_served"]}


def test_a_point_that_does_not_hold_is_not_quantized_and_does_not_ship() -> None:
    brutal = PruningSettings(n_points=1, max_sparsity=0.9, max_neighbour_sparsity=0.9, n_examples=50)
    compressed = compress(brutal, max_quality_loss=0.0)
    names = [name for name in compressed.evidence if name.startswith("pruned")]
    assert names == ["pruned_90_fp32"]
    assert compressed.evidence["pruned_90_fp32"]["catalogue_ndcg@20_loss_low"] > 0.0
    assert not compressed.shipped.startswith("pruned")
    student, pruned = (Student(compressed.versions[name]) for name in ("student", "student_pruned"))
    histories = random_histories(3)
    assert (student.catalogue_scores(histories) == pruned.catalogue_scores(histories)).all()
