"""The search of a catalogue for its best items, by `kernel/scan.c`: the arguments and results of that kernel.

    10,000 items      16 µs a person where eight are asked for together, 22 alone (13 events, 128 neighbours each)
    100,000           82 µs, eight together (19 events)
    1,000,000         98 µs, with 40 of 2,000 lists (20 events)

One thread, the best 20, with VNNI instructions; docs/performance.md has figures for other processors. onnxruntime
took 75 to 320 µs for the first two. There the product was the smaller part: masks, boosts and top-k were passes of
their own over all scores, and each step a call. Here one pass does them while a block is in registers.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from ctypes import c_char_p, c_int64, c_void_p
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from models.cooccurrence import LAST_VISIT_LOG_DAYS, Cooccurrence
from models.errors import FileCorrupt
from models.history import EncodedHistory
from models.index import MAX_FACTORS, AllowedItems, CatalogueIndex
from models.kernel_library import address, load_kernel
from models.scan_forms import check_forms, check_offsets

KERNELS = ("vnni", "avx2", "neon-dot", "neon", "plain")
"""Sets of instructions that the kernel is written for; every processor has "plain", and none has all of them."""

RESCORE_MARGIN = 64
"""How many candidates beyond k are scored again in float, so that rounding to 8 bits loses none at the edge."""

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int32]

_NOTHING = np.zeros(0, np.int32)
_PERSON = struct.Struct("12q")  # `Person` in kernel/layout.h


class Ranked(NamedTuple):
    """The best items of each person, best first; equal scores by rising item_index.

    item_indices: (n_people, k) int32, -1 where fewer than k items were left. scores: (n_people, k) float32,
    -inf there.
    """

    item_indices: Indices
    scores: Floats


class ScanQuery(msgspec.Struct, gc=False):
    """One person's question to a catalogue, packed for the kernel; keeping it makes asking again free.

    vector: (n_factors,) float32. events: the events behind it, for the co-occurrence term. seen, excluded: item
    indices that must not appear. Every index is >= 0 and below n_items. packed: their addresses, made here.
    It cannot be part of a cycle, so the garbage collector need not walk through a whole cache of people.
    """

    vector: Floats
    events: EncodedHistory
    seen: Indices = _NOTHING
    excluded: Indices = _NOTHING
    packed: bytes = b""

    def __post_init__(self) -> None:
        self.vector = np.ascontiguousarray(self.vector, np.float32)
        rows = np.ascontiguousarray(self.events.item_rows, np.int32)
        gaps = np.ascontiguousarray(self.events.gap_log_days, np.float32)
        kinds = np.ascontiguousarray(self.events.event_kinds, np.uint8)
        counts = np.ascontiguousarray(self.events.log_counts, np.float32)
        repeats = np.ascontiguousarray(self.events.repeat_log_odds, np.float32)
        self.events = EncodedHistory(rows, gaps, kinds, counts, repeats)
        self.seen = np.ascontiguousarray(self.seen, np.int32)
        self.excluded = np.ascontiguousarray(self.excluded, np.int32)
        self.packed = _PERSON.pack(
            address(self.vector),
            len(self.vector),
            address(rows),
            address(gaps),
            address(kinds),
            address(counts),
            address(repeats),
            len(rows),
            address(self.seen),
            len(self.seen),
            address(self.excluded),
            len(self.excluded),
        )


class _Catalogue(ctypes.Structure):
    """`Catalogue` in kernel/layout.h."""

    _fields_ = [
        ("n_items", c_int64),
        ("n_factors", c_int64),
        ("blocks", c_void_p),
        ("scales", c_void_p),
        ("vectors", c_void_p),
        ("are_vectors_float", c_int64),
        ("n_neighbours", c_int64),
        ("neighbour_items", c_void_p),
        ("are_neighbours_wide", c_int64),
        ("neighbour_weights", c_void_p),
        ("neighbour_scales", c_void_p),
        ("are_weights_float", c_int64),
        ("event_decays", c_void_p),
        ("own_weights", c_void_p),
        ("own_decays", c_void_p),
        ("n_lists", c_int64),
        ("centroid_blocks", c_void_p),
        ("centroid_scales", c_void_p),
        ("list_offsets", c_void_p),
    ]


@dataclass(frozen=True)
class _Workspace:
    """The memory of one search at a time."""

    address: int

    def __del__(self) -> None:
        _kernel.free_workspace(self.address)


class Scan:
    """A catalogue ready to be searched. It is safe to call from several threads: each call has its own memory.

    item_vectors: (n_items, n_factors) int8, multiplied by the index's scales, or float32. Raises ValueError for more
    than `MAX_FACTORS` factors, and for arrays whose shapes or types do not fit together: the kernel trusts them.
    """

    def __init__(
        self,
        index: CatalogueIndex,
        item_vectors: npt.NDArray[Any],
        cooccurrence: Cooccurrence,
    ) -> None:
        self.n_items, n_factors = item_vectors.shape
        if n_factors > MAX_FACTORS:
            raise ValueError(f"vectors have {n_factors} factors, the kernel takes at most {MAX_FACTORS}")
        self._n_probes, self._n_lists, self._n_blocks = index.n_probes, index.n_lists, len(index.item_blocks)
        check_forms(index, item_vectors, cooccurrence)
        # Copied, so that a file that is changed in place later cannot lead the kernel out of an array.
        list_offsets = np.array(index.list_offsets)
        check_offsets(list_offsets, self.n_items)
        decays = np.append(cooccurrence.event_decays, np.float32(LAST_VISIT_LOG_DAYS)).astype(np.float32)
        arrays = [
            index.item_blocks,
            index.block_scales,
            item_vectors,
            cooccurrence.neighbour_items,
            cooccurrence.neighbour_weights,
            cooccurrence.neighbour_scales,
            decays,
            cooccurrence.own_weights,
            cooccurrence.own_decays,
            index.centroid_blocks,
            index.centroid_scales,
            list_offsets,
        ]
        self._arrays = [np.ascontiguousarray(array) for array in arrays]
        blocks, scales, vectors, items, weights, weight_scales, *of_events = self._arrays
        decays, own_weights, own_decays, *lists = of_events
        self._catalogue = _Catalogue(
            self.n_items,
            n_factors,
            address(blocks),
            address(scales),
            address(vectors),
            vectors.dtype == np.float32,
            items.shape[1],
            address(items),
            items.dtype == np.int32,
            address(weights),
            address(weight_scales),
            weights.dtype == np.float32,
            address(decays),
            address(own_weights),
            address(own_decays),
            index.n_lists,
            *map(address, lists),
        )
        self._reference = ctypes.byref(self._catalogue)
        self._workspaces: list[_Workspace] = []

    def top_k(
        self,
        queries: Sequence[ScanQuery],
        k: int,
        allowed: AllowedItems | None = None,
        *,
        n_probes: int | None = None,
    ) -> Ranked:
        """Find the best k items of each person among the allowed ones (None: all).

        n_probes: how many lists to read; None for the index's own number. A filter that leaves fewer items raises it
        in proportion, and if masks leave too few items in these lists, the next ones are read, so that an answer is
        full if the catalogue has enough. Scores of a person whose vector is not finite are NaN. Raises IndexError for
        an item index outside the catalogue or a filter's list that does not rise, ValueError for a vector of another
        length, a filter of another catalogue, or an n_probes outside 1 to n_lists, and FileCorrupt if a file was
        changed in place and names a neighbour that does not exist.
        """
        n_people = len(queries)
        items = np.empty((n_people, k), np.int32)
        scores = np.empty((n_people, k), np.float32)
        if not n_people or not k:
            return Ranked(items, scores)
        bits, listed = (None, None) if allowed is None else (allowed.bits, allowed.listed)
        if bits is not None and len(bits) != self._n_blocks:
            raise ValueError(
                f"the filter is of another catalogue: {len(bits)} blocks instead of {self._n_blocks}"
            )
        n_probes = self._probes(allowed, n_probes) if self._n_lists else 0
        try:
            workspace = self._workspaces.pop()
        except IndexError:  # checking first would let another thread take the last one
            workspace = self._new_workspace()
        outcome = _kernel.search(
            self._reference,
            workspace.address,
            b"".join([person.packed for person in queries]),
            n_people,
            k,
            min(k + RESCORE_MARGIN, self.n_items),
            None if bits is None else address(bits),
            None if listed is None else address(listed),
            -1 if listed is None else len(listed),
            n_probes,
            address(items),
            address(scores),
        )
        self._workspaces.append(workspace)
        if outcome:
            _raise(outcome, self.n_items, self._catalogue.n_factors)
        return Ranked(items, scores)

    def _probes(self, allowed: AllowedItems | None, n_probes: int | None) -> int:
        wanted = self._n_probes if n_probes is None else n_probes
        if not 1 <= wanted <= self._n_lists:
            raise ValueError(
                f"{wanted} of {self._n_lists} lists cannot be looked into, must be 1 to {self._n_lists}"
            )
        if allowed is None:
            return wanted
        return min(self._n_lists, -(-wanted * self.n_items // max(1, allowed.n_allowed)))

    def _new_workspace(self) -> _Workspace:
        address = _kernel.new_workspace(self._reference)
        if not address:
            raise MemoryError("no memory is left to search the catalogue with")
        return _Workspace(address)


def choose_kernel(name: str) -> str:
    """Choose the instructions of searches: one of `KERNELS`, or the "best" this processor has; return which it is.

    It applies to all searches of the process; call it while none runs. All kernels give
    the same answers. Raises ValueError for instructions that this processor lacks.
    """
    if not _kernel.choose_kernel(name.encode()):
        raise ValueError(
            f"this processor has no {name!r} instructions; the kernel has {', '.join(available_kernels())} for it"
        )
    return kernel_in_use()


def available_kernels() -> tuple[str, ...]:
    """Return those of `KERNELS` that this processor has, the best first."""
    return tuple(name for name in KERNELS if _kernel.has_kernel(name.encode()))


def kernel_in_use() -> str:
    """Return the instructions that searches of this process use now."""
    return str(_kernel.kernel_in_use().decode())


def _raise(outcome: int, n_items: int, n_factors: int) -> None:
    if outcome == 1:
        raise IndexError("an item index is beyond the catalogue")
    if outcome == 4:
        raise FileCorrupt(
            f"neighbour_items.npy names a neighbour beyond the {n_items} items: it was changed while it was in "
            "service. A bundle is immutable; promote another one, and find out who wrote to this one"
        )
    if outcome == 3:
        raise ValueError(f"a user vector is not of the catalogue's {n_factors} factors")
    raise MemoryError("no memory is left to search the catalogue with")


def _load() -> ctypes.CDLL:
    kernel = load_kernel()
    kernel.choose_kernel.argtypes = [c_char_p]
    kernel.has_kernel.argtypes = [c_char_p]
    kernel.kernel_in_use.restype = c_char_p
    kernel.kernel_in_use.argtypes = []
    kernel.new_workspace.restype = c_void_p
    kernel.new_workspace.argtypes = [c_void_p]
    kernel.free_workspace.restype = None
    kernel.free_workspace.argtypes = [c_void_p]
    kernel.search.argtypes = [
        *(c_void_p, c_void_p, c_char_p, c_int64, c_int64, c_int64),
        *(c_void_p, c_void_p, c_int64, c_int64, c_void_p, c_void_p),
    ]
    return kernel


_kernel = _load()
KERNEL = choose_kernel("best")
"""The best instructions of this processor, which searches use unless others are chosen."""
