"""A bundle in a notebook: it is loaded and verified as a service does, and answers with the same student.

A path goes in; recommendations by the shop's own ids come out. numpy and onnxruntime, no training library.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np

from models.bundles.bundle import Bundle, read_bundle
from models.bundles.files import MANIFEST
from models.bundles.golden import replay_golden
from models.bundles.registry import DEFAULT_STORE, Registry
from models.history import Event as IndexedEvent
from models.history import EventKind, History
from models.index import AllowedItems
from models.named_kinds import kind_code
from models.student import Student

MAX_LIMIT = 100
"""Recommendations that one question may ask for, as in the API."""

Kind = Literal["view", "click", "cart", "purchase", "rating", "dislike"]
KnownItems = Literal["rank", "leave_out_bought", "leave_out_touched", "only"]
Metrics = Mapping[str, Mapping[str, float]]
"""Model to metric to value."""


class Event(NamedTuple):
    """One thing that a person did. item_id: the shop's. time: Unix seconds. value: a rating; a low one, as the bundle
    sees it, is a dislike.
    """

    item_id: str
    time: int
    kind: Kind = "purchase"
    value: float | None = None


class Recommendation(NamedTuple):
    """One item of an answer. score: orders this answer, on a scale of the student's own. title: empty where the shop
    gave none.
    """

    item_id: str
    score: float
    title: str


@dataclass(frozen=True)
class Model:
    """A bundle with its student running. Make one with `load_bundle` or `train`.

    bundle: everything that the bundle holds, for whoever needs more than the methods here.
    """

    bundle: Bundle
    student: Student

    @property
    def version(self) -> str:
        """The bundle's name: creation time and content hash."""
        return self.bundle.version

    @property
    def metrics(self) -> Mapping[str, Metrics]:
        """What was measured on the test when the bundle was trained: protocol to model to metric to value."""
        return self.bundle.manifest.training.metrics

    def recommend(
        self,
        user_id: str | None = None,
        *,
        events: Iterable[Event] = (),
        limit: int = 10,
        known_items: KnownItems = "rank",
        exclude_items: Collection[str] = (),
    ) -> list[Recommendation]:
        """Answer for one person, best item first; at most `limit` items, each once, none that may not be recommended.

        user_id: the shop's; somebody the bundle does not know is answered as a stranger, and so is None.
        events: what the person did beside what the bundle knows, in any order. limit: 1 to 100.
        known_items: what to do with the person's own items, those of `events` included. "rank": they are candidates
        like all others. "leave_out_bought": none that has an event of the bundle's target, which usually is a
        purchase. "leave_out_touched": none that has any event. "only": nothing but bought items, to buy again.
        exclude_items: never answer these.
        Raises UnknownId for an item that the bundle does not know, ValueError for a limit, a kind or a known_items
        that is none.
        """
        if not 1 <= limit <= MAX_LIMIT:
            raise ValueError(f"limit is {limit}; it must be 1 to {MAX_LIMIT}")
        if known_items not in get_args(KnownItems):
            known = ", ".join(get_args(KnownItems))
            raise ValueError(f"known_items is {known_items!r}; it must be one of {known}")
        items, history = self.bundle.items, self._history(user_id, events)
        blocked = items.vocabulary.indices_of(exclude_items, unknown="raise")
        allowed = items.recommendable
        bought = history.items_of(EventKind[self.bundle.manifest.student.target.upper()])
        if known_items == "leave_out_touched":
            blocked = np.concatenate([blocked, history.item_indices])
        elif known_items == "leave_out_bought":
            blocked = np.concatenate([blocked, bought])
        elif known_items == "only":
            only = bought if allowed is None else bought[allowed.contains(bought)]
            allowed = AllowedItems.of(only, len(items))
        ranked = self.student.recommend([history], limit, blocked=[blocked], allowed=allowed)
        answer = zip(ranked.item_indices[0].tolist(), ranked.scores[0].tolist(), strict=True)
        return [
            Recommendation(items.vocabulary.id_of(item_index), score, items.titles[item_index])
            for item_index, score in answer
            if item_index >= 0
        ]

    def _history(self, user_id: str | None, events: Iterable[Event]) -> History:
        known = None if user_id is None else self.bundle.people.find(user_id)
        return (History.empty() if known is None else known).extended(self._history_of(list(events)))

    def _history_of(self, events: list[Event]) -> History:
        vocabulary, liked_from = self.bundle.items.vocabulary, self.bundle.manifest.student.liked_from
        rows = vocabulary.indices_of((event.item_id for event in events), unknown="raise").tolist()
        return History.from_events(
            IndexedEvent(row, event.time, _kind_code(event, liked_from))
            for row, event in zip(rows, events, strict=True)
        )


def load_bundle(path: str | Path = DEFAULT_STORE) -> Model:
    """Load a bundle, verify every file of its student and replay its golden requests, as a service does.

    path: a store, of which the promoted bundle is taken, or the folder of one bundle. Raises NothingPromoted for a
    store without a promoted bundle, a BundleError that names what is wrong with a bundle.
    """
    folder = Path(path)
    if not (folder / MANIFEST).exists():
        registry = Registry(folder)
        registry.require_store()
        folder = registry.path(registry.current())
    bundle = read_bundle(folder)
    student = bundle.load_student()
    replay_golden(student, bundle.text_encoder, bundle.golden, bundle.items.recommendable)
    return Model(bundle, student)


def _kind_code(event: Event, liked_from: float | None) -> int:
    if event.kind not in get_args(Kind):
        known = ", ".join(get_args(Kind))
        raise ValueError(f"the kind of an event is {event.kind!r}; it must be one of {known}")
    return kind_code(event.kind, event.value, liked_from)
