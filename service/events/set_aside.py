"""Sets aside people whose history cannot be written: they are logged and counted, so that nobody waits for them.

Their events are on disk and in the live log in any case; here a bounded number waits for another attempt to merge.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from time import monotonic

from service.people.stored import StoredEvents
from service.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

MAX_PEOPLE = 1000
"""A person takes up to about 35 kB. Beyond this number nothing is kept; events are merged after the next restart."""

TRY_AGAIN_SECONDS = 10.0


@dataclass(slots=True)
class _Aside:
    events: StoredEvents
    due_at: float


class SetAside:
    """clock: returns seconds and may start anywhere."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = monotonic) -> None:
        self._metrics = metrics
        self._clock = clock
        self._people: dict[str, _Aside] = {}
        self._is_full_said = False

    def __len__(self) -> int:
        return len(self._people)

    def __contains__(self, key: str) -> bool:
        return key in self._people

    def add(self, key: str, events: StoredEvents, why: Exception) -> None:
        """Keep a person's events that could not be merged. key: the person's or the visit's."""
        self._metrics.merging_refused.inc()
        aside = self._people.get(key)
        if aside is not None:
            aside.events = aside.events.merged(events)
            return
        if len(self._people) == MAX_PEOPLE:
            self._say_full()
            return
        self._people[key] = _Aside(events, self._clock() + TRY_AGAIN_SECONDS)
        self._metrics.people_set_aside.set(len(self._people))
        logger.error(
            "the history of one person cannot be written, and waits apart from all others (SHA-256 of the id begins "
            "with %s): %s: %s; see what stands under their key in Redis",
            name_of(key),
            type(why).__name__,
            why,
        )

    def _say_full(self) -> None:
        if not self._is_full_said:
            self._is_full_said = True
            logger.error(
                "the histories of more than %d people cannot be written; of others what they did is merged after the "
                "next restart",
                MAX_PEOPLE,
            )

    def due(self) -> list[tuple[str, StoredEvents]]:
        """Return whom to try again now. Each is due again after TRY_AGAIN_SECONDS, unless `done` is called first."""
        now = self._clock()
        due = [(key, aside) for key, aside in self._people.items() if aside.due_at <= now]
        for _, aside in due:
            aside.due_at = now + TRY_AGAIN_SECONDS
        return [(key, aside.events) for key, aside in due]

    def done(self, key: str) -> None:
        """Forget a person here: their events were merged after all, or are to be erased."""
        if self._people.pop(key, None) is not None:
            self._metrics.people_set_aside.set(len(self._people))
            logger.info("the history of a person that was set aside is written again (%s)", name_of(key))


def name_of(key: str) -> str:
    """Return what the log calls a person: part of a hash, since the log names nobody."""
    return sha256(key.encode()).hexdigest()[:12]
