"""How a catalogue is laid out: blocks, scales, lists, and the two forms of a filter."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.index import (
    INDEX_ARRAYS,
    LISTED_SHARE,
    AllowedItems,
    CatalogueIndex,
    flat_index,
    inverted_index,
    pack_blocks,
    quantize_rows,
    unpack_blocks,
)

Indices = npt.NDArray[np.int32]


def normal(*shape: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def small_lists() -> CatalogueIndex:
    """40 items in three lists, the second of them empty."""
    quantized, scales = quantize_rows(normal(40, 6))
    return inverted_index(quantized, scales, np.array([0, 18, 18, 40]), normal(3, 6, seed=1), 2)


def test_four_factors_of_an_item_lie_side_by_side_and_sixteen_items_in_a_block() -> None:
    quantized = (np.arange(18)[:, None] * 5 + np.arange(5)).astype(np.int8)
    blocks = pack_blocks(quantized)
    assert blocks.shape == (2, 2, 16, 4)
    assert blocks.dtype == np.uint8
    assert blocks[0, 0, 3].tolist() == [128 + 15, 128 + 16, 128 + 17, 128 + 18]
    assert blocks[0, 1, 3].tolist() == [128 + 19, 128, 128, 128]
    assert blocks[1, 0, 1].tolist() == [128 + 85, 128 + 86, 128 + 87, 128 + 88]
    assert (blocks[1, :, 2:] == 128).all()


def test_smallest_and_largest_bytes_are_shifted_to_stay_unsigned() -> None:
    assert pack_blocks(np.array([[-128, -127, 0, 127]], np.int8))[0, 0, 0].tolist() == [0, 1, 128, 255]


@given(st.integers(0, 70), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_packed_rows_are_unpacked_as_they_were(n_items: int, n_factors: int, seed: int) -> None:
    quantized = np.random.default_rng(seed).integers(-128, 128, (n_items, n_factors)).astype(np.int8)
    unpacked = unpack_blocks(pack_blocks(quantized), n_factors)
    assert len(unpacked) % 16 == 0
    np.testing.assert_array_equal(unpacked[:n_items], quantized, strict=True)
    assert not unpacked[n_items:].any()


@pytest.mark.parametrize("n_items", [1, 16, 17, 100])
def test_flat_index_holds_every_vector_within_half_a_step(n_items: int) -> None:
    item_vectors = normal(n_items, 6).astype(np.float16)
    index = flat_index(item_vectors, np.ones(n_items, np.float32))
    scales = index.block_scales[:n_items, None]
    found = unpack_blocks(index.item_blocks, 6)[:n_items] * scales
    assert (np.abs(found - item_vectors) <= scales * 0.5001).all()
    assert len(index.block_scales) == 16 * len(index.item_blocks)
    assert (index.kind, index.n_lists, index.n_probes) == ("flat", 0, 0)
    assert index.centroid_blocks.shape == (0, 2, 16, 4)


def test_flat_index_of_vectors_in_8_bits_holds_these_very_rows() -> None:
    quantized, scales = quantize_rows(normal(50, 6), n_bits=4)
    index = flat_index(quantized, scales)
    np.testing.assert_array_equal(unpack_blocks(index.item_blocks, 6)[:50], quantized)
    np.testing.assert_array_equal(index.block_scales[:50], scales)


def test_inverted_index_says_what_lies_in_which_list() -> None:
    index = small_lists()
    assert (index.kind, index.n_lists, index.n_probes) == ("inverted", 3, 2)
    np.testing.assert_array_equal(index.list_offsets, np.array([0, 18, 18, 40], np.int32), strict=True)
    centroids = unpack_blocks(index.centroid_blocks, 6)[:3] * index.centroid_scales[:3, None]
    np.testing.assert_allclose(centroids, normal(3, 6, seed=1), atol=0.02)


@pytest.mark.parametrize(
    "index", [flat_index(*quantize_rows(normal(20, 5))), small_lists()], ids=["flat", "inverted"]
)
def test_index_comes_back_from_its_arrays(index: CatalogueIndex) -> None:
    arrays = index.arrays()
    assert tuple(arrays) == INDEX_ARRAYS
    again = CatalogueIndex.from_arrays(arrays, index.n_probes)
    assert (again.kind, again.n_lists, again.n_probes) == (index.kind, index.n_lists, index.n_probes)
    for name, array in again.arrays().items():
        np.testing.assert_array_equal(array, arrays[name], strict=True)


def test_rows_are_quantized_within_half_a_step() -> None:
    matrix = normal(50, 8) * np.logspace(-6, 6, 50, dtype=np.float32)[:, None]
    quantized, scales = quantize_rows(matrix)
    assert [str(quantized.dtype), str(scales.dtype)] == ["int8", "float32"]
    assert (np.abs(quantized * scales[:, None] - matrix) <= scales[:, None] * 0.5001).all()


def test_largest_number_of_a_row_uses_the_whole_range() -> None:
    quantized, _ = quantize_rows(np.array([[-3, 1.5, 0], [1e-6, 0, 0]], np.float32))
    assert quantized.tolist() == [[-127, 64, 0], [127, 0, 0]]


@pytest.mark.parametrize("n_columns", [0, 3])
def test_rows_of_nothing_have_a_scale(n_columns: int) -> None:
    quantized, scales = quantize_rows(np.zeros((3, n_columns), np.float32))
    assert quantized.shape == (3, n_columns)
    assert not quantized.any()
    assert (scales > 0).all()


def test_narrow_filter_is_a_list_and_a_wide_one_is_bits() -> None:
    n_items = 1_000
    at_the_limit = int(LISTED_SHARE * n_items)
    narrow, wide = (
        AllowedItems.of(np.arange(n, dtype=np.int32), n_items) for n in (at_the_limit, at_the_limit + 1)
    )
    assert narrow.listed is not None
    assert narrow.bits is None
    assert narrow.listed.tolist() == list(range(at_the_limit))
    assert wide.listed is None
    assert wide.bits is not None
    assert wide.bits.dtype == np.uint16
    assert len(wide.bits) == 63
    assert (narrow.n_allowed, wide.n_allowed) == (at_the_limit, at_the_limit + 1)


def test_bit_j_of_block_b_is_item_16_b_plus_j() -> None:
    bits = AllowedItems.of(np.array([0, 3, 15, 16, 38], np.int32), 39).bits
    assert bits is not None
    assert bits.tolist() == [1 | 1 << 3 | 1 << 15, 1, 1 << 6]


@given(st.integers(1, 200), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_filter_contains_what_it_was_made_of(n_items: int, share: float, seed: int) -> None:
    is_allowed = np.random.default_rng(seed).random(n_items) < share
    passing = np.flatnonzero(is_allowed).astype(np.int32)
    found = AllowedItems.of(passing, n_items).contains(np.arange(n_items, dtype=np.int32))
    np.testing.assert_array_equal(found, is_allowed, strict=True)


@pytest.mark.parametrize("passing", [[2], [2, 3, 4, 30]], ids=["listed", "bits"])
def test_filter_is_asked_about_items_in_any_order_and_about_none(passing: Any) -> None:
    allowed = AllowedItems.of(np.array(passing, np.int32), 40)
    assert allowed.contains(np.array([39, 2, 0, 2], np.int32)).tolist() == [False, True, False, True]
    assert allowed.contains(np.zeros(0, np.int32)).shape == (0,)
