"""Shoppers, who buy items they were shown and must not be shown them again, and a crowd that only sends events."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from time import perf_counter
from typing import Any

from loadtest.events.plan import KINDS
from loadtest.promotion.questions import Question

LEARNING_SECONDS = 0.25
"""If acceptance took longer, the event may be learned after its reply (docs/events.md) ..."""

LEARNING_LATER_SECONDS = 5.0
"""... and this is the time that it then has."""

LIMIT = 10
N_EVENTS = 5
N_CROWD = 2000
MAX_BOUGHT = 60
"""The most items that a shopper buys, so that a small catalogue does not run out."""


@dataclass
class Shopper:
    """One shopper.

    identity: how the shop names them, in questions and in events. bought: by item, the moment on `perf_counter` from
    which every answer must know of it. wanted: what they will buy next.
    """

    identity: dict[str, str]
    bought: dict[str, float] = field(default_factory=dict)
    wanted: deque[str] = field(default_factory=lambda: deque(maxlen=1))
    impressions: list[str] = field(default_factory=list)

    def question(self, random: Random, deadline_ms: int) -> Question:
        """Return the next question; every third excludes some items that were shown before."""
        body: dict[str, Any] = {**self.identity, "limit": LIMIT, "deadline_ms": deadline_ms}
        body["known_items"] = "leave_out_touched"  # so that an answer shows whether it knows of a purchase
        if self.impressions and random.random() < 1 / 3:
            body["exclude_items"] = random.sample(self.impressions, min(3, len(self.impressions)))
        return Question("/recommend", body)

    def known_to_have_bought(self, at: float) -> set[str]:
        """Return the purchases that an answer to a question sent at a moment must know of."""
        return {item for item, known_from in self.bought.items() if known_from <= at}

    def was_shown(self, items: list[str]) -> None:
        """Take note of the items shown; the shopper wants the first that they have not bought."""
        self.impressions = items
        new = [item for item in items if item not in self.bought]
        if new and len(self.bought) < MAX_BOUGHT:
            self.wanted.append(new[0])


class Shopping:
    """The events of shoppers and crowd, in batches; each event's request_id identifies it."""

    def __init__(self, shoppers: Sequence[Shopper], items: Sequence[str], seed: int) -> None:
        self.shoppers = list(shoppers)
        self._items = items
        self._seed = seed
        self._random = Random(seed)
        self._buying: dict[str, tuple[Shopper, str]] = {}
        self._n_batches = 0

    def next_batch(self) -> dict[str, Any]:
        """Return the body of the next POST /events."""
        number, self._n_batches = self._n_batches, self._n_batches + 1
        key = f"faults-{self._seed}-{number}"
        events = [self._of_crowd() for _ in range(N_EVENTS)]
        shopper = self._random.choice(self.shoppers)
        if shopper.wanted:
            item = shopper.wanted.pop()
            self._buying[key] = (shopper, item)
            events[0] = {**shopper.identity, "kind": "purchase", "item_id": item}
        marked = [{**event, "request_id": f"{number}-{place}"} for place, event in enumerate(events)]
        return {"key": key, "events": marked}

    def accepted(self, body: dict[str, Any], seconds: float) -> None:
        """Count a purchase as known from now on, or a little later if the service took its time."""
        shopper, item = self._buying.pop(body["key"], (None, ""))
        if shopper is not None:
            is_learnt = seconds < LEARNING_SECONDS / 2  # it includes our own lateness
            shopper.bought[item] = perf_counter() + (0 if is_learnt else LEARNING_LATER_SECONDS)

    def _of_crowd(self) -> dict[str, Any]:
        person = self._random.randrange(N_CROWD)
        named = "session_id" if person % 10 == 0 else "user_id"
        kind, item = self._random.choice(KINDS), self._random.choice(self._items)
        return {named: f"crowd-{person}", "kind": kind, "item_id": item}


def draw_shoppers(people: Sequence[str]) -> list[Shopper]:
    """Return shoppers: people of the bundle, as many new people, and as many anonymous visits."""
    known = [Shopper({"user_id": person}) for person in people]
    new_people = [Shopper({"user_id": f"new-{number}"}) for number in range(len(people))]
    visits = [Shopper({"session_id": f"visit-{number}"}) for number in range(len(people))]
    return [*known, *new_people, *visits]
