"""The graph that ranks the catalogue, without the student around it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from onnx.checker import ValidationError

from models.student import CATALOGUE_INPUTS, CATALOGUE_OUTPUTS
from training.student.catalogue_graph import USER_LEVELS, build_catalogue, quantize_rows, serialise

Floats = npt.NDArray[np.float32]
PRECISIONS = ["fp32", "int8"]
N_ITEMS, N_FACTORS = 60, 8


def normal(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def run(
    precision: str,
    items: Floats,
    users: Floats,
    *,
    penalty: Floats | None = None,
    boosted: tuple[list[list[int]], list[list[float]]] | None = None,
    blocked: Any = (),
    k: int,
) -> tuple[Floats, npt.NDArray[np.int64]]:
    return run_with_products(precision, items, users, penalty=penalty, boosted=boosted, blocked=blocked, k=k)[
        :2
    ]


def run_with_products(
    precision: str,
    items: Floats,
    users: Floats,
    *,
    penalty: Floats | None = None,
    boosted: tuple[list[list[int]], list[list[float]]] | None = None,
    blocked: Any = (),
    k: int,
) -> tuple[Floats, npt.NDArray[np.int64], Floats]:
    """boosted: item indices and values, a list a person."""
    session = ort.InferenceSession(
        build_catalogue(items, precision=precision), providers=["CPUExecutionProvider"]
    )
    shared = np.zeros((1, len(items)), np.float32) if penalty is None else penalty[None]
    boosted_items, boosts = ([[]] * len(users), [[]] * len(users)) if boosted is None else boosted
    shape = (len(users), -1) if boosted else (len(users), 0)
    values = (
        users,
        shared,
        np.array(boosted_items, np.int64).reshape(shape),
        np.array(boosts, np.float32).reshape(shape),
        np.array(blocked, np.int64).reshape(-1, 2),
        np.array([k], np.int64),
    )
    scores, item_indices, products = session.run(
        CATALOGUE_OUTPUTS, dict(zip(CATALOGUE_INPUTS, values, strict=True))
    )
    return scores, item_indices, products


def in_item_order(scores: Floats, item_indices: npt.NDArray[np.int64]) -> Floats:
    return np.take_along_axis(scores, np.argsort(item_indices, axis=1), 1)


def test_fp32_scores_are_the_product() -> None:
    items, users = normal(N_ITEMS, N_FACTORS), normal(5, N_FACTORS, seed=1)
    found = in_item_order(*run("fp32", items, users, k=N_ITEMS))
    np.testing.assert_allclose(found, users @ items.T, rtol=1e-4, atol=1e-5)


def test_int8_scores_are_the_product_within_half_a_step_of_each_side() -> None:
    items, users = normal(N_ITEMS, N_FACTORS), normal(5, N_FACTORS, seed=1)
    found = in_item_order(*run("int8", items, users, k=N_ITEMS))
    half_item = np.abs(items).max(1) / 254
    half_user = np.abs(users).max(1) / (2 * USER_LEVELS)
    bound = np.abs(users).sum(1)[:, None] * half_item + half_user[:, None] * np.abs(items).sum(1)
    bound += N_FACTORS * half_user[:, None] * half_item
    assert (np.abs(found - users @ items.T) <= bound * 1.001).all()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_length_of_a_vector_scales_scores_and_nothing_else(precision: str) -> None:
    items, users = normal(N_ITEMS, N_FACTORS), normal(1, N_FACTORS, seed=1)
    scores, order = run(precision, items, users, k=10)
    for factor in (2.0**-20, 2.0**20):
        scaled, same_order = run(precision, items, users * np.float32(factor), k=10)
        np.testing.assert_array_equal(same_order, order)
        np.testing.assert_allclose(scaled, scores * factor, rtol=1e-5)


def test_int8_score_does_not_depend_on_who_else_is_in_the_batch() -> None:
    items, users = normal(N_ITEMS, N_FACTORS), normal(6, N_FACTORS, seed=1)
    users[1:] *= np.array([[1e-3], [10], [1e3], [1e6], [0]], np.float32)
    together = in_item_order(*run("int8", items, users, k=N_ITEMS))
    alone = [in_item_order(*run("int8", items, users[[row]], k=N_ITEMS))[0] for row in range(6)]
    np.testing.assert_array_equal(together, alone)


def test_two_largest_products_fit_the_16_bits_in_which_some_processors_add_them() -> None:
    largest_user, largest_item = 2 * USER_LEVELS + 1, 127
    assert 2 * largest_user * largest_item <= np.iinfo(np.int16).max
    extremes = np.where(np.arange(4 * N_FACTORS).reshape(4, -1) % 4 < 2, 1, -1).astype(np.float32)
    found = in_item_order(*run("int8", extremes, extremes, k=4))
    np.testing.assert_allclose(found, extremes @ extremes.T, rtol=1e-5)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_vector_of_zeros_scores_zero_and_ranks_by_index(precision: str) -> None:
    scores, order = run(precision, normal(N_ITEMS, N_FACTORS), np.zeros((1, N_FACTORS), np.float32), k=5)
    assert scores.tolist() == [[0.0] * 5]
    assert order.tolist() == [[0, 1, 2, 3, 4]]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_masks_act_before_the_top_k(precision: str) -> None:
    items, users = normal(N_ITEMS, N_FACTORS), normal(2, N_FACTORS, seed=1)
    _, best = run(precision, items, users, k=N_ITEMS)
    _, rest = run(precision, items, users, blocked=[(0, item) for item in best[0, :20]], k=10)
    np.testing.assert_array_equal(rest, [best[0, 20:30], best[1, :10]])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_penalty_is_added_to_everybody(precision: str) -> None:
    items, users = normal(N_ITEMS, N_FACTORS), normal(2, N_FACTORS, seed=1)
    penalty = np.zeros(N_ITEMS, np.float32)
    penalty[7], penalty[9] = 100.0, -np.inf
    plain = in_item_order(*run(precision, items, users, k=N_ITEMS))
    shifted = in_item_order(*run(precision, items, users, penalty=penalty, k=N_ITEMS))
    np.testing.assert_allclose(shifted, plain + penalty, rtol=1e-5)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_boosts_are_added_to_each_persons_own_items_and_sum(precision: str) -> None:
    items, users = normal(N_ITEMS, N_FACTORS), normal(2, N_FACTORS, seed=1)
    plain = in_item_order(*run(precision, items, users, k=N_ITEMS))
    boosted = ([[7, 9, 7], [0, 59, 0]], [[1.0, -2.0, 0.5], [0.0, 3.0, 0.0]])
    found = in_item_order(*run(precision, items, users, boosted=boosted, k=N_ITEMS))
    plain[0, [7, 9]] += [1.5, -2.0]
    plain[1, 59] += 3.0
    np.testing.assert_allclose(found, plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_boost_does_not_bring_a_blocked_item_back(precision: str) -> None:
    items, users = normal(N_ITEMS, N_FACTORS), normal(1, N_FACTORS, seed=1)
    _, order = run(precision, items, users, boosted=([[7, 8]], [[50.0, 40.0]]), blocked=[(0, 7)], k=N_ITEMS)
    assert (order[0, 0], order[0, -1]) == (8, 7)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_products_are_scores_without_penalty_and_boosts(precision: str) -> None:
    items, users = normal(N_ITEMS, N_FACTORS), normal(2, N_FACTORS, seed=1)
    plain = in_item_order(*run(precision, items, users, k=N_ITEMS))
    penalty = normal(N_ITEMS, seed=2)
    _, order, products = run_with_products(
        precision, items, users, penalty=penalty, boosted=([[3], [4]], [[1.0], [2.0]]), k=N_ITEMS
    )
    np.testing.assert_array_equal(in_item_order(products, order), plain)


def test_other_precision_is_not_taken_for_one_of_the_two() -> None:
    with pytest.raises(KeyError, match="fp16"):
        build_catalogue(normal(2, 2), precision="fp16")


def test_rows_are_quantized_within_half_a_step() -> None:
    matrix = normal(50, N_FACTORS) * np.logspace(-6, 6, 50, dtype=np.float32)[:, None]
    quantized, scales = quantize_rows(matrix)
    assert [str(quantized.dtype), str(scales.dtype)] == ["int8", "float32"]
    assert (np.abs(quantized * scales[:, None] - matrix) <= scales[:, None] * 0.5001).all()


def test_largest_number_of_a_row_uses_the_whole_range() -> None:
    quantized, _ = quantize_rows(np.array([[-3, 1.5, 0], [1e-6, 0, 0]], np.float32))
    assert quantized.tolist() == [[-127, 64, 0], [127, 0, 0]]


def test_rows_without_columns_have_a_scale() -> None:
    quantized, scales = quantize_rows(np.zeros((3, 0), np.float32))
    assert quantized.shape == (3, 0)
    assert (scales > 0).all()


def test_row_of_zeros_stays_zero() -> None:
    quantized, scales = quantize_rows(np.zeros((2, 3), np.float32))
    assert not quantized.any()
    assert (scales > 0).all()


def test_graph_that_is_not_valid_is_refused_when_it_is_made() -> None:
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Abs", ["nowhere"], ["y"])], "broken", [], [output])
    with pytest.raises(ValidationError):
        serialise(graph)
