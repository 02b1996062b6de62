"""Attributes outcomes to answers: joins clicks and purchases with the answers that showed the item.

An event is joined by the answer's request id if it carries one, else to the person's or the session's latest answer
that showed the item, within the window. Each answer counts at most one click and one purchase, and each event counts
for one answer.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from models.experiments.assignment import unit_of

AttributedOutcome = Literal["click", "purchase"]
OUTCOMES: dict[str, AttributedOutcome] = {"click": "click", "purchase": "purchase"}

EARLY_MS = 60_000
"""How long before its answer an event may be read, as the answer goes to another stream a little later."""

MAX_EARLY_EVENTS = 10_000

CLOCK_SKEW_MS = 1000
"""The tolerated clock difference between the replica that answered and the one that accepted the event."""


class Shown(Protocol):
    """An answer that was sent; `service.log.records.ExposureRecord` says what its fields mean."""

    @property
    def request_id(self) -> str: ...
    @property
    def sent_ms(self) -> int: ...
    @property
    def item_ids(self) -> list[str]: ...
    @property
    def user_id(self) -> str | None: ...
    @property
    def session_id(self) -> str | None: ...


class Happened(Protocol):
    """An event that was accepted; `service.log.records.EventRecord` says what its fields mean."""

    @property
    def event_id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def item_id(self) -> str: ...
    @property
    def received_ms(self) -> int: ...
    @property
    def user_id(self) -> str | None: ...
    @property
    def session_id(self) -> str | None: ...
    @property
    def request_id(self) -> str: ...
    @property
    def value(self) -> float | None: ...


ShownT = TypeVar("ShownT", bound=Shown)


class Attributed(NamedTuple, Generic[ShownT]):
    """An outcome of an answer. value: a purchase's, 0 if none was given. at_ms: Unix milliseconds, as accepted."""

    exposure: ShownT
    outcome: AttributedOutcome
    item_id: str
    value: float
    at_ms: int


class _Held(Generic[ShownT]):
    """An answer that is still within its window, and the outcomes it has had."""

    __slots__ = ("keys", "outcomes", "record")

    def __init__(self, record: ShownT) -> None:
        self.record = record
        self.keys = _keys(record)
        self.outcomes: set[str] = set()


class Attributor(Generic[ShownT]):
    """window_seconds: how long after an answer an event counts for it. max_exposures: how many answers are
    remembered; the oldest are forgotten first, before their window is over if need be.

    n_unattributed: events that found no answer. n_cut_short: answers that were forgotten too early. Time is the
    latest that any record carried, never this machine's clock.
    """

    def __init__(self, window_seconds: float, max_exposures: int) -> None:
        self._window_ms = int(1000 * window_seconds)
        self._max_exposures = max_exposures
        self._held: deque[_Held[ShownT]] = deque()
        self._by_key: defaultdict[str, list[_Held[ShownT]]] = defaultdict(list)
        self._early: OrderedDict[str, Happened] = OrderedDict()
        self._early_by_key: defaultdict[str, list[str]] = defaultdict(list)
        self._now_ms = 0
        self.n_unattributed = 0
        self.n_cut_short = 0

    def __len__(self) -> int:
        return len(self._held)

    def exposed(self, record: ShownT) -> list[Attributed[ShownT]]:
        """Remember an answer; return outcomes that were read before it."""
        held = _Held(record)
        self._held.append(held)
        for key in held.keys:
            self._by_key[key].append(held)
        self._pass_time(record.sent_ms)
        return list(self._what_came_early(held))

    def happened(self, event: Happened) -> list[Attributed[ShownT]]:
        """Return the outcome that an event is, in a list; it is empty if there is none or its answer is unknown."""
        self._pass_time(event.received_ms)
        if event.kind not in OUTCOMES:
            return []
        held = self._find(event)
        if held is not None:
            return self._count(held, event)
        self._early[event.event_id] = event
        for key in _keys(event):
            self._early_by_key[key].append(event.event_id)
        return []

    def forget(self, user_id: str, before_ms: int) -> list[ShownT]:
        """Drop a person's answers and events from before a moment; return the answers, the oldest first."""
        theirs = [held for held in self._by_key.get(user_id, ()) if held.record.sent_ms < before_ms]
        for held in theirs:
            self._held.remove(held)
            self._forget(held)
        for event_id in list(self._early_by_key.get(user_id, ())):
            event = self._early[event_id]
            if event.received_ms < before_ms:
                self._forget_early(event)
        return [held.record for held in theirs]

    def _count(self, held: _Held[ShownT], event: Happened) -> list[Attributed[ShownT]]:
        outcome = OUTCOMES[event.kind]
        if outcome in held.outcomes:
            return []
        held.outcomes.add(outcome)
        return [Attributed(held.record, outcome, event.item_id, event.value or 0.0, event.received_ms)]

    def _find(self, event: Happened) -> _Held[ShownT] | None:
        for key in _keys(event):
            for held in reversed(self._by_key.get(key, ())):
                if self._belongs(event, held.record):
                    return held
        return None

    def _belongs(self, event: Happened, record: ShownT) -> bool:
        age_ms = event.received_ms - record.sent_ms
        return -CLOCK_SKEW_MS <= age_ms <= self._window_ms and event.item_id in record.item_ids

    def _what_came_early(self, held: _Held[ShownT]) -> Iterator[Attributed[ShownT]]:
        for key in held.keys:
            for event_id in list(self._early_by_key.get(key, ())):
                event = self._early.get(event_id)
                if event is not None and self._belongs(event, held.record):
                    self._forget_early(event)
                    yield from self._count(held, event)

    def _pass_time(self, now_ms: int) -> None:
        """Forget answers whose window is over, and events whose answer never came."""
        self._now_ms = max(self._now_ms, now_ms)
        oldest_ms = self._now_ms - self._window_ms - EARLY_MS
        while self._held and (
            self._held[0].record.sent_ms < oldest_ms or len(self._held) > self._max_exposures
        ):
            self.n_cut_short += self._held[0].record.sent_ms >= self._now_ms - self._window_ms
            self._forget(self._held.popleft())
        while self._early:
            event = next(iter(self._early.values()))
            if event.received_ms >= self._now_ms - EARLY_MS and len(self._early) <= MAX_EARLY_EVENTS:
                break
            self.n_unattributed += 1
            self._forget_early(event)

    def _forget(self, held: _Held[ShownT]) -> None:
        for key in held.keys:
            others = self._by_key[key]
            others.remove(held)  # it is the oldest of its key, so the first in the list
            if not others:
                del self._by_key[key]

    def _forget_early(self, event: Happened) -> None:
        del self._early[event.event_id]
        for key in _keys(event):
            others = self._early_by_key[key]
            others.remove(event.event_id)
            if not others:
                del self._early_by_key[key]


def _keys(record: Shown | Happened) -> tuple[str, ...]:
    """Return the keys by which answers and events are joined, the surest first."""
    request = f"\0\0{record.request_id}" if record.request_id else None
    session = unit_of(None, record.session_id, "session")
    return tuple(key for key in (request, record.user_id, session) if key is not None)
