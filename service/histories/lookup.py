"""Who is asking: memory, then Redis, then the bundle; and what is remembered afterwards."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from math import inf
from time import monotonic
from typing import Literal

import numpy as np

from models.history import History
from models.student import Floats
from service.deadline import RequestClock, wait_at_most
from service.errors import StageFailed
from service.histories.memory import KnownPerson, PeopleInMemory
from service.histories.redis import BlobWrite, RedisPeople
from service.histories.stored import BlobCorrupt, StoredEvents, StoredPerson, decode_person, encode_person
from service.metrics import Metrics
from service.serving import ServingBundle

logger = logging.getLogger(__name__)

REDIS_SHARE = 0.4
"""Of the remaining time, what a request waits for Redis before it goes on with what the bundle knows."""

Layer = Literal["memory", "redis", "bundle", "none"]


@dataclass(frozen=True, slots=True)
class Found:
    """A person, the layer that knew them, and why the answer may be older than Redis, if so."""

    person: KnownPerson
    layer: Layer
    degraded: str | None = None


class People:
    """redis: None runs without. max_age_seconds: after that a person in memory is read from Redis again."""

    def __init__(
        self, memory: PeopleInMemory, redis: RedisPeople | None, metrics: Metrics, *, max_age_seconds: float
    ) -> None:
        self._memory = memory
        self._redis = redis
        self._metrics = metrics
        self._max_age_seconds = max_age_seconds if redis else inf

    async def find(self, user_id: str | None, serving: ServingBundle, clock: RequestClock) -> Found:
        """Never fails: a person nobody knows has an empty history, and without Redis the bundle answers."""
        if user_id is None:
            return Found(_stranger(serving), "none")
        held = self._memory.get(user_id)
        if held is not None and held.version == serving.version and held.fresh_until > monotonic():
            found = Found(held, "memory")
        else:
            found = await self._read(user_id, serving, clock, held)
            self._memory.put(user_id, found.person)
        self._metrics.found_in(found.layer)
        return found

    def remember(self, user_id: str, person: KnownPerson, vector: Floats, serving: ServingBundle) -> None:
        """Keep the vector (n_factors,) that was computed of this person's history, here and in Redis.

        Called after the reply was sent. Another replica's newer blob is left alone.
        """
        blob = encode_person(StoredPerson(person.events, vector.astype(np.float16), serving.tag))
        known = replace(person, vector=vector, replaced=blob)
        held = self._memory.get(user_id)
        if held is person:  # else somebody learned more of them in the meantime
            self._memory.put(user_id, known)
        if self._redis is not None:
            written = self._redis.write(BlobWrite(user_id, person.replaced, blob))
            if written is not None:
                written.add_done_callback(lambda future: future.exception())  # the trip has logged it

    async def _read(
        self, user_id: str, serving: ServingBundle, clock: RequestClock, held: KnownPerson | None
    ) -> Found:
        """Ask Redis, and merge its answer with what the bundle and this process know of the person."""
        cold = serving.people.find(user_id)
        events = _merged(cold, held, serving)
        layer: Layer = "memory" if held and len(held.events) else "bundle" if cold is not None else "none"
        if self._redis is None:
            return Found(_resolve(events, None, b"", serving, inf), layer)
        try:
            blob = await wait_at_most(self._redis.read(user_id), REDIS_SHARE * clock.remaining())
        except StageFailed:
            if held is not None and held.version == serving.version:
                return Found(held, "memory", "redis_unavailable")
            # Stale at once, so that the next request asks Redis again and degraded answers say so.
            return Found(_resolve(events, None, b"", serving, 0.0), layer, "redis_unavailable")
        fresh_until = monotonic() + self._max_age_seconds
        stored = self._decode(blob)
        if stored is None:
            return Found(_resolve(events, None, blob or b"", serving, fresh_until), layer)
        if stored.tag == serving.tag:  # the bundle's own history is in it already
            vector = stored.vector_for(serving)
            return Found(_resolve(stored.events, vector, blob or b"", serving, fresh_until), "redis")
        merged = events.merged(stored.events)
        return Found(_resolve(merged, None, blob or b"", serving, fresh_until), "redis")

    def _decode(self, blob: bytes | None) -> StoredPerson | None:
        if blob is None:
            return None
        try:
            return decode_person(blob)
        except BlobCorrupt as error:
            logger.warning("a corrupt blob counts as a miss: %s", error)
            self._metrics.corrupt_blobs.inc()
            return None


def _merged(cold: History | None, held: KnownPerson | None, serving: ServingBundle) -> StoredEvents:
    events = StoredEvents.empty()
    if cold is not None:
        events = events.merged(StoredEvents.from_history(cold, serving.item_keys))
    return events.merged(held.events) if held is not None else events


def _resolve(
    events: StoredEvents, vector: Floats | None, replaced: bytes, serving: ServingBundle, fresh_until: float
) -> KnownPerson:
    history = events.to_history(serving)
    if not len(history):
        vector = serving.stranger[0]
    return KnownPerson(serving.version, events, history, vector, replaced, fresh_until)


def _stranger(serving: ServingBundle) -> KnownPerson:
    return _resolve(StoredEvents.empty(), None, b"", serving, inf)
