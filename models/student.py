"""The student as it runs: histories to user vectors to the best items of the catalogue.

Training measures with this class and the service answers with it, so a figure in the report is a figure of
what is served. numpy and onnxruntime only; one thread unless asked.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.errors import BundleInconsistent, FileCorrupt
from models.history import MAX_EVENTS, History, encode_histories

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime as ort

TOWER_INPUTS = ("history_vectors", "is_event", "gap_log_days", "event_kinds")
CATALOGUE_INPUTS = ("user_vectors", "penalty", "blocked", "k")
RESCORE_MARGIN = 64
"""Items beyond k that the int8 catalogue hands to exact rescoring, so that none is lost at the edge."""

Floats = npt.NDArray[np.float32]


class Ranked(NamedTuple):
    """The best items of each person, best first; equal scores by rising item_index.

    item_indices: (n_people, k) int32, -1 where fewer than k items were left. scores: (n_people, k) float32,
    -inf there.
    """

    item_indices: npt.NDArray[np.int32]
    scores: Floats


@dataclass(frozen=True)
class StudentFiles:
    """What a student is made of, in one precision.

    user_tower: ONNX, `TOWER_INPUTS` to user vectors (n_people, n_factors) float32.
    catalogue: ONNX, `CATALOGUE_INPUTS` to the top k scores and item indices.
    history_vectors: (n_items + 1, n_inputs) float32, or int8 with history_scales; row 0 is padding.
    history_scales: (n_items + 1,) float32, all ones unless history_vectors is int8.
    item_vectors: (n_items, n_factors) float16; rescoring, diversity and explanations read them.
    precision: "fp32" or "int8".
    """

    user_tower: bytes
    catalogue: bytes
    history_vectors: npt.NDArray[np.float32] | npt.NDArray[np.int8]
    history_scales: Floats
    item_vectors: npt.NDArray[np.float16]
    precision: str

    def size_bytes(self) -> int:
        """Bytes on disk of everything that answering a request reads."""
        arrays = (self.history_vectors, self.history_scales, self.item_vectors)
        return len(self.user_tower) + len(self.catalogue) + sum(array.nbytes for array in arrays)


class Student:
    """A loaded student. Safe to call from several threads.

    Raises FileCorrupt for a graph that does not load, BundleInconsistent for one that does not fit the arrays.
    """

    def __init__(self, files: StudentFiles, *, n_threads: int = 1, max_events: int = MAX_EVENTS) -> None:
        self.n_items, self.n_factors = files.item_vectors.shape
        self.precision = files.precision
        self.max_events = max_events
        # Plain views: indexing np.memmap itself costs microseconds.
        self._history_vectors = np.asarray(files.history_vectors)
        self._history_scales = np.asarray(files.history_scales)
        self._item_vectors = np.asarray(files.item_vectors)
        self._tower = _session("user_tower.onnx", files.user_tower, n_threads)
        self._catalogue = _session("catalogue.onnx", files.catalogue, n_threads)
        _check_inputs("user_tower.onnx", self._tower, TOWER_INPUTS, (files.history_vectors.shape[1],))
        _check_inputs("catalogue.onnx", self._catalogue, CATALOGUE_INPUTS, (self.n_factors, self.n_items))
        self._no_penalty = np.zeros((1, self.n_items), np.float32)
        self._is_rescored = files.precision == "int8"

    def user_vectors(self, histories: Sequence[History]) -> Floats:
        """Run the user tower; shape (n_people, n_factors). An empty history gives the stranger's vector."""
        encoded = encode_histories(histories, self.max_events)
        vectors = self._history_vectors[encoded.item_rows].astype(np.float32)
        vectors *= self._history_scales[encoded.item_rows][:, :, None]
        is_event = (encoded.item_rows > 0).astype(np.float32)
        values = (vectors, is_event, encoded.gap_log_days, encoded.event_kinds)
        feed = dict(zip(TOWER_INPUTS, values, strict=True))
        output: Floats = self._tower.run(None, feed)[0]
        return output

    def top_k(
        self,
        user_vectors: Floats,
        k: int,
        *,
        blocked: Sequence[npt.NDArray[np.int32]] | None = None,
        penalty: Floats | None = None,
    ) -> Ranked:
        """Rank the whole catalogue for each person, with masks inside the top-k so that the answer is full.

        user_vectors: (n_people, n_factors). blocked: item indices that may not appear, one array a person.
        Every one is >= 0 and below n_items. penalty: (n_items,) added to every person's scores; -inf hides an item.
        """
        if blocked is not None and len(blocked) != len(user_vectors):
            raise ValueError(f"{len(blocked)} arrays of blocked items for {len(user_vectors)} people")
        n_retrieved = min(k + RESCORE_MARGIN if self._is_rescored else k, self.n_items)
        shared = self._no_penalty if penalty is None else penalty.reshape(1, -1)
        values = (user_vectors, shared, _pairs(blocked), np.array([n_retrieved], np.int64))
        feed = dict(zip(CATALOGUE_INPUTS, values, strict=True))
        scores, indices = self._catalogue.run(None, feed)
        if self._is_rescored:
            scores, indices = self._rescore(user_vectors, scores, indices, shared)
        return _filled(scores, indices, k)

    def score_items(self, user_vectors: Floats, item_indices: npt.NDArray[np.int32]) -> Floats:
        """Exact scores of chosen items: (n_people, n_factors) x (n_items,) gives (n_people, n_items)."""
        return np.asarray(user_vectors @ self.item_vectors(item_indices).T, np.float32)

    def catalogue_scores(self, user_vectors: Floats) -> Floats:
        """What the served graph scores every item; (n_people, n_items). For offline measurement."""
        values = (user_vectors, self._no_penalty, _pairs(None), np.array([self.n_items], np.int64))
        scores, indices = self._catalogue.run(None, dict(zip(CATALOGUE_INPUTS, values, strict=True)))
        in_item_order = np.empty_like(scores)
        np.put_along_axis(in_item_order, indices, scores, axis=1)
        return in_item_order

    def item_vectors(self, item_indices: npt.NDArray[np.int32]) -> Floats:
        """Output vectors of chosen items, (n_chosen, n_factors) float32."""
        return np.asarray(self._item_vectors[item_indices], np.float32)

    def _rescore(
        self, user_vectors: Floats, scores: Floats, indices: npt.NDArray[np.int64], penalty: Floats
    ) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Replace int8 scores of the retrieved items by exact ones and put them in order again."""
        vectors = self._item_vectors[indices].astype(np.float32)  # (n_people, n_retrieved, n_factors)
        exact = np.einsum("pd,pnd->pn", user_vectors, vectors) + penalty[0][indices]
        exact[np.isneginf(scores)] = -np.inf
        order = np.lexsort((indices, -exact), axis=1)
        return np.take_along_axis(exact, order, 1), np.take_along_axis(indices, order, 1)


def _session(name: str, model: bytes, n_threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no other base
        raise FileCorrupt(f"{name} does not load: {error}") from error


def _check_inputs(
    name: str, session: ort.InferenceSession, inputs: tuple[str, ...], widths: tuple[int, ...]
) -> None:
    """The graph takes exactly these inputs; the last axes of the first ones have these widths, or any."""
    found = {each.name: each.shape for each in session.get_inputs()}
    if set(found) != set(inputs):
        raise BundleInconsistent(f"{name} takes {sorted(found)}, this code feeds {sorted(inputs)}")
    for each, width in zip(inputs, widths, strict=False):
        if found[each][-1:] != [width] and isinstance(found[each][-1], int):
            raise BundleInconsistent(
                f"{name} takes {each} of {found[each]}, the bundle's arrays have {width} in the last axis"
            )


def _pairs(blocked: Sequence[npt.NDArray[np.int32]] | None) -> npt.NDArray[np.int64]:
    """Blocked items as (row, item_index) pairs; (n_blocked, 2)."""
    if not blocked:
        return np.zeros((0, 2), np.int64)
    rows = np.repeat(np.arange(len(blocked)), [len(items) for items in blocked])
    return np.stack([rows, np.concatenate(blocked).astype(np.int64)], axis=1)


def _filled(scores: Floats, indices: npt.NDArray[np.int64], k: int) -> Ranked:
    """Cut to k columns, or pad to k, with -1 where an item was masked or does not exist."""
    scores, items = scores[:, :k], indices[:, :k].astype(np.int32)
    items[np.isneginf(scores)] = -1
    missing = k - items.shape[1]
    if missing > 0:
        items = np.pad(items, ((0, 0), (0, missing)), constant_values=-1)
        scores = np.pad(scores, ((0, 0), (0, missing)), constant_values=-np.inf)
    return Ranked(items, scores)
