"""The plan of a drill: what it sends and what it breaks, all drawn from one seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

Fault = Literal["redis", "redis_emptied", "worker", "everything", "export", "export_killed"]

FAULTS_A_MINUTE: dict[Fault, int] = {
    "redis": 2,
    "redis_emptied": 2,
    "worker": 3,
    "everything": 3,
    "export": 3,
    "export_killed": 2,
}
N_PEOPLE, N_ITEMS = 2000, 1000
KINDS = ("view", "view", "view", "click", "cart", "purchase", "impression", "impression", "removal", "rating")
QUIET_SHARE = 0.1
"""Share of the time, at the start, in which nothing is broken, so that something works first."""


@dataclass(frozen=True)
class Plan:
    """The plan of a drill.

    rate: events per second. batch_events: events in one request. replay_share: share of batches that are sent a
    second time after they were accepted.
    """

    seed: int
    seconds: float = 60.0
    rate: float = 500.0
    batch_events: int = 10
    replay_share: float = 0.05

    @property
    def n_batches(self) -> int:
        """Number of batches that will be sent."""
        return round(self.seconds * self.rate / self.batch_events)

    def faults(self) -> list[tuple[float, Fault]]:
        """Return seconds from the start and what is broken then, in order; each kind occurs at least once."""
        random = Random(self.seed)
        found = [
            (random.uniform(QUIET_SHARE, 1.0) * self.seconds, fault)
            for fault, a_minute in FAULTS_A_MINUTE.items()
            for _ in range(max(1, round(a_minute * self.seconds / 60)))
        ]
        return sorted(found)

    def batches(self) -> Iterator[dict[str, Any]]:
        """Yield bodies of POST /events; each event's request_id identifies it."""
        random = Random(self.seed + 1)
        for number in range(self.n_batches):
            events = [self._event(random, number, place) for place in range(self.batch_events)]
            yield {"key": f"drill-{self.seed}-{number}", "events": events}

    def _event(self, random: Random, number: int, place: int) -> dict[str, Any]:
        event: dict[str, Any] = {
            "kind": random.choice(KINDS),
            "item_id": f"drill-item-{random.randrange(N_ITEMS)}",
            "request_id": f"{number}-{place}",
        }
        person = random.randrange(N_PEOPLE)
        event["session_id" if person % 10 == 0 else "user_id"] = f"drill-{person}"
        return event
