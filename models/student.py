"""The student as it runs: turns histories into user vectors, and these into the best items of the catalogue.

    score of item i = user vector * item vector i + boost of item i (models/cooccurrence.py)

A user vector costs a run of the tower (ONNX) and may be kept; `models/scan.py` searches the catalogue. Training
measures with this class and the service answers with it, so a figure in the report is a figure of what is served. It
needs numpy and onnxruntime only, and runs on one thread unless asked otherwise.
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
from models.history import (
    MAX_EVENTS,
    EncodedHistories,
    EncodedHistory,
    History,
    encode_history,
    pad_histories,
)
from models.index import AllowedItems, CatalogueIndex
from models.repeats import REPEATS, RepeatModel
from models.scan import Ranked, Scan, ScanQuery

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime as ort

TOWER_INPUTS = ("history_vectors", "is_event", "gap_log_days", "event_kinds", "log_counts")
STUDENT_ARRAYS = (
    "history_vectors",
    "history_scales",
    "item_vectors",
    "item_scales",
    "answer_text_map",
    "history_text_map",
)
"""The arrays of `StudentFiles` besides those of its index, co-occurrence and repeats, by their names there
and in a bundle."""

Floats = npt.NDArray[np.float32]


class NewItemVectors(NamedTuple):
    """The places of items that are in no table, which the student derives from their texts.

    answers: (n_items, n_factors) float32, for `score_new_items`.
    histories: (n_items, n_inputs) float32, as in a person's events.
    """

    answers: Floats
    histories: Floats


@dataclass(frozen=True)
class StudentFiles:
    """The parts of a student in one precision.

    user_tower: ONNX, `TOWER_INPUTS` to user vectors (n_people, n_factors) float32.
    history_vectors: (n_items + 1, n_inputs) float32, or int8 with history_scales; row 0 is padding.
    history_scales: (n_items + 1,) float32, all ones unless history_vectors is int8.
    item_vectors: (n_items, n_factors) float16, or int8 with item_scales, the very numbers that the index has; final
    scores, diversity and explanations read them.
    item_scales: (n_items,) float32, all ones unless item_vectors is int8.
    answer_text_map: (n_text + 1, n_factors) float32; a text vector times all rows but the last, plus the last, is the
    item vector of an item known by its text alone.
    history_text_map: (n_text + 1, n_inputs) float32; the same for its history vector.
    index: item vectors laid out to be searched.
    cooccurrence: what a person's events add to the product of vectors.
    repeats: how likely own items are taken again, which the co-occurrence term reads.
    precision: "fp32" or "int8".
    """

    user_tower: bytes
    history_vectors: npt.NDArray[np.float32] | npt.NDArray[np.int8]
    history_scales: Floats
    item_vectors: npt.NDArray[np.float16] | npt.NDArray[np.int8]
    item_scales: Floats
    answer_text_map: Floats
    history_text_map: Floats
    index: CatalogueIndex
    cooccurrence: Cooccurrence
    repeats: RepeatModel
    precision: str

    @staticmethod
    def from_arrays(
        arrays: Mapping[str, npt.NDArray[Any]], *, user_tower: bytes, n_probes: int, precision: str
    ) -> StudentFiles:
        """Join what `arrays()` returned with the tower, without copying."""
        return StudentFiles(
            user_tower=user_tower,
            index=CatalogueIndex.from_arrays(arrays, n_probes),
            cooccurrence=Cooccurrence.from_arrays(arrays),
            repeats=RepeatModel.from_arrays(arrays, prefix=REPEATS),
            precision=precision,
            **{name: arrays[name] for name in STUDENT_ARRAYS},
        )

    def size_bytes(self) -> int:
        """Return the bytes of all parts on disk."""
        return len(self.user_tower) + sum(array.nbytes for array in self.arrays().values())

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return `STUDENT_ARRAYS` and those of index, co-occurrence and repeats by name, ready for a bundle."""
        own: dict[str, npt.NDArray[np.generic]] = {name: getattr(self, name) for name in STUDENT_ARRAYS}
        repeats = {f"{REPEATS}{name}": array for name, array in self.repeats.arrays().items()}
        return own | self.index.arrays() | self.cooccurrence.arrays() | repeats


class Student:
    """A loaded student, which is safe to call from several threads.

    Raises FileCorrupt for a graph that does not load, BundleInconsistent for one that does not fit the arrays.
    """

    def __init__(self, files: StudentFiles, *, n_threads: int = 1, max_events: int = MAX_EVENTS) -> None:
        self.n_items, self.n_factors = files.item_vectors.shape
        self.precision = files.precision
        self.max_events = max_events
        # These are plain views: indexing np.memmap itself costs microseconds.
        self._history_vectors = np.asarray(files.history_vectors)
        self._history_scales = np.asarray(files.history_scales)
        self._item_vectors = np.asarray(files.item_vectors)
        self._item_scales = np.asarray(files.item_scales)
        self._answer_text_map = np.asarray(files.answer_text_map)
        self._history_text_map = np.asarray(files.history_text_map)
        self._cooccurrence = files.cooccurrence
        self._repeats = files.repeats
        self.index = files.index
        self._tower = _session("user_tower.onnx", files.user_tower, n_threads)
        _check_inputs("user_tower.onnx", self._tower, TOWER_INPUTS, (files.history_vectors.shape[1],))
        is_int8 = files.precision == "int8"
        vectors = self._item_vectors if is_int8 else self._item_vectors.astype(np.float32)
        self._scan = Scan(files.index, vectors, files.cooccurrence)

    def user_vectors(self, histories: Sequence[History]) -> Floats:
        """Run the user tower; shape (n_people, n_factors). An empty history gives the stranger's vector."""
        return self.vectors_of([self.encode(history) for history in histories])

    def encode(self, history: History) -> EncodedHistory:
        """Turn a history into the student's input."""
        return encode_history(history, self.max_events, self._repeats.log_odds)

    def vectors_of(self, people: Sequence[EncodedHistory]) -> Floats:
        """Do the same for histories that are already encoded."""
        return self._run_tower(pad_histories(people))

    def boosts(self, histories: Sequence[History]) -> Boosts:
        """Return what the co-occurrence term adds to each person's scores. An empty history adds nothing."""
        encoded = [self.encode(history) for history in histories]
        return self._cooccurrence.boosts(pad_histories(encoded))

    def recommend(
        self,
        histories: Sequence[History],
        k: int,
        *,
        blocked: Sequence[npt.NDArray[np.int32]] | None = None,
        allowed: AllowedItems | None = None,
        n_probes: int | None = None,
    ) -> Ranked:
        """Recommend the best k items to each person: from histories to the ranking.

        blocked: item indices that may not appear, one array a person. allowed, n_probes: as in `top_k`.
        """
        if blocked is not None and len(blocked) != len(histories):
            raise ValueError(f"{len(blocked)} arrays of blocked items for {len(histories)} people")
        encoded = [self.encode(history) for history in histories]
        masks = [()] * len(encoded) if blocked is None else [(items,) for items in blocked]
        queries = [
            ScanQuery(*each, *mask)
            for *each, mask in zip(self.vectors_of(encoded), encoded, masks, strict=True)
        ]
        return self.top_k(queries, k, allowed=allowed, n_probes=n_probes)

    def top_k(
        self,
        queries: Sequence[ScanQuery],
        k: int,
        *,
        allowed: AllowedItems | None = None,
        n_probes: int | None = None,
    ) -> Ranked:
        """Rank the catalogue for each person, with masks inside the search so that the answer is full.

        allowed: the items that pass a filter; None for all. n_probes: how many lists to read, if there are lists;
        None for the index's own number.
        """
        return self._scan.top_k(queries, k, allowed, n_probes=n_probes)

    def score_items(
        self, user_vectors: Floats, boosts: Boosts, item_indices: npt.NDArray[np.int32]
    ) -> Floats:
        """Score chosen items exactly: (n_people, n_factors) x (n_items,) gives (n_people, n_items)."""
        products = user_vectors @ self.item_vectors(item_indices).T
        return np.asarray(products + boosts.of_items(item_indices), np.float32)

    def catalogue_scores(self, histories: Sequence[History]) -> Floats:
        """Score every item exactly; (n_people, n_items). This is for offline measurement."""
        every_item = np.arange(self.n_items, dtype=np.int32)
        products = self.user_vectors(histories) @ self.item_vectors(every_item).T
        return np.asarray(products + self.boosts(histories).dense(self.n_items), np.float32)

    def item_vectors(self, item_indices: npt.NDArray[np.integer[Any]]) -> Floats:
        """Return the output vectors of chosen items, (..., n_factors) float32."""
        vectors = self._item_vectors[item_indices] * self._item_scales[item_indices][..., None]
        return np.asarray(vectors, np.float32)

    def new_item_vectors(self, text_vectors: Floats) -> NewItemVectors:
        """Place items by their text vectors (n_items, n_text), which `TextEncoder.encode` makes.

        A text vector of zeros gets the place of an item of which the student knows nothing.
        """
        return NewItemVectors(
            _mapped(text_vectors, self._answer_text_map), _mapped(text_vectors, self._history_text_map)
        )

    def score_new_items(self, user_vectors: Floats, answer_vectors: Floats) -> Floats:
        """Score new items on the catalogue's own scale; (n_people, n_factors), (n_items, n_factors) give
        (n_people, n_items). There is no boost, since no events tell yet which items go with them.
        """
        return np.asarray(user_vectors @ answer_vectors.T, np.float32)

    def _run_tower(self, encoded: EncodedHistories) -> Floats:
        vectors = self._history_vectors[encoded.item_rows].astype(np.float32)
        vectors *= self._history_scales[encoded.item_rows][:, :, None]
        is_event = (encoded.item_rows > 0).astype(np.float32)
        values = (vectors, is_event, encoded.gap_log_days, encoded.event_kinds, encoded.log_counts)
        output: Floats = self._tower.run(None, dict(zip(TOWER_INPUTS, values, strict=True)))[0]
        return output


def _session(name: str, model: bytes, n_threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no other common base class
        raise FileCorrupt(f"{name} does not load: {error}") from error


def _check_inputs(
    name: str, session: ort.InferenceSession, inputs: tuple[str, ...], widths: tuple[int, ...]
) -> None:
    """Check that the graph takes exactly these inputs, the first of them with these widths (last axis) or any."""
    found = {each.name: each.shape for each in session.get_inputs()}
    if set(found) != set(inputs):
        raise BundleInconsistent(f"{name} takes {sorted(found)}, this code feeds {sorted(inputs)}")
    for each, width in zip(inputs, widths, strict=False):
        if found[each][-1:] != [width] and isinstance(found[each][-1], int):
            raise BundleInconsistent(
                f"{name} takes {each} of {found[each]}, the bundle's arrays have {width} in the last axis"
            )


def _mapped(text_vectors: Floats, text_map: Floats) -> Floats:
    return np.asarray(text_vectors @ text_map[:-1] + text_map[-1], np.float32)
