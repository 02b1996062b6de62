"""People in process memory: a least-recently-used cache bounded in bytes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from models.history import History
from models.student import Floats
from service.histories.stored import StoredEvents

ENTRY_OVERHEAD_BYTES = 1500
"""What Python's objects around one person weigh, by measurement."""


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """A person resolved for one bundle.

    version: the bundle's. events: independent of it. history: the events this bundle knows.
    vector: (n_factors,) of exactly this history, or None. replaced: the head of the blob in Redis that this
    came from, b"" for none. fresh_until: `time.monotonic`; later than that Redis is asked again.
    """

    version: str
    events: StoredEvents
    history: History
    vector: Floats | None
    replaced: bytes
    fresh_until: float

    def size_bytes(self) -> int:
        """What holding this person costs, about."""
        vector_bytes = 0 if self.vector is None else self.vector.nbytes
        return ENTRY_OVERHEAD_BYTES + 26 * len(self.events) + vector_bytes


class PeopleInMemory:
    """max_bytes: the least recently asked for leave when it is passed; 0 holds nobody."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._people: OrderedDict[str, KnownPerson] = OrderedDict()
        self.held_bytes = 0

    def __len__(self) -> int:
        return len(self._people)

    def get(self, user_id: str) -> KnownPerson | None:
        """The person, now the most recently asked for."""
        person = self._people.get(user_id)
        if person is not None:
            self._people.move_to_end(user_id)
        return person

    def put(self, user_id: str, person: KnownPerson) -> None:
        """Hold a person, in place of what was held of them."""
        self.forget(user_id)
        self._people[user_id] = person
        self.held_bytes += person.size_bytes()
        while self.held_bytes > self._max_bytes:
            _, evicted = self._people.popitem(last=False)
            self.held_bytes -= evicted.size_bytes()

    def forget(self, user_id: str) -> None:
        """Hold nothing of a person."""
        held = self._people.pop(user_id, None)
        if held is not None:
            self.held_bytes -= held.size_bytes()
