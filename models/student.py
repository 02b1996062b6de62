"""The student as it runs: histories to user vectors and boosts to the best items of the catalogue.

    score of item i = user vector * item vector i + boost of item i (models/cooccurrence.py)

A user vector costs a run of the tower and may be kept; boosts are cheap and made anew for each answer. Training
measures with this class and the service answers with it, so a figure in the report is a figure of what is served.
numpy and onnxruntime only; one thread unless asked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.cooccurrence import Boosts, Cooccurrence
from models.errors import BundleInconsistent, FileCorrupt
from models.history import MAX_EVENTS, EncodedHistories, History, encode_histories

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime as ort

TOWER_INPUTS = ("history_vectors", "is_event", "gap_log_days", "event_kinds")
CATALOGUE_INPUTS = ("user_vectors", "penalty", "boosted_items", "boosts", "blocked", "k")
CATALOGUE_OUTPUTS = ("scores", "item_indices", "products")
STUDENT_ARRAYS = (
    "history_vectors",
    "history_scales",
    "item_vectors",
    "item_scales",
    "answer_text_map",
    "history_text_map",
)
"""The arrays of `StudentFiles` beside those of the co-occurrence: what they are called there, and in a bundle."""

EXACT_PRODUCTS = "exact_products"
"""In the metadata of a catalogue graph that stores its vectors in int8 and multiplies them in fp32: its scores are
exact as they come."""

RESCORE_MARGIN = 64
"""Items beyond k that the int8 catalogue hands to exact rescoring, so that none is lost at the edge."""

Floats = npt.NDArray[np.float32]


class NewItemVectors(NamedTuple):
    """Where the student puts items that are in no table, by their texts.

    answers: (n_items, n_factors) float32, for `score_new_items`.
    histories: (n_items, n_inputs) float32, as in a person's events.
    """

    answers: Floats
    histories: Floats


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
    catalogue: ONNX, `CATALOGUE_INPUTS` to `CATALOGUE_OUTPUTS`: the top k scores, item indices, and of each score the
    product of vectors that is in it.
    history_vectors: (n_items + 1, n_inputs) float32, or int8 with history_scales; row 0 is padding.
    history_scales: (n_items + 1,) float32, all ones unless history_vectors is int8.
    item_vectors: (n_items, n_factors) float16, or int8 with item_scales, the very numbers that the int8 catalogue
    has; rescoring, diversity and explanations read them.
    item_scales: (n_items,) float32, all ones unless item_vectors is int8.
    answer_text_map: (n_text + 1, n_factors) float32; a text vector times all rows but the last, plus the last, is the
    item vector of an item known by its text alone.
    history_text_map: (n_text + 1, n_inputs) float32; the same for its history vector.
    cooccurrence: what a person's events add to the product of vectors.
    precision: "fp32" or "int8".
    """

    user_tower: bytes
    catalogue: bytes
    history_vectors: npt.NDArray[np.float32] | npt.NDArray[np.int8]
    history_scales: Floats
    item_vectors: npt.NDArray[np.float16] | npt.NDArray[np.int8]
    item_scales: Floats
    answer_text_map: Floats
    history_text_map: Floats
    cooccurrence: Cooccurrence
    precision: str

    @staticmethod
    def from_arrays(
        arrays: Mapping[str, npt.NDArray[Any]], *, user_tower: bytes, catalogue: bytes, precision: str
    ) -> StudentFiles:
        """Put together what `arrays()` gave and the graphs, without copying."""
        return StudentFiles(
            user_tower=user_tower,
            catalogue=catalogue,
            cooccurrence=Cooccurrence.from_arrays(arrays),
            precision=precision,
            **{name: arrays[name] for name in STUDENT_ARRAYS},
        )

    def size_bytes(self) -> int:
        """Bytes on disk of all of it."""
        n_array_bytes = sum(array.nbytes for array in self.arrays().values())
        return len(self.user_tower) + len(self.catalogue) + n_array_bytes

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """`STUDENT_ARRAYS` and those of the co-occurrence by name, ready for a bundle."""
        return {name: getattr(self, name) for name in STUDENT_ARRAYS} | self.cooccurrence.arrays()


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
        self._item_scales = np.asarray(files.item_scales)
        self._answer_text_map = np.asarray(files.answer_text_map)
        self._history_text_map = np.asarray(files.history_text_map)
        self._cooccurrence = files.cooccurrence
        self._tower = _session("user_tower.onnx", files.user_tower, n_threads)
        self._catalogue = _session("catalogue.onnx", files.catalogue, n_threads)
        _check_inputs("user_tower.onnx", self._tower, TOWER_INPUTS, (files.history_vectors.shape[1],))
        _check_inputs("catalogue.onnx", self._catalogue, CATALOGUE_INPUTS, (self.n_factors, self.n_items))
        _check_outputs("catalogue.onnx", self._catalogue, CATALOGUE_OUTPUTS)
        self._no_penalty = np.zeros((1, self.n_items), np.float32)
        is_exact = EXACT_PRODUCTS in self._catalogue.get_modelmeta().custom_metadata_map
        self._is_rescored = files.precision == "int8" and not is_exact

    def user_vectors(self, histories: Sequence[History]) -> Floats:
        """Run the user tower; shape (n_people, n_factors). An empty history gives the stranger's vector."""
        return self._run_tower(encode_histories(histories, self.max_events))

    def boosts(self, histories: Sequence[History]) -> Boosts:
        """What the co-occurrence term adds to each person's scores. An empty history adds nothing."""
        return self._cooccurrence.boosts(encode_histories(histories, self.max_events))

    def recommend(
        self,
        histories: Sequence[History],
        k: int,
        *,
        blocked: Sequence[npt.NDArray[np.int32]] | None = None,
        penalty: Floats | None = None,
    ) -> Ranked:
        """The whole way from histories to the best k items of each person; masks as in `top_k`."""
        encoded = encode_histories(histories, self.max_events)
        vectors, boosts = self._run_tower(encoded), self._cooccurrence.boosts(encoded)
        return self.top_k(vectors, boosts, k, blocked=blocked, penalty=penalty)

    def top_k(
        self,
        user_vectors: Floats,
        boosts: Boosts,
        k: int,
        *,
        blocked: Sequence[npt.NDArray[np.int32]] | None = None,
        penalty: Floats | None = None,
    ) -> Ranked:
        """Rank the whole catalogue for each person, with masks inside the top-k so that the answer is full.

        user_vectors: (n_people, n_factors), and boosts: of the same histories. blocked: item indices that may not
        appear, one array a person. Every one is >= 0 and below n_items. penalty: (n_items,) added to every
        person's scores; -inf hides an item.
        """
        if blocked is not None and len(blocked) != len(user_vectors):
            raise ValueError(f"{len(blocked)} arrays of blocked items for {len(user_vectors)} people")
        n_retrieved = min(k + RESCORE_MARGIN if self._is_rescored else k, self.n_items)
        shared = self._no_penalty if penalty is None else penalty.reshape(1, -1)
        values = (user_vectors, shared, *boosts, _pairs(blocked), np.array([n_retrieved], np.int64))
        feed = dict(zip(CATALOGUE_INPUTS, values, strict=True))
        scores, indices, products = self._catalogue.run(CATALOGUE_OUTPUTS, feed)
        if self._is_rescored:
            scores, indices = self._rescore(user_vectors, scores, indices, products)
        return _filled(scores, indices, k)

    def score_items(
        self, user_vectors: Floats, boosts: Boosts, item_indices: npt.NDArray[np.int32]
    ) -> Floats:
        """Exact scores of chosen items: (n_people, n_factors) x (n_items,) gives (n_people, n_items)."""
        products = user_vectors @ self.item_vectors(item_indices).T
        return np.asarray(products + boosts.dense(self.n_items)[:, item_indices], np.float32)

    def catalogue_scores(self, histories: Sequence[History]) -> Floats:
        """What the served graph scores every item; (n_people, n_items). For offline measurement."""
        k = np.array([self.n_items], np.int64)
        user_vectors, boosts = self.user_vectors(histories), self.boosts(histories)
        values = (user_vectors, self._no_penalty, *boosts, _pairs(None), k)
        scores, indices, _ = self._catalogue.run(
            CATALOGUE_OUTPUTS, dict(zip(CATALOGUE_INPUTS, values, strict=True))
        )
        in_item_order = np.empty_like(scores)
        np.put_along_axis(in_item_order, indices, scores, axis=1)
        return in_item_order

    def item_vectors(self, item_indices: npt.NDArray[np.integer[Any]]) -> Floats:
        """Output vectors of chosen items, (..., n_factors) float32."""
        vectors = self._item_vectors[item_indices] * self._item_scales[item_indices][..., None]
        return np.asarray(vectors, np.float32)

    def new_item_vectors(self, text_vectors: Floats) -> NewItemVectors:
        """Place items by their text vectors (n_items, n_text), which `TextEncoder.encode` makes.

        A text vector of zeros is placed where the student puts an item of which it knows nothing.
        """
        return NewItemVectors(
            _mapped(text_vectors, self._answer_text_map), _mapped(text_vectors, self._history_text_map)
        )

    def score_new_items(self, user_vectors: Floats, answer_vectors: Floats) -> Floats:
        """Score new items on the catalogue's own scale; (n_people, n_factors), (n_items, n_factors) give
        (n_people, n_items). Nobody's events say anything of their company yet, so there is no boost.
        """
        return np.asarray(user_vectors @ answer_vectors.T, np.float32)

    def _run_tower(self, encoded: EncodedHistories) -> Floats:
        vectors = self._history_vectors[encoded.item_rows].astype(np.float32)
        vectors *= self._history_scales[encoded.item_rows][:, :, None]
        is_event = (encoded.item_rows > 0).astype(np.float32)
        values = (vectors, is_event, encoded.gap_log_days, encoded.event_kinds)
        output: Floats = self._tower.run(None, dict(zip(TOWER_INPUTS, values, strict=True)))[0]
        return output

    def _rescore(
        self, user_vectors: Floats, scores: Floats, indices: npt.NDArray[np.int64], products: Floats
    ) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Replace the int8 products in the scores of the retrieved items by exact ones and order them again."""
        vectors = self.item_vectors(indices)  # (n_people, n_retrieved, n_factors)
        exact = scores - products + np.einsum("pd,pnd->pn", user_vectors, vectors)
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


def _check_outputs(name: str, session: ort.InferenceSession, outputs: tuple[str, ...]) -> None:
    found = [each.name for each in session.get_outputs()]
    if found != list(outputs):
        raise BundleInconsistent(f"{name} gives {found}, this code reads {list(outputs)}")


def _mapped(text_vectors: Floats, text_map: Floats) -> Floats:
    return np.asarray(text_vectors @ text_map[:-1] + text_map[-1], np.float32)


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
