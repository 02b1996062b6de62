"""Who is asking: memory, then Redis, then the bundle; and what is remembered afterwards.

A person in memory is good for a while and then read from Redis again, within the request and not after the reply:
otherwise an event that another replica accepted would miss the very next answer here.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Literal

import msgspec
import numpy as np

from models.history import encode_history
from models.scan import Asked
from models.student import Floats
from service.deadline import RequestClock, wait_at_most
from service.errors import StageFailed
from service.histories.memory import KnownPerson, PeopleInMemory
from service.histories.redis import BlobWrite, RedisPeople
from service.histories.stored import (
    BlobCorrupt,
    BlobOutdated,
    StoredEvents,
    StoredPerson,
    decode_person,
    encode_person,
    with_vector,
)
from service.metrics import Metrics
from service.serving import ServingBundle

logger = logging.getLogger(__name__)

REDIS_SHARE = 0.4
"""Of the remaining time, what a request waits for Redis before it goes on with what the bundle knows."""

Layer = Literal["memory", "redis", "bundle", "none"]


@dataclass(slots=True)
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
        self._nobody: KnownPerson | None = None

    async def find(self, user_id: str | None, serving: ServingBundle, clock: RequestClock) -> Found:
        """Never fails: a person nobody knows has an empty history, and without Redis the bundle answers."""
        if user_id is None:
            return Found(self._stranger(serving), "none")
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
        stored = vector.astype(np.float16)
        blob = with_vector(person.blob, stored, serving.tag)
        if self._memory.holds(user_id, person):  # else somebody learned more of them in the meantime
            own = stored.astype(np.float32)  # not a row of a batch, which would keep the batch
            asked = Asked(own, person.encoded, person.seen)
            known = msgspec.structs.replace(person, blob=blob, vector=own, asked=asked, replaced=blob)
            self._memory.put(user_id, known)
        if self._redis is not None:
            written = self._redis.write(BlobWrite(user_id, person.replaced, blob))
            if written is not None:
                written.add_done_callback(lambda future: future.exception())  # the trip has logged it

    async def _read(
        self, user_id: str, serving: ServingBundle, clock: RequestClock, held: KnownPerson | None
    ) -> Found:
        """Ask Redis, and merge its answer with what the bundle and this process know of the person."""
        if self._redis is None:
            return _without_redis(user_id, serving, held, b"", inf)
        is_current = held is not None and held.version == serving.version
        try:
            blob = await wait_at_most(self._redis.read(user_id), REDIS_SHARE * clock.remaining())
        except StageFailed:
            if held is not None and is_current:
                return Found(held, "memory", "redis_unavailable")
            # Stale at once, so that the next request asks Redis again and degraded answers say so.
            found = _without_redis(user_id, serving, held, b"", 0.0)
            return Found(found.person, found.layer, "redis_unavailable")
        replaced = blob or b""
        fresh_until = monotonic() + self._max_age_seconds
        if held is not None and is_current and replaced == held.replaced:  # nobody wrote since
            held.fresh_until = fresh_until
            return Found(held, "redis" if blob else "memory")
        stored = self._decode(blob)
        if stored is None:
            return _without_redis(user_id, serving, held, replaced, fresh_until)
        if stored.tag == serving.tag:  # the bundle's own history is in it already
            vector = stored.vector_for(serving)
            person = _resolve(
                serving, stored.events, replaced, vector, replaced=replaced, fresh_until=fresh_until
            )
        else:
            events = _held_or_cold(user_id, serving, held)[0].merged(stored.events)
            person = _resolve(serving, events, None, None, replaced=replaced, fresh_until=fresh_until)
        return Found(person, "redis")

    def _decode(self, blob: bytes | None) -> StoredPerson | None:
        if blob is None:
            return None
        try:
            return decode_person(blob)
        except BlobOutdated as error:
            logger.debug("a blob of another version counts as a miss: %s", error)
        except BlobCorrupt as error:
            logger.warning("a corrupt blob counts as a miss: %s", error)
            self._metrics.corrupt_blobs.inc()
        return None

    def _stranger(self, serving: ServingBundle) -> KnownPerson:
        """Somebody without an id; the same object as long as the bundle is."""
        if self._nobody is None or self._nobody.version != serving.version:
            self._nobody = _resolve(serving, StoredEvents.empty(), None, None, replaced=b"", fresh_until=inf)
        return self._nobody


def _without_redis(
    user_id: str, serving: ServingBundle, held: KnownPerson | None, replaced: bytes, fresh_until: float
) -> Found:
    events, layer = _held_or_cold(user_id, serving, held)
    person = _resolve(serving, events, None, None, replaced=replaced, fresh_until=fresh_until)
    return Found(person, layer)


def _held_or_cold(
    user_id: str, serving: ServingBundle, held: KnownPerson | None
) -> tuple[StoredEvents, Layer]:
    """The bundle's events of a person and what this process holds of them, and which of the two knew more."""
    cold = serving.people.find(user_id)
    events = StoredEvents.empty()
    if cold is not None:
        events = StoredEvents.from_history(cold, serving.item_keys)
    if held is not None and len(held.events):
        return events.merged(held.events), "memory"
    return events, "bundle" if cold is not None else "none"


def _resolve(
    serving: ServingBundle,
    events: StoredEvents,
    blob: bytes | None,
    vector: Floats | None,
    *,
    replaced: bytes,
    fresh_until: float,
) -> KnownPerson:
    """A person for this bundle. blob: of these very events, if there is one."""
    item_indices = events.item_indices(serving)
    history = events.as_history(item_indices)
    encoded = encode_history(history, serving.student.max_events)
    if not len(history):
        vector = serving.stranger[0]
    return KnownPerson(
        version=serving.version,
        blob=encode_person(StoredPerson(events)) if blob is None else blob,
        seen=history.item_indices,
        are_known=None if len(history) == len(events) else item_indices >= 0,
        encoded=encoded,
        vector=vector,
        asked=None if vector is None else Asked(vector, encoded, history.item_indices),
        replaced=replaced,
        fresh_until=fresh_until,
    )
