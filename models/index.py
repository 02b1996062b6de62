"""The layout of a catalogue for its search: 8-bit vectors in blocks of 16 items, and lists if it is large.

    flat        every block is searched; the result is exact, as the candidates are scored again in float
    inverted    items lie by list, each around a centroid (k-means); a search reads the nearest lists only

Training writes the index into the bundle, and `models/scan.py` searches it. Its blocks are memory-mapped and shared
by workers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

LANES = 16
"""Items per block: the number of 32-bit lanes of an AVX-512 register."""
PARTS = 4
"""Factors of an item that lie side by side: the number that one VNNI instruction multiplies and sums."""
ITEM_SHIFT = 128
"""Added to an item's signed byte, since those instructions need one unsigned operand."""
MAX_FACTORS = 1024
"""The length of user vectors for which the kernel has room."""
SMALLEST_SCALE = 1e-12
"""Replaces the scale of a vector of zeros."""
LISTED_SHARE = 0.05
"""A filter that passes at most this share of the catalogue is answered exactly, by scoring every item it passes."""

INDEX_ARRAYS = ("item_blocks", "block_scales", "list_offsets", "centroid_blocks", "centroid_scales")
"""The arrays of `CatalogueIndex` in its order, by their names in a bundle."""

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int32]
IndexKind = Literal["flat", "inverted"]


@dataclass(frozen=True)
class CatalogueIndex:
    """item_blocks: (n_blocks, n_quads, 16, 4) uint8, n_quads = ceil(n_factors / 4); zeros (128) beyond the last item.
    block_scales: (n_blocks * 16,) float32; vector of item i = (its bytes - 128) * block_scales[i].
    list_offsets: (n_lists + 1,) int32; items of list l are list_offsets[l] .. list_offsets[l + 1]. (1,) when flat.
    centroid_blocks, centroid_scales: the lists' centroids, laid out like items.
    n_probes: how many lists a search reads.
    """

    item_blocks: npt.NDArray[np.uint8]
    block_scales: Floats
    list_offsets: Indices
    centroid_blocks: npt.NDArray[np.uint8]
    centroid_scales: Floats
    n_probes: int = 0

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[Any]], n_probes: int) -> CatalogueIndex:
        """Read what `arrays()` returned, as plain views."""
        return CatalogueIndex(**{name: np.asarray(arrays[name]) for name in INDEX_ARRAYS}, n_probes=n_probes)

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return `INDEX_ARRAYS` by name, ready for a bundle."""
        return {name: getattr(self, name) for name in INDEX_ARRAYS}

    @property
    def n_lists(self) -> int:
        """The number of lists; 0 when flat."""
        return len(self.list_offsets) - 1

    @property
    def kind(self) -> IndexKind:
        """Whether a search reads the whole catalogue ("flat") or some lists."""
        return "inverted" if self.n_lists else "flat"


class AllowedItems(NamedTuple):
    """The items that pass a filter, in the form that is cheapest to search. One of the two forms is present.

    n_allowed: how many items. listed: (n_allowed,) int32, rising; they alone are scored, exactly.
    bits: (n_blocks,) uint16, bit j of block b for item 16 b + j.
    """

    n_allowed: int
    listed: Indices | None
    bits: npt.NDArray[np.uint16] | None

    @staticmethod
    def of(items: Indices, n_items: int) -> AllowedItems:
        """Choose the form. items: (n_allowed,) int32 item indices below n_items, rising."""
        if len(items) <= LISTED_SHARE * n_items:
            return AllowedItems(len(items), np.ascontiguousarray(items, np.int32), None)
        is_allowed = np.zeros(-(-n_items // LANES) * LANES, np.uint8)
        is_allowed[items] = 1
        return AllowedItems(len(items), None, np.packbits(is_allowed, bitorder="little").view("<u2"))

    def mask(self, n_items: int) -> npt.NDArray[np.bool_]:
        """Tell whether each item of the catalogue passes; (n_items,)."""
        if self.bits is not None:
            return np.unpackbits(self.bits.view(np.uint8), bitorder="little", count=n_items).view(np.bool_)
        passes = np.zeros(n_items, np.bool_)
        passes[self.listed] = True
        return passes

    def contains(self, items: Indices) -> npt.NDArray[np.bool_]:
        """Tell which of these items pass; every one is >= 0. Shape (n,) to (n,)."""
        if self.listed is not None:
            return np.isin(items, self.listed)
        assert self.bits is not None, "one of the two forms is there"
        return (self.bits[items // LANES] >> (items % LANES).astype(np.uint16) & 1).astype(np.bool_)


def flat_index(item_vectors: npt.NDArray[Any], item_scales: Floats) -> CatalogueIndex:
    """Lay out a student's items for a search of all of them.

    item_vectors: (n_items, n_factors) int8 with item_scales (n_items,), or float16, which is rounded to 8 bits here.
    """
    quantized, scales = eight_bits(item_vectors, item_scales)
    n_quads = -(-quantized.shape[1] // PARTS)
    nothing = np.zeros((0, n_quads, LANES, PARTS), np.uint8)
    return CatalogueIndex(
        pack_blocks(quantized), _padded(scales), np.zeros(1, np.int32), nothing, np.zeros(0, np.float32)
    )


def inverted_index(
    quantized: npt.NDArray[np.int8], scales: Floats, list_offsets: Indices, centroids: Floats, n_probes: int
) -> CatalogueIndex:
    """Lay out items that are ordered by list.

    centroids: (n_lists, n_factors). list_offsets: (n_lists + 1,), from 0 to n_items.
    """
    nearest, nearest_scales = quantize_rows(centroids)
    return CatalogueIndex(
        pack_blocks(quantized),
        _padded(scales),
        list_offsets.astype(np.int32),
        pack_blocks(nearest),
        _padded(nearest_scales),
        n_probes,
    )


def eight_bits(item_vectors: npt.NDArray[Any], item_scales: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """Return a student's item vectors in 8 bits with a scale each; vectors already in 8 bits stay as they are."""
    if item_vectors.dtype == np.int8:
        return np.asarray(item_vectors), np.asarray(item_scales)
    return quantize_rows(item_vectors.astype(np.float32))


def pack_blocks(quantized: npt.NDArray[np.int8]) -> npt.NDArray[np.uint8]:
    """Pack (n, n_factors) int8 rows into (n_blocks, n_quads, 16, 4) uint8."""
    n_rows, n_factors = quantized.shape
    n_blocks, n_quads = -(-n_rows // LANES), -(-n_factors // PARTS)
    rows = np.zeros((n_blocks * LANES, n_quads * PARTS), np.int8)
    rows[:n_rows, :n_factors] = quantized
    shifted = rows.view(np.uint8) ^ np.uint8(ITEM_SHIFT)  # adds 128 without leaving 8 bits
    return np.ascontiguousarray(shifted.reshape(n_blocks, LANES, n_quads, PARTS).transpose(0, 2, 1, 3))


def unpack_blocks(blocks: npt.NDArray[np.uint8], n_factors: int) -> npt.NDArray[np.int8]:
    """Return the rows that `pack_blocks` packed, including padding rows; (n_blocks * 16, n_factors) int8."""
    n_blocks, n_quads = blocks.shape[:2]
    rows = blocks.transpose(0, 2, 1, 3).reshape(n_blocks * LANES, n_quads * PARTS)
    return (rows ^ np.uint8(ITEM_SHIFT)).view(np.int8)[:, :n_factors]


def quantize_rows(matrix: Floats, *, n_bits: int = 8) -> tuple[npt.NDArray[np.int8], Floats]:
    """Quantize each row of (n, d) symmetrically to n_bits; matrix ≈ quantized (n, d) * scales (n,)[:, None].

    Eight bits reach from -127 to 127, four from -7 to 7.
    """
    largest = np.maximum(np.abs(matrix).max(axis=1, initial=0), SMALLEST_SCALE).astype(np.float32)
    scales = largest / np.float32(2 ** (n_bits - 1) - 1)
    return np.rint(matrix / scales[:, None]).astype(np.int8), scales


def _padded(scales: Floats) -> Floats:
    """Pad scales to whole blocks."""
    return np.pad(scales.astype(np.float32), (0, -len(scales) % LANES))
