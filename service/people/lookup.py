"""Who is asking: memory, then Redis, then the bundle; and what is remembered, merged from events, and forgotten.

A person in memory is good as long as Redis would tell of a change (`watch`). Who has changed is read again within the
next request and not after its reply: otherwise an event that another replica accepted would miss that very answer.
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
"""Of the remaining time, what a request waits for Redis before it goes on with what the bundle knows."""

MAX_LINKED_PEOPLE = 50_000
"""Whose visits a process knows, the latest ones; Redis knows all of them."""

MAX_ATTEMPTS = 8
"""To write what was merged of a person, while others write to the same person."""

SAY_AGAIN_SECONDS = 1.0

MERGING_SECONDS = 5.0
"""How long one attempt to merge or to forget waits for Redis, a slow one included."""


class People:
    """redis: None runs without. max_age_seconds: after that a person in memory is read from Redis again, where Redis
    does not tell of changes. Keys are user ids, or of `records.session_key`.

    merging: another connection to the same Redis, on which nobody waits for an answer: a Redis that is too slow for
    requests still merges. recovery: says when answers may be of before.

    on_merged: called with somebody whose history has grown, so that their vector can be made before they ask.
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
        """One at a time: whom it leaves out is found to be so again."""
        self._said_at = -SAY_AGAIN_SECONDS
        self.on_merged: Callable[[str, KnownPerson, ServingBundle], None] = lambda key, person, serving: None

    async def find(self, user_id: str | None, serving: HistoryContext, clock: RequestClock) -> Found:
        """Never fails: a person nobody knows has an empty history, and without Redis the bundle answers."""
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
        """Add what a person did, here and in Redis, which tells every other replica. Merging it again adds nothing.

        Raises RedisUnavailable and HistoryUnwritable where only this process has merged it.
        """
        n_corrupt = 0
        for _ in range(MAX_ATTEMPTS):
            away: RedisUnavailable | None = None
            try:
                before, replaced = await self._before(user_id, serving, n_corrupt)
            except StageFailed as error:
                away = RedisUnavailable(f"only this process has merged it: {error}")
                before, replaced = self._held(user_id, serving, self._memory.peek(user_id)), b""
            except BlobCorrupt as error:  # what the line garbled once is not so again
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
        """Redis holds of somebody what was not written here; see `RedisPeople.doubt`."""
        if self._merging is not None:
            await self._merging.doubt()

    async def link(self, user_id: str, session_ids: frozenset[str]) -> None:
        """Remember that these visits were a person's: who is to be forgotten is so with them. Raises RedisUnavailable
        and HistoryUnwritable, and then it is to be said again.
        """
        new = session_ids - self._visits.of(user_id)
        if not new:
            return
        if self._merging is not None:
            await self._merging.link(user_id, new)
        self._visits.add(user_id, new)

    async def visits(self, user_id: str) -> frozenset[str]:
        """The visits that are known to have been a person's. Raises RedisUnavailable where Redis cannot be asked."""
        known = self._visits.of(user_id)
        return known if self._merging is None else known | await self._merging.links(user_id)

    def mark_erased(self, user_id: str) -> None:
        """What bundles know of a person does not count any more, also while Redis cannot say so."""
        self._erased.add(user_id)
        self._memory.forget(user_id)
        self._visits.forget(user_id)

    async def erase(self, user_id: str) -> None:
        """Forget a person, here, in Redis and as far as any bundle knows them. Raises RedisUnavailable, and then only
        this process has.
        """
        self.mark_erased(user_id)
        if self._merging is not None:
            tombstone = encode_person(StoredPerson(StoredEvents.empty(), is_erased=True), user_id)
            await self._merging.write(BlobWrite(user_id, None, tombstone))
            await self._merging.unlink(user_id)

    async def _replace(self, user_id: str, person: KnownPerson, replaced: bytes) -> bool:
        """Put a person's blob into Redis in place of what stood there; False where somebody was faster."""
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
        if self._memory.holds(user_id, person):  # else somebody merged more of them in the meantime
            own = stored.astype(np.float32)  # not a row of a batch, which would keep the batch
            query = ScanQuery(own, person.encoded, person.seen)
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
            # Stale at once, so that the next request asks Redis again and degraded answers say so.
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
            found = self._without_redis(user_id, serving, held, b"")  # so that nothing is written over it
            found.degraded = "redis_unavailable"
            return found
        self._vouch_for(found.person, is_overtaken=is_overtaken)
        return found

    async def _before(
        self, user_id: str, serving: HistoryContext, n_corrupt: int
    ) -> tuple[KnownPerson, bytes]:
        """Somebody, and their blob, which is to be replaced. n_corrupt: how often it was none so far.

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
        """Whether a blob in Redis holds exactly these events."""
        try:
            there = self._decode(user_id, blob) if blob else None
        except BlobCorrupt:
            return False
        return there is not None and there.is_erased == stored.is_erased and there.events == stored.events

    def _mend_later(self, user_id: str, serving: HistoryContext, error: BlobCorrupt) -> None:
        """Put what is known of a person in place of what nobody wrote, after the reply."""
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
        if monotonic() - self._said_at >= SAY_AGAIN_SECONDS:  # all of them may be
            self._said_at = monotonic()
            logger.warning("a corrupt blob counts as Redis away: %s", error)

    def _merged(
        self, user_id: str, serving: HistoryContext, held: KnownPerson | None, blob: bytes | None
    ) -> Found:
        """A person as Redis has them, with what the bundle and this process know beside it. Raises BlobCorrupt."""
        replaced = blob or b""
        if held is not None and held.version == serving.version and replaced == held.replaced:
            return Found(held, "redis" if blob else "memory")  # nobody wrote since
        stored = self._decode(user_id, blob)
        if stored is None:
            return self._without_redis(user_id, serving, held, replaced)
        if stored.tag == serving.tag or stored.is_erased:  # what the bundle knows is in it, or is not to be
            vector = stored.vector_for(serving)
            return Found(resolve(serving, user_id, stored, vector, replaced=replaced, blob=replaced), "redis")
        events = self._held_or_cold(user_id, serving, held)[0].merged(stored.events)
        return Found(resolve(serving, user_id, StoredPerson(events), replaced=replaced), "redis")

    def _held(self, user_id: str, serving: HistoryContext, held: KnownPerson | None) -> KnownPerson:
        """A person as far as they are known without Redis."""
        if held is not None and held.version == serving.version:
            return held
        return self._without_redis(user_id, serving, held, b"").person

    def _vouch_for(self, person: KnownPerson, *, is_overtaken: bool) -> None:
        """Who was just read is good as long as the watch says so, or without one for a while."""
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
        """The bundle's events of a person and what this process holds of them, and which of the two knew more."""
        is_erased = user_id in self._erased or (held is not None and held.is_erased)
        cold = None if is_erased else serving.cold_history(user_id)
        events = StoredEvents.empty()
        if cold is not None:
            events = StoredEvents.from_history(cold, serving.item_keys)
        if held is not None and len(held.events):
            return events.merged(held.events), "memory"
        return events, "bundle" if cold is not None else "none"

    def _decode(self, user_id: str, blob: bytes | None) -> StoredPerson | None:
        """Raises BlobCorrupt."""
        if blob is None:
            return None
        try:
            return decode_person(blob, user_id)
        except BlobOutdated as error:
            logger.debug("a blob of another version counts as a miss: %s", error)
        return None

    def _stranger(self, serving: HistoryContext) -> KnownPerson:
        """Somebody without an id; the same object as long as the bundle is."""
        if self._nobody is None or self._nobody.version != serving.version:
            self._nobody = resolve(serving, "", StoredPerson(StoredEvents.empty()), replaced=b"")
        return self._nobody
