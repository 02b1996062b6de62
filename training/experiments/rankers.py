"""Rank as a bundle would have answered, with the masks, rounding and search of the service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.bundles.bundle import Bundle, read_bundle
from models.bundles.registry import Registry
from models.bundles.variants import STUDENT, best_items
from models.experiments.known import variants_of
from models.history import Event, EventKind, History
from models.named_kinds import kind_code
from models.removals import as_seen, standing
from models.scan import ScanQuery
from training.base.errors import ArmNotEstimable
from training.experiments.logged import LoggedAnswer, LoggedHistory, PastEvent

BATCH = 256


class Ranker:
    """Ranks by one version and variant. Raises ArmNotEstimable for a variant that the bundle does not have."""

    def __init__(self, bundle: Bundle, variant: str) -> None:
        carried = variants_of(bundle.manifest)
        if variant not in carried:
            raise ArmNotEstimable(
                f"bundle {bundle.version} cannot be asked for {variant!r}, only for {', '.join(sorted(carried))}"
            )
        self._bundle, self._variant = bundle, variant
        self._student = bundle.load_student()
        self._allowed = bundle.items.recommendable
        self._variants = None if variant == STUDENT else bundle.load_variants()

    def rank(self, histories: Sequence[LoggedHistory], limits: Sequence[int]) -> list[list[str]]:
        """Return the ids of the best items for each history, as many as its limit."""
        answers: list[list[str]] = []
        for start in range(0, len(histories), BATCH):
            part = [self._known(history) for history in histories[start : start + BATCH]]
            part_limits = limits[start : start + BATCH]
            for row, limit in zip(self._best(part, max(part_limits)), part_limits, strict=True):
                answers.append([self._id_of(item_index) for item_index in row[:limit] if item_index >= 0])
        return answers

    def _best(self, histories: Sequence[History], limit: int) -> list[list[int]]:
        """Return the best item indices for each history, best first, padded with -1."""
        if self._variants is not None:
            scores = self._variants.score(self._variant, histories)
            left_out = map(self._bundle.own_items.left_out, histories)
            return [
                best_items(own, limit, blocked=(items,), allowed=self._allowed).item_indices[0].tolist()
                for own, items in zip(scores, left_out, strict=True)
            ]
        encoded = [self._student.encode(history) for history in histories]
        vectors = self._student.vectors_of(encoded).astype(np.float16).astype(np.float32)
        left_out = map(self._bundle.own_items.left_out, histories)
        queries = [ScanQuery(*each) for each in zip(vectors, encoded, left_out, strict=True)]
        ranked: list[list[int]] = self._student.top_k(
            queries, limit, allowed=self._allowed
        ).item_indices.tolist()
        return ranked

    def _known(self, history: LoggedHistory) -> History:
        find = self._bundle.items.vocabulary.find
        events = [
            Event(item_index, time, EventKind(kind))
            for item_id, time, kind in zip(history.item_ids, history.times, history.kinds, strict=True)
            if (item_index := find(item_id)) is not None
        ]
        return History.from_events(events)

    def _id_of(self, item_index: int) -> str:
        return self._bundle.items.vocabulary.id_of(item_index)


def _without_undone(history: LoggedHistory) -> LoggedHistory:
    """Leave out what a model does not see, by `models.removals`. history: in the order of arrival."""
    subjects = np.unique(np.array(history.item_ids, np.str_), return_inverse=True)[1]
    kinds, times = np.array(history.kinds, np.uint8), np.array(history.times, np.int64)
    stands = np.flatnonzero(standing(subjects, kinds, times, np.arange(len(kinds)))).tolist()
    return LoggedHistory(
        [history.item_ids[row] for row in stands],
        [history.times[row] for row in stands],
        as_seen(kinds[stands]).tolist(),
    )


class Rankers:
    """The rankers of a store's versions, each loaded once."""

    def __init__(self, store: Path) -> None:
        self._registry = Registry(store)
        self._bundles: dict[str, Bundle] = {}
        self._rankers: dict[tuple[str, str], Ranker] = {}

    def ranker(self, version: str, variant: str) -> Ranker:
        """Return a ranker. Raises RegistryError for a version that is not in the store, and what Ranker raises."""
        key = (version, variant)
        if key not in self._rankers:
            self._rankers[key] = Ranker(self._bundle(version), variant)
        return self._rankers[key]

    def history(self, answer: LoggedAnswer, events: Sequence[PastEvent]) -> LoggedHistory | None:
        """Return the history of an answer: as sampled, else from its bundle and the log.

        events: the person's, with removals, in the order of acceptance. Returns None if the request brought events of
        its visit that were not recorded.
        """
        if answer.history is not None or answer.n_session or answer.user_id is None:
            return answer.history
        bundle = self._bundle(answer.version)
        cold = bundle.people.find(answer.user_id)
        past = [event for event in events if event.received_ms <= answer.sent_ms]
        history = LoggedHistory([], [], [])
        if cold is not None:
            id_of = bundle.items.vocabulary.id_of
            history.item_ids.extend(id_of(item_index) for item_index in cold.item_indices.tolist())
            history.times.extend(cold.times.tolist())
            history.kinds.extend(cold.kinds.tolist())
        history.item_ids.extend(event.item_id for event in past)
        history.times.extend(event.time for event in past)
        liked_from = bundle.manifest.student.liked_from
        history.kinds.extend(kind_code(event.kind, event.value, liked_from) for event in past)
        return _without_undone(history)

    def _bundle(self, version: str) -> Bundle:
        if version not in self._bundles:
            self._bundles[version] = read_bundle(self._registry.path(version))
        return self._bundles[version]
