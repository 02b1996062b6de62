"""Finds who is asking, in memory, Redis or the bundle, and remembers, merges and forgets people.

A person in memory is valid as long as Redis would tell of a change (`watch`). Somebody who has changed is read again
within their next request, not after its reply: else an event that another replica accepted would miss that answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from math import inf
from time import monotonic

import msgspec
import numpy as np

from models.scan import ScanQuery
from models.student import Floats
from service.bundles.context import HistoryContext
from service.bundles.serving import ServingBundle
from service.contract.errors import RedisUnavailable, StageFailed
from service.limits.deadline import RequestClock, wait_at_most
from service.people.blobs import BlobCorrupt, BlobOutdated, decode_person, encode_person, with_vector
from service.people.memory import KnownPerson, PeopleInMemory
from service.people.recovery import Recovery
from service.people.redis import BlobWrite, RedisPeople
from service.people.resolving import Found, Layer, resolve
from service.people.stored import StoredEvents, StoredPerson
from service.people.visits import KnownVisits
from service.people.watch import NOT_WATCHED, Watch
from service.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

REDIS_SHARE = 0.4
"""The share of the remaining time that a request waits for Redis before it continues with the bundle's history."""

MAX_LINKED_PEOPLE = 50_000
"""How many people's visits a process keeps, the latest ones; Redis knows all of them."""

MAX_ATTEMPTS = 8
"""How often a merge is written again while other writers change the same person."""

SAY_AGAIN_SECONDS = 1.0

MERGING_SECONDS = 5.0
"""How long one attempt to merge or to forget waits for Redis, even for a slow one."""


class People:
    """Finds people, and keeps memory and Redis up to date. Keys are user ids or come from `records.session_key`.

    redis: None runs without it. max_age_seconds: how long a person in memory is valid if Redis does not tell of
    changes. merging: another connection to the same Redis, on which no request waits: a Redis too slow for requests
    still merges. recovery: says when answers may be outdated.

    on_merged: called with a person whose history has grown, so that their vector can be computed before they ask.
    """

    def __init__(
        self,
        memory: PeopleInMemory,
        redis: RedisPeople | None,
        metrics: Metrics,
        *,
        max_age_seconds: float,
        merging: RedisPeople | None = None,
        recovery: Recovery | None = None,
    ) -> None:
        self._memory = memory
        self._redis = redis
        self._merging = merging or redis
        self._recovery = recovery or Recovery()
        self._metrics = metrics
        self._max_age_seconds = max_age_seconds if redis else inf
        self._watch = redis.watch if redis else Watch()
        self._watch.call_for_each_change(memory.outdate)
        self._nobody: KnownPerson | None = None
        self._visits = KnownVisits(MAX_LINKED_PEOPLE)
        self._recovery.call_at_each_beginning(self._visits.clear)
        self._erased: set[str] = set()
        self._mending: asyncio.Task[None] | None = None
        """Only one runs at a time: a corrupt blob that it leaves out is found again."""
        self._said_at = -SAY_AGAIN_SECONDS
        self.on_merged: Callable[[str, KnownPerson, ServingBundle], None] = lambda key, person, serving: None

    async def find(self, user_id: str | None, serving: HistoryContext, clock: RequestClock) -> Found:
        """Find a person. Never fails: an unknown one has an empty history, and without Redis the bundle answers."""
        if user_id is None:
            return Found(self._stranger(serving), "none")
        held = self._memory.get(user_id)
        if (
            held is not None
            and held.version == serving.version
            and (held.watch == self._watch.number or held.fresh_until > monotonic())
        ):
            found = Found(held, "memory", self._recovery.degraded)
        else:
            found = await self._read(user_id, serving, clock, held)
            self._memory.put(user_id, found.person)
            if found.degraded is None:
                found.degraded = self._recovery.degraded
        self._metrics.found_in(found.layer)
        return found

    async def merge(self, user_id: str, events: StoredEvents, serving: HistoryContext) -> None:
        """Add a person's events here and in Redis, which tells all other replicas. Merging again adds nothing.

        Raises RedisUnavailable and HistoryUnwritable if only this process has merged them.
        """
        n_corrupt = 0
        for _ in range(MAX_ATTEMPTS):
            away: RedisUnavailable | None = None
            try:
                before, replaced = await self._before(user_id, serving, n_corrupt)
            except StageFailed as error:
                away = RedisUnavailable(f"only this process has merged it: {error}")
                before, replaced = self._held(user_id, serving, self._memory.peek(user_id)), b""
            except BlobCorrupt as error:  # a blob garbled on the wire is whole the next time
                self._say_corrupt(error)
                n_corrupt += 1
                continue
            stored = StoredPerson(before.events.merged(events), tag=serving.tag, is_erased=before.is_erased)
            if away is None and self._is_there(user_id, stored, replaced):
                self._memory.put(user_id, before)
                return
            person = resolve(serving, user_id, stored, replaced=before.replaced)
            self._memory.put(user_id, person)
            if away is not None:
                raise away
            if await self._replace(user_id, person, replaced):
                if isinstance(serving, ServingBundle):
                    self.on_merged(user_id, person, serving)
                return
            n_corrupt += before.replaced != replaced
        raise RedisUnavailable(f"others wrote to the same person {MAX_ATTEMPTS} times; try again")

    async def doubt(self) -> None:
        """Report that Redis holds a blob that was not written here; see `RedisPeople.doubt`."""
        if self._merging is not None:
            await self._merging.doubt()

    async def link(self, user_id: str, session_ids: frozenset[str]) -> None:
        """Remember that these visits were a person's, so that they are forgotten together. Raises RedisUnavailable
        and HistoryUnwritable; then it must be repeated.
        """
        new = session_ids - self._visits.of(user_id)
        if not new:
            return
        if self._merging is not None:
            await self._merging.link(user_id, new)
        self._visits.add(user_id, new)

    async def visits(self, user_id: str) -> frozenset[str]:
        """Return the known visits of a person. Raises RedisUnavailable if Redis cannot be asked."""
        known = self._visits.of(user_id)
        return known if self._merging is None else known | await self._merging.links(user_id)

    def mark_erased(self, user_id: str) -> None:
        """Ignore what bundles know of a person from now on, even while Redis cannot record it."""
        self._erased.add(user_id)
        self._memory.forget(user_id)
        self._visits.forget(user_id)

    async def erase(self, user_id: str) -> None:
        """Forget a person here, in Redis, and as far as any bundle knows them. Raises RedisUnavailable; then only
        this process has forgotten them.
        """
        self.mark_erased(user_id)
        if self._merging is not None:
            tombstone = encode_person(StoredPerson(StoredEvents.empty(), is_erased=True), user_id)
            await self._merging.write(BlobWrite(user_id, None, tombstone))
            await self._merging.unlink(user_id)

    async def _replace(self, user_id: str, person: KnownPerson, replaced: bytes) -> bool:
        """Put a person's blob into Redis in place of the earlier one; return False if another writer was faster."""
        if self._merging is None:
            person.fresh_until = inf
            return True
        is_written = await self._merging.write(BlobWrite(user_id, replaced, person.blob))
        if is_written:
            person.replaced = person.blob
        return is_written

    def remember(self, user_id: str, person: KnownPerson, vector: Floats, serving: ServingBundle) -> None:
        """Keep the vector (n_factors,) that was computed of this person's history, here and in Redis.

        Called after the reply was sent. Another replica's newer blob is left alone.
        """
        stored = vector.astype(np.float16)
        blob = with_vector(person.blob, stored, serving.tag, user_id)
        if self._memory.holds(user_id, person):  # else more of their events were merged meanwhile
            own = stored.astype(np.float32)  # a copy: a row of a batch would keep the whole batch alive
            query = ScanQuery(own, person.encoded)
            known = msgspec.structs.replace(person, blob=blob, vector=own, query=query, replaced=blob)
            self._memory.put(user_id, known)
        if self._redis is not None:
            self._redis.write_later(BlobWrite(user_id, person.replaced, blob))

    async def _read(
        self, user_id: str, serving: HistoryContext, clock: RequestClock, held: KnownPerson | None
    ) -> Found:
        """Ask Redis, and merge its answer with what the bundle and this process know of the person."""
        if self._redis is None:
            found = self._without_redis(user_id, serving, held, b"")
            found.person.fresh_until = inf
            return found
        self._watch.start_reading(user_id)
        try:
            blob = await wait_at_most(self._redis.read(user_id), REDIS_SHARE * clock.remaining())
        except StageFailed:
            self._watch.finish_reading(user_id)
            if held is not None and held.version == serving.version:
                return Found(held, "memory", "redis_unavailable")
            # It is stale at once, so that the next request asks Redis again and degraded answers say so.
            found = self._without_redis(user_id, serving, held, b"")
            found.degraded = "redis_unavailable"
            return found
        except BaseException:
            self._watch.finish_reading(user_id)
            raise
        is_overtaken = self._watch.finish_reading(user_id)
        try:
            found = self._merged(user_id, serving, held, blob)
        except BlobCorrupt as error:
            self._recovery.go_on()
            self._mend_later(user_id, serving, error)
            found = self._without_redis(user_id, serving, held, b"")  # b"" keeps write-backs off it
            found.degraded = "redis_unavailable"
            return found
        self._vouch_for(found.person, is_overtaken=is_overtaken)
        return found

    async def _before(
        self, user_id: str, serving: HistoryContext, n_corrupt: int
    ) -> tuple[KnownPerson, bytes]:
        """Return a person and the blob to replace. n_corrupt: how often the blob was corrupt so far.

        Raises BlobCorrupt the first time, and RedisUnavailable.
        """
        blob: bytes | None = None
        if self._merging is not None:
            blob = await wait_at_most(self._merging.read(user_id), MERGING_SECONDS)
        try:
            person = self._merged(user_id, serving, self._memory.peek(user_id), blob).person
        except BlobCorrupt as error:
            if n_corrupt == 0:
                raise
            if n_corrupt > 1:
                raise RedisUnavailable(f"what is read is not what stands there: {error}") from error
            await self.doubt()
            person = self._without_redis(user_id, serving, self._memory.peek(user_id), b"").person
            return person, blob or b""
        return person, person.replaced

    def _is_there(self, user_id: str, stored: StoredPerson, blob: bytes) -> bool:
        """Whether a blob from Redis holds exactly these events."""
        try:
            there = self._decode(user_id, blob) if blob else None
        except BlobCorrupt:
            return False
        return there is not None and there.is_erased == stored.is_erased and there.events == stored.events

    def _mend_later(self, user_id: str, serving: HistoryContext, error: BlobCorrupt) -> None:
        """Replace a corrupt blob by what is known of the person, after the reply."""
        self._say_corrupt(error)
        if self._mending is None:
            self._mending = asyncio.create_task(self._mend(user_id, serving))

    async def _mend(self, user_id: str, serving: HistoryContext) -> None:
        try:
            await self.merge(user_id, StoredEvents.empty(), serving)
        except StageFailed as error:
            logger.debug("a corrupt blob stays for now: %s", error)
        finally:
            self._mending = None

    def _say_corrupt(self, error: BlobCorrupt) -> None:
        self._metrics.corrupt_blobs.inc()
        if monotonic() - self._said_at >= SAY_AGAIN_SECONDS:  # all blobs may be corrupt
            self._said_at = monotonic()
            logger.warning("a corrupt blob counts as Redis away: %s", error)

    def _merged(
        self, user_id: str, serving: HistoryContext, held: KnownPerson | None, blob: bytes | None
    ) -> Found:
        """Return a person as Redis has them, plus what the bundle and this process know. Raises BlobCorrupt."""
        replaced = blob or b""
        if held is not None and held.version == serving.version and replaced == held.replaced:
            return Found(held, "redis" if blob else "memory")  # nobody has written since
        stored = self._decode(user_id, blob)
        if stored is None:
            return self._without_redis(user_id, serving, held, replaced)
        if stored.tag == serving.tag or stored.is_erased:  # the bundle's history is in it or must not be
            vector = stored.vector_for(serving)
            return Found(resolve(serving, user_id, stored, vector, replaced=replaced, blob=replaced), "redis")
        events = self._held_or_cold(user_id, serving, held)[0].merged(stored.events)
        return Found(resolve(serving, user_id, StoredPerson(events), replaced=replaced), "redis")

    def _held(self, user_id: str, serving: HistoryContext, held: KnownPerson | None) -> KnownPerson:
        """Return a person as far as they are known without Redis."""
        if held is not None and held.version == serving.version:
            return held
        return self._without_redis(user_id, serving, held, b"").person

    def _vouch_for(self, person: KnownPerson, *, is_overtaken: bool) -> None:
        """Mark a person just read as valid for the current watch or, without one, for a while."""
        person.watch, person.fresh_until = NOT_WATCHED, 0.0
        if is_overtaken:
            return
        if self._watch.number:
            person.watch = self._watch.number
        else:
            person.fresh_until = monotonic() + self._max_age_seconds

    def _without_redis(
        self, user_id: str, serving: HistoryContext, held: KnownPerson | None, replaced: bytes
    ) -> Found:
        events, layer = self._held_or_cold(user_id, serving, held)
        stored = StoredPerson(
            events, is_erased=user_id in self._erased or (held is not None and held.is_erased)
        )
        return Found(resolve(serving, user_id, stored, replaced=replaced), layer)

    def _held_or_cold(
        self, user_id: str, serving: HistoryContext, held: KnownPerson | None
    ) -> tuple[StoredEvents, Layer]:
        """Return the events that the bundle and this process hold of a person, and which of the two knew more."""
        is_erased = user_id in self._erased or (held is not None and held.is_erased)
        cold = None if is_erased else serving.cold_history(user_id)
        events = StoredEvents.empty()
        if cold is not None:
            events = StoredEvents.from_history(cold, serving.item_keys)
        if held is not None and len(held.events):
            return events.merged(held.events), "memory"
        return events, "bundle" if cold is not None else "none"

    def _decode(self, user_id: str, blob: bytes | None) -> StoredPerson | None:
        """Decode a blob; None if there is none, or one of another version. Raises BlobCorrupt."""
        if blob is None:
            return None
        try:
            return decode_person(blob, user_id)
        except BlobOutdated as error:
            logger.debug("a blob of another version counts as a miss: %s", error)
        return None

    def _stranger(self, serving: HistoryContext) -> KnownPerson:
        """Return the person without an id, the same object for as long as the bundle stays."""
        if self._nobody is None or self._nobody.version != serving.version:
            self._nobody = resolve(serving, "", StoredPerson(StoredEvents.empty()), replaced=b"")
        return self._nobody
