"""Versions in fewer bits: what each is made of, and that all that can be served answer alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from models.index import quantize_rows
from models.student import Student, StudentFiles
from tests.support.students import N_ITEMS, random_histories, random_student
from training.student.certification import Version
from training.student.export import export_student
from training.student.quantization import (
    quantize_tower_static,
    quantized_versions,
)

HISTORIES = random_histories(100)


@pytest.fixture(scope="module")
def exports() -> dict[str, StudentFiles]:
    return export_student(random_student(), HISTORIES[:8])


@pytest.fixture(scope="module")
def versions(exports: dict[str, StudentFiles]) -> dict[str, Version]:
    return {version.name: version for version in quantized_versions(exports, HISTORIES)}


def agreement(one: StudentFiles, other: StudentFiles) -> float:
    """Mean correlation of a person's scores by two students."""
    ours, theirs = (Student(files).catalogue_scores(HISTORIES) for files in (one, other))
    return float(np.mean([np.corrcoef(mine, yours)[0, 1] for mine, yours in zip(ours, theirs, strict=True)]))


def test_every_version_has_its_name(exports: dict[str, StudentFiles]) -> None:
    names = [version.name for version in quantized_versions(exports, HISTORIES[:8], prefix="pruned_50_")]
    bits = ["int8_tables", "int8_dynamic", "int8_static", "int4_tables"]
    assert names == [f"pruned_50_{each}" for each in bits]


@pytest.mark.parametrize("name", ["int8_tables", "int8_dynamic", "int8_static"])
def test_eight_bits_are_smaller_and_score_alike(
    versions: dict[str, Version], exports: dict[str, StudentFiles], name: str
) -> None:
    version = versions[name]
    assert version.is_served
    assert version.files.precision == "int8"
    assert version.size_bytes == version.files.size_bytes() < exports["fp32"].size_bytes()
    assert agreement(version.files, exports["fp32"]) > 0.999


def test_int8_tables_leave_the_tower_alone(
    versions: dict[str, Version], exports: dict[str, StudentFiles]
) -> None:
    assert versions["int8_tables"].files.user_tower == exports["fp32"].user_tower


def test_a_static_tower_never_looks_at_its_activations(versions: dict[str, Version]) -> None:
    kinds = {
        name: {node.op_type for node in onnx.load_from_string(versions[name].files.user_tower).graph.node}
        for name in ("int8_static", "int8_dynamic")
    }
    assert "DynamicQuantizeLinear" in kinds["int8_dynamic"]
    assert "DynamicQuantizeLinear" not in kinds["int8_static"]
    assert "QuantizeLinear" in kinds["int8_static"]


def test_weights_of_a_static_tower_fit_seven_bits(versions: dict[str, Version]) -> None:
    graph = onnx.load_from_string(versions["int8_static"].files.user_tower).graph
    weights = [numpy_helper.to_array(each) for each in graph.initializer]
    matrices = [weight for weight in weights if weight.dtype == np.int8 and weight.ndim == 2]
    assert len(matrices) == 3  # the hidden layer, its output, the residual
    assert all(np.abs(matrix.astype(int)).max() <= 64 for matrix in matrices)


def test_activations_are_quantized_by_the_histories_that_calibrate(exports: dict[str, StudentFiles]) -> None:
    """A tower calibrated on one short history clips what longer ones bring; one calibrated on all does not."""
    fp32 = exports["fp32"]
    errors = []
    for calibrate_on in (HISTORIES[:1], HISTORIES):
        tower = quantize_tower_static(fp32, calibrate_on)
        quantized = replace(fp32, user_tower=tower)
        difference = Student(quantized).user_vectors(HISTORIES) - Student(fp32).user_vectors(HISTORIES)
        errors.append(float(np.abs(difference).mean()))
    assert errors[1] < errors[0] / 2


@pytest.mark.parametrize(("n_bits", "largest"), [(4, 7), (8, 127)])
def test_rows_are_rounded_to_half_a_step(n_bits: int, largest: int) -> None:
    matrix = np.random.default_rng(0).normal(size=(500, 16)).astype(np.float32)
    quantized, scales = quantize_rows(matrix, n_bits=n_bits)
    assert set(np.unique(quantized)) == set(range(-largest, largest + 1))
    assert (np.abs(quantized * scales[:, None] - matrix) <= scales[:, None] * 0.5001).all()


def test_a_row_of_zeros_stays_zero() -> None:
    quantized, scales = quantize_rows(np.zeros((2, 3), np.float32), n_bits=4)
    assert not quantized.any()
    assert (scales > 0).all()


@pytest.mark.parametrize("name", ["int8_tables", "int8_dynamic", "int8_static", "int4_tables"])
def test_answers_hold_the_products_of_the_very_vectors_that_explanations_read(
    versions: dict[str, Version], name: str
) -> None:
    student, every_item = Student(versions[name].files), np.arange(N_ITEMS, dtype=np.int32)
    expected = student.score_items(student.user_vectors(HISTORIES), student.boosts(HISTORIES), every_item)
    ranked = student.recommend(HISTORIES, 10)
    best = np.argsort(-expected, axis=1)[:, :10]
    np.testing.assert_allclose(
        ranked.scores, np.take_along_axis(expected, best, axis=1), rtol=1e-4, atol=1e-4
    )


def test_four_bits_are_measured_and_not_served(
    versions: dict[str, Version], exports: dict[str, StudentFiles]
) -> None:
    version, eight_bits = versions["int4_tables"], versions["int8_tables"]
    assert not version.is_served
    assert np.abs(version.files.history_vectors).max() == 7
    assert version.size_bytes < eight_bits.size_bytes
    assert 0.9 < agreement(version.files, exports["fp32"]) < agreement(eight_bits.files, exports["fp32"])
