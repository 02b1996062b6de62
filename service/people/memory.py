"""People in process memory: a cache bounded in bytes that keeps those who come again."""

from __future__ import annotations

from collections import deque

import msgspec
import numpy as np
import numpy.typing as npt

from models.history import EncodedHistory, History
from models.scan import ScanQuery
from models.student import Floats
from service.bundles.serving import Indices
from service.people.blobs import decode_events, is_erased
from service.people.stored import StoredEvents
from service.people.watch import NOT_WATCHED

ENTRY_BYTES = 1720
"""The measured size of a person besides the numbers in their arrays: Python's objects and the cache's own."""

OWN_ARRAY_BYTES = 112
"""The size of an array object without its numbers; most people's items need no further array."""

NEWCOMERS_SHARE = 10
"""One person in this many may be a newcomer; when there are more, newcomers are the ones to leave."""


class KnownPerson(msgspec.Struct, gc=False):
    """A person resolved for one bundle: few objects, with all that every request needs at hand.

    version: the bundle's. blob: their events, independent of the bundle, as `blobs.encode_person` packs them. items:
    (n_shown,) int32, the item of each event that this bundle may see, oldest first. are_shown: (n_events,), which
    events of the blob these are; None for all. touched: (n_touched,) int32, the same items, each once; the very array
    of `items` if none occurs twice. settled: (n_settled,) int32, those with an event of the bundle's target or a
    dislike, each once; the very array of `touched` if these are all. encoded: the events as the student reads them.
    vector: (n_factors,) of exactly these events, or None. query: the question made of vector and events, which leaves
    out no item; None without a vector. replaced: the blob in Redis that this came from, b"" for none.
    watch: the number of the watch under which it was read; while that lasts it equals Redis. fresh_until:
    `time.monotonic`; without a watch, Redis is asked again after it. is_asked_again: the cache's own mark.

    A person cannot be part of a cycle, and the garbage collector does not look at them: a full collection among
    60,000 people that it did look at took 60 ms.
    """

    version: str
    blob: bytes
    items: Indices
    are_shown: npt.NDArray[np.bool_] | None
    touched: Indices
    settled: Indices
    encoded: EncodedHistory
    vector: Floats | None
    query: ScanQuery | None
    replaced: bytes
    fresh_until: float
    watch: int = NOT_WATCHED
    is_asked_again: bool = False

    @property
    def events(self) -> StoredEvents:
        """All events, which are unpacked at each access: 6 µs."""
        return decode_events(self.blob)

    @property
    def is_erased(self) -> bool:
        """Whether the person was to be forgotten, so that only later events count."""
        return is_erased(self.blob)

    @property
    def history(self) -> History:
        """The events that this bundle may see, unpacked at each access; only requests that bring their own events or
        want explanations need it.
        """
        return self.events.as_history(self.items, self.are_shown)

    def size_bytes(self) -> int:
        """Return about how many bytes this person takes."""
        n_bytes = ENTRY_BYTES + len(self.blob) + 4 * len(self.items) + 17 * len(self.encoded.item_rows)
        if self.touched is not self.items:
            n_bytes += OWN_ARRAY_BYTES + 4 * len(self.touched)
        if self.settled is not self.touched and len(self.settled):
            n_bytes += OWN_ARRAY_BYTES + 4 * len(self.settled)
        if self.vector is not None:
            n_bytes += self.vector.nbytes
        return n_bytes if self.are_shown is None else n_bytes + self.are_shown.nbytes


class PeopleInMemory:
    """An S3-FIFO cache (Yang et al., SOSP 2023) with one bit a person; a hit sets a flag and moves nothing.

    Newcomers pass through a short queue and leave at its end unless they are asked for again: most of a long tail
    does, and everybody whom a batch job walks past. Measured over a power law of ten million people (exponent 1.0)
    with room for 50,000: 62.8 % hits, against 58.0 % with least-recently-used; with scans in between 62.1 % against
    55.3 %.

    max_bytes: beyond it people leave; 0 holds nobody.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._people: dict[str, KnownPerson] = {}
        self._newcomers: deque[str] = deque()
        self._regulars: deque[str] = deque()
        self._departed: set[int] = set()
        """Hashes of people who left as newcomers: if they come back, they are regulars."""
        self._departures: deque[int] = deque()
        self.held_bytes = 0

    def __len__(self) -> int:
        return len(self._people)

    def __contains__(self, user_id: str) -> bool:
        return user_id in self._people

    def get(self, user_id: str) -> KnownPerson | None:
        """Return the person, and mark them as asked for again."""
        person = self._people.get(user_id)
        if person is not None:
            person.is_asked_again = True
        return person

    def peek(self, user_id: str) -> KnownPerson | None:
        """Return the person without a mark, since this is no request of theirs."""
        return self._people.get(user_id)

    def holds(self, user_id: str, person: KnownPerson) -> bool:
        """Whether this very object is held for the person; sets no mark."""
        return self._people.get(user_id) is person

    def put(self, user_id: str, person: KnownPerson) -> None:
        """Hold a person, in place of the one that was held before."""
        held = self._people.get(user_id)
        self._people[user_id] = person
        self.held_bytes += person.size_bytes()
        if held is not None:
            self.held_bytes -= held.size_bytes()
            person.is_asked_again = held.is_asked_again
        elif hash(user_id) in self._departed:
            self._departed.remove(hash(user_id))
            self._regulars.append(user_id)
        else:
            self._newcomers.append(user_id)
        while self.held_bytes > self._max_bytes:
            self._let_one_go()

    def outdate(self, user_id: str) -> None:
        """Mark a person as no longer equal to Redis."""
        held = self._people.get(user_id)
        if held is not None:
            held.watch, held.fresh_until = NOT_WATCHED, 0.0

    def forget(self, user_id: str) -> None:
        """Drop a person. Their place in a queue stays and is skipped when its turn comes."""
        held = self._people.pop(user_id, None)
        if held is not None:
            self.held_bytes -= held.size_bytes()

    def _let_one_go(self) -> None:
        """Let the next in line go; a person who was asked for again stays, as a regular."""
        n_newcomers_allowed = max(
            1, len(self._people) // NEWCOMERS_SHARE
        )  # never the only one, who just came
        are_newcomers = len(self._newcomers) > n_newcomers_allowed or not self._regulars
        user_id = (self._newcomers if are_newcomers else self._regulars).popleft()
        person = self._people.get(user_id)
        if person is None:
            return
        if person.is_asked_again:
            person.is_asked_again = False
            self._regulars.append(user_id)
            return
        self.forget(user_id)
        if are_newcomers:
            self._remember_departure(hash(user_id))

    def _remember_departure(self, who: int) -> None:
        self._departed.add(who)
        self._departures.append(who)
        while len(self._departures) > len(self._people):
            self._departed.discard(self._departures.popleft())
