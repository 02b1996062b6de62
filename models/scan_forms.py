"""Checks what the kernel trusts blindly: the shapes and types of a catalogue's arrays, and the offsets of its lists.

`models/bundles/consistency.py` checks a bundle's files when it is read; this checks whatever a `Scan` is made of.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from models.cooccurrence import N_DECAYS, N_OWN_DECAYS, Cooccurrence
from models.index import LANES, PARTS, CatalogueIndex


def check_forms(index: CatalogueIndex, item_vectors: npt.NDArray[Any], cooccurrence: Cooccurrence) -> None:
    """Check shapes and types. Raises ValueError with the array's name."""
    n_items, n_factors = item_vectors.shape
    n_lists, n_quads = index.n_lists, -(-n_factors // PARTS)
    n_blocks, n_centroid_blocks = -(-n_items // LANES), -(-n_lists // LANES)
    rows = (n_items + 1, *cooccurrence.neighbour_items.shape[1:2])
    for name, array, shape, dtypes in (
        ("item_vectors", item_vectors, (n_items, n_factors), "bf"),
        ("item_blocks", index.item_blocks, (n_blocks, n_quads, LANES, PARTS), "B"),
        ("block_scales", index.block_scales, (n_blocks * LANES,), "f"),
        ("centroid_blocks", index.centroid_blocks, (n_centroid_blocks, n_quads, LANES, PARTS), "B"),
        ("centroid_scales", index.centroid_scales, (n_centroid_blocks * LANES,), "f"),
        ("list_offsets", index.list_offsets, (n_lists + 1,), "i"),
        ("neighbour_items", cooccurrence.neighbour_items, rows, "Hi"),
        ("neighbour_weights", cooccurrence.neighbour_weights, rows, "bf"),
        ("neighbour_scales", cooccurrence.neighbour_scales, (n_items + 1,), "f"),
        ("event_decays", cooccurrence.event_decays, (N_DECAYS,), "f"),
        ("own_weights", cooccurrence.own_weights, (n_items + 1,), "f"),
        ("own_decays", cooccurrence.own_decays, (N_OWN_DECAYS,), "f"),
    ):
        if array.shape != shape or array.dtype.char not in dtypes:
            wanted = " or ".join(str(np.dtype(char)) for char in dtypes)
            raise ValueError(f"{name} is {array.dtype} of {array.shape}, must be {wanted} of {shape}")


def check_offsets(list_offsets: npt.NDArray[np.int32], n_items: int) -> None:
    """Check that lists lie one after the other and hold every item. Raises ValueError."""
    if len(list_offsets) == 1:  # flat
        return
    if not len(list_offsets):
        raise ValueError("list_offsets is empty; a flat catalogue has one offset")
    if list_offsets[0] != 0 or list_offsets[-1] != n_items or (np.diff(list_offsets) < 0).any():
        raise ValueError(f"list_offsets must rise from 0 to {n_items}, the number of items")
