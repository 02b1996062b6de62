"""Who is asking: memory, then Redis, then the bundle; and what is remembered, learnt from events, and forgotten.

A person in memory is good as long as Redis would tell of a change (`watch`). Who has changed is read again within the
next request and not after its reply: otherwise an event that another replica accepted would miss that very answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import inf
from time import monotonic

import msgspec
import numpy as np

from models.scan import Asked
from models.student import Floats
from service.deadline import RequestClock, wait_at_most
from service.errors import RedisUnavailable, StageFailed
from service.histories.blobs import BlobCorrupt, BlobOutdated, decode_person, encode_person, with_vector
from service.histories.memory import KnownPerson, PeopleInMemory
from service.histories.redis import BlobWrite, RedisPeople
from service.histories.resolving import Found, Layer, resolve
from service.histories.stored import StoredEvents, StoredPerson
from service.histories.watch import NOT_WATCHED, Watch
from service.metrics import Metrics
from service.serving import ServingBundle

logger = logging.getLogger(__name__)

REDIS_SHARE = 0.4
"""Of the remaining time, what a request waits for Redis before it goes on with what the bundle knows."""

MAX_ATTEMPTS = 8
"""To write what was learnt of a person, while others write to the same person."""

LEARNING_SECONDS = 1.0
"""How long learning and forgetting wait for Redis, each attempt."""


def session_key(session_id: str) -> str:
    """Under which a visit of nobody in particular is held; no shop's id has a control character in it."""
    return f"\0{session_id}"


class People:
    """redis: None runs without. max_age_seconds: after that a person in memory is read from Redis again, where Redis
    does not tell of changes. Keys are user ids, or of `session_key`.

    on_learnt: called with somebody whose history has grown, so that their vector can be made before they ask.
    """

    def __init__(
        self, memory: PeopleInMemory, redis: RedisPeople | None, metrics: Metrics, *, max_age_seconds: float
    ) -> None:
        self._memory = memory
        self._redis = redis
        self._metrics = metrics
        self._max_age_seconds = max_age_seconds if redis else inf
        self._watch = redis.watch if redis else Watch()
        self._watch.call_for_each_change(memory.outdate)
        self._nobody: KnownPerson | None = None
        self._erased: set[str] = set()
        self.on_learnt: Callable[[str, KnownPerson, ServingBundle], None] = lambda key, person, serving: None

    async def find(self, user_id: str | None, serving: ServingBundle, clock: RequestClock) -> Found:
        """Never fails: a person nobody knows has an empty history, and without Redis the bundle answers."""
        if user_id is None:
            return Found(self._stranger(serving), "none")
        held = self._memory.get(user_id)
        if (
            held is not None
            and held.version == serving.version
            and (held.watch == self._watch.number or held.fresh_until > monotonic())
        ):
            found = Found(held, "memory")
        else:
            found = await self._read(user_id, serving, clock, held)
            self._memory.put(user_id, found.person)
        self._metrics.found_in(found.layer)
        return found

    async def learn(self, user_id: str, events: StoredEvents, serving: ServingBundle) -> None:
        """Add what a person did, here and in Redis, which tells every other replica. Learning it again adds nothing.

        Raises RedisUnavailable and HistoryUnwritable where only this process has learnt it.
        """
        for _ in range(MAX_ATTEMPTS):
            found = await self._read(
                user_id, serving, RequestClock(LEARNING_SECONDS), self._memory.peek(user_id)
            )
            before = found.person
            stored = StoredPerson(before.events.merged(events), tag=serving.tag, is_erased=before.is_erased)
            person = resolve(serving, user_id, stored, replaced=before.replaced)
            self._memory.put(user_id, person)
            if await self._replace(user_id, person, found.degraded):
                self.on_learnt(user_id, person, serving)
                return
        raise RedisUnavailable(f"others wrote to the same person {MAX_ATTEMPTS} times; try again")

    def mark_erased(self, user_id: str) -> None:
        """What bundles know of a person does not count any more, also while Redis cannot say so."""
        self._erased.add(user_id)
        self._memory.forget(user_id)

    async def erase(self, user_id: str) -> None:
        """Forget a person, here, in Redis and as far as any bundle knows them. Raises RedisUnavailable, and then only
        this process has.
        """
        self.mark_erased(user_id)
        if self._redis is not None:
            tombstone = encode_person(StoredPerson(StoredEvents.empty(), is_erased=True), user_id)
            await self._redis.write(BlobWrite(user_id, None, tombstone))

    async def _replace(self, user_id: str, person: KnownPerson, degraded: str | None) -> bool:
        """Put a person's blob into Redis in place of what it was made from; False where somebody was faster."""
        if self._redis is None:
            person.fresh_until = inf
            return True
        if degraded is not None:
            raise RedisUnavailable("Redis is away")
        is_written = await self._redis.write(BlobWrite(user_id, person.replaced, person.blob))
        if is_written:
            person.replaced = person.blob
        return is_written

    def remember(self, user_id: str, person: KnownPerson, vector: Floats, serving: ServingBundle) -> None:
        """Keep the vector (n_factors,) that was computed of this person's history, here and in Redis.

        Called after the reply was sent. Another replica's newer blob is left alone.
        """
        stored = vector.astype(np.float16)
        blob = with_vector(person.blob, stored, serving.tag, user_id)
        if self._memory.holds(user_id, person):  # else somebody learned more of them in the meantime
            own = stored.astype(np.float32)  # not a row of a batch, which would keep the batch
            asked = Asked(own, person.encoded, person.seen)
            known = msgspec.structs.replace(person, blob=blob, vector=own, asked=asked, replaced=blob)
            self._memory.put(user_id, known)
        if self._redis is not None:
            self._redis.write_later(BlobWrite(user_id, person.replaced, blob))

    async def _read(
        self, user_id: str, serving: ServingBundle, clock: RequestClock, held: KnownPerson | None
    ) -> Found:
        """Ask Redis, and merge its answer with what the bundle and this process know of the person."""
        if self._redis is None:
            return self._without_redis(user_id, serving, held, b"", NOT_WATCHED, inf)
        is_current = held is not None and held.version == serving.version
        self._watch.start_reading(user_id)
        try:
            blob = await wait_at_most(self._redis.read(user_id), REDIS_SHARE * clock.remaining())
        except StageFailed:
            self._watch.finish_reading(user_id)
            if held is not None and is_current:
                return Found(held, "memory", "redis_unavailable")
            # Stale at once, so that the next request asks Redis again and degraded answers say so.
            found = self._without_redis(user_id, serving, held, b"", NOT_WATCHED, 0.0)
            return Found(found.person, found.layer, "redis_unavailable")
        except BaseException:
            self._watch.finish_reading(user_id)
            raise
        replaced = blob or b""
        watch, fresh_until = self._freshness(is_overtaken=self._watch.finish_reading(user_id))
        if held is not None and is_current and replaced == held.replaced:  # nobody wrote since
            held.watch, held.fresh_until = watch, fresh_until
            return Found(held, "redis" if blob else "memory")
        stored = self._decode(user_id, blob)
        if stored is None:
            return self._without_redis(user_id, serving, held, replaced, watch, fresh_until)
        if stored.tag == serving.tag or stored.is_erased:  # what the bundle knows is in it, or is not to be
            vector = stored.vector_for(serving)
            person = resolve(serving, user_id, stored, vector, replaced=replaced, blob=replaced)
        else:
            events = self._held_or_cold(user_id, serving, held)[0].merged(stored.events)
            person = resolve(serving, user_id, StoredPerson(events), replaced=replaced)
        person.watch, person.fresh_until = watch, fresh_until
        return Found(person, "redis")

    def _freshness(self, *, is_overtaken: bool) -> tuple[int, float]:
        """For a person who was just read: the watch that vouches for them, and else until when they are good."""
        if is_overtaken:
            return NOT_WATCHED, 0.0
        if self._watch.number:
            return self._watch.number, 0.0
        return NOT_WATCHED, monotonic() + self._max_age_seconds

    def _without_redis(
        self,
        user_id: str,
        serving: ServingBundle,
        held: KnownPerson | None,
        replaced: bytes,
        watch: int,
        fresh_until: float,
    ) -> Found:
        events, layer = self._held_or_cold(user_id, serving, held)
        stored = StoredPerson(
            events, is_erased=user_id in self._erased or (held is not None and held.is_erased)
        )
        person = resolve(serving, user_id, stored, replaced=replaced)
        person.watch, person.fresh_until = watch, fresh_until
        return Found(person, layer)

    def _held_or_cold(
        self, user_id: str, serving: ServingBundle, held: KnownPerson | None
    ) -> tuple[StoredEvents, Layer]:
        """The bundle's events of a person and what this process holds of them, and which of the two knew more."""
        is_erased = user_id in self._erased or (held is not None and held.is_erased)
        cold = None if is_erased else serving.people.find(user_id)
        events = StoredEvents.empty()
        if cold is not None:
            events = StoredEvents.from_history(cold, serving.item_keys)
        if held is not None and len(held.events):
            return events.merged(held.events), "memory"
        return events, "bundle" if cold is not None else "none"

    def _decode(self, user_id: str, blob: bytes | None) -> StoredPerson | None:
        if blob is None:
            return None
        try:
            return decode_person(blob, user_id)
        except BlobOutdated as error:
            logger.debug("a blob of another version counts as a miss: %s", error)
        except BlobCorrupt as error:
            logger.warning("a corrupt blob counts as a miss: %s", error)
            self._metrics.corrupt_blobs.inc()
        return None

    def _stranger(self, serving: ServingBundle) -> KnownPerson:
        """Somebody without an id; the same object as long as the bundle is."""
        if self._nobody is None or self._nobody.version != serving.version:
            self._nobody = resolve(serving, "", StoredPerson(StoredEvents.empty()), replaced=b"")
        return self._nobody
