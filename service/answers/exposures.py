"""What was shown to whom, sent to the live log after the reply.

A request leaves its answer in a list, and each sixteenth encodes the sixteen, step by step for all of them. One task
sends what there is, when a trip is full and else four times a second. All together the log costs 5 µs an answer of
60: 1 to note it, 2 to make its record and 1.5 to encode that (1.1 together from warm caches), the rest to send it.
Best effort: what Redis cannot take is kept up to a bound and then dropped and counted; a record is in the stream at
most once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from operator import itemgetter
from random import random
from time import monotonic
from typing import NamedTuple, TypeAlias

import msgspec

from models.experiments.assignment import unit_of
from service.answers.recommendation import PersonalRecommendation
from service.contract.errors import RedisUnavailable
from service.log.erasures import ErasedPeople
from service.log.records import (
    EXPOSURES_STREAM,
    RECORD_FIELD,
    SCORE_TYPE,
    ExposureRecord,
    SampledHistory,
    person_key,
)
from service.redis.connection import Connection
from service.redis.replies import nothing
from service.redis.wire import Command
from service.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 0.25
"""Between two trips at most; what is shown is known to whoever watches a quarter of a second later."""

SLICE = 16
"""Records encoded together, after the reply to one of them: 40 µs in the way of the next. 32 and 64 cost as much."""

TRIP = 128
"""Records a trip to Redis, which takes 0.25 ms for them. If it breaks while they are under way nobody knows whether
they arrived, and they are dropped.
"""

RECENT_SECONDS = 1.0
"""After an answer of Redis it is taken to be there for so long."""

CLOSING_SECONDS = 1.0

APPEND = f"""
for i = 2, #ARGV do redis.call('XADD', KEYS[1], '*', '{RECORD_FIELD.decode()}', ARGV[i]) end
redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', ARGV[1])
"""
"""A trip is one command with one reply: 0.35 µs a record here, where a command and a reply for each cost 0.7."""

Shown: TypeAlias = tuple[PersonalRecommendation, float, float]
"""An answer, when it was sent in Unix seconds, and how many seconds it took."""


class Packed(NamedTuple):
    """Records as they will be in the stream. keys: the person or visit that each of them is of."""

    records: list[bytes]
    keys: list[str]

    @property
    def n_bytes(self) -> int:
        """Of all records."""
        return sum(map(len, self.records))

    def without(self, key: str) -> Packed:
        """Those of everybody else."""
        kept = [pair for pair in zip(self.records, self.keys, strict=True) if pair[1] != key]
        return Packed([record for record, _ in kept], [whose for _, whose in kept])


class ExposureLog:
    """erased: who is to be forgotten; no answer to what they asked before is sent any more.

    max_records, max_bytes: kept while Redis is away. stream_length: records that the stream keeps, about.
    sampled_share: of the answers, what the monitor gets with the history that they were made of.
    """

    def __init__(
        self,
        redis: Connection,
        erased: ErasedPeople,
        metrics: Metrics,
        *,
        max_records: int,
        max_bytes: int,
        stream_length: int,
        sampled_share: float,
    ) -> None:
        self._redis = redis
        self._erased = erased
        self._metrics = metrics
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._stream_length = stream_length
        self._sampled_share = sampled_share
        self._shown: list[Shown] = []
        self._packed: deque[Packed] = deque()
        """Oldest first."""
        self._n_waiting = 0
        self._n_waiting_bytes = 0
        self._n_dropped_full = 0
        self._is_trip_full = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._under_way = asyncio.Lock()
        """Held for a trip, where the other is held for all of them."""
        self._answered_at = -RECENT_SECONDS
        self._sending: asyncio.Task[None] | None = None

    def record(self, answer: PersonalRecommendation, sent_at: float, seconds: float) -> None:
        """Note an answer that was sent. sent_at: Unix seconds. seconds: how long it took inside the service."""
        self._shown.append((answer, sent_at, seconds))
        if len(self._shown) == SLICE:
            self._pack()

    def start(self) -> None:
        """Begin to send; called on the event loop."""
        self._sending = asyncio.create_task(self._send_again_and_again())

    async def close(self) -> None:
        """Send what is there, if Redis takes it soon."""
        if self._sending is not None:
            self._sending.cancel()
            with suppress(asyncio.CancelledError):
                await self._sending
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                await self.flush()
        self._drop(self._n_waiting)
        self._redis.close()

    async def flush(self) -> None:
        """Send everything. What Redis does not take stays, within the bounds."""
        self._pack()
        async with self._one_at_a_time:
            n_left = self._n_waiting  # not what comes meanwhile: that would be many small trips
            while n_left > 0 and await self._is_redis_there():
                async with self._under_way:
                    if not self._packed:  # they were forgotten meanwhile
                        break
                    n_left -= await self._send_a_trip()
        if self._n_dropped_full:
            self._drop(self._n_dropped_full)
            self._n_dropped_full = 0

    async def forget(self, key: str) -> int:
        """Drop what waits of a person or visit that is erased, and wait for the trip under way; how many records."""
        others = [shown for shown in self._shown if _key_of(shown) != key]
        n_before = len(self._shown) + self._n_waiting
        self._shown = others
        kept = (packed.without(key) for packed in self._packed)
        self._packed = deque(packed for packed in kept if packed.records)
        self._n_waiting = sum(len(packed.records) for packed in self._packed)
        self._n_waiting_bytes = sum(packed.n_bytes for packed in self._packed)
        n_dropped = n_before - len(self._shown) - self._n_waiting
        async with self._under_way:
            return n_dropped

    async def _send_again_and_again(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_SECONDS):
                    await self._is_trip_full.wait()
            self._is_trip_full.clear()
            try:
                await self.flush()
            except Exception:
                logger.exception("exposures were not sent")

    def _pack(self) -> None:
        """Encode what was shown, step by step for all of it; a record is dropped where as many are kept as may be."""
        shown, self._shown = self._shown, []
        share = self._sampled_share
        exposures = [_exposure_of(*each, random() < share) for each in shown]
        if len(self._erased):
            covers = self._erased.covers_moment
            exposures = [each for each in exposures if not covers(each.person_key, each.asked_ms)]
        for each in exposures:
            if each.experiment:
                self._metrics.arm_answered(each.experiment, each.arm, each.tier, each.took_us / 1e6)
        records = list(map(_ENCODER.encode, exposures))
        n_bytes = sum(map(len, records))
        while records and (
            self._n_waiting + len(records) > self._max_records
            or self._n_waiting_bytes + n_bytes > self._max_bytes
        ):
            n_bytes -= len(records.pop())
            self._n_dropped_full += 1
        if records:
            keys = [each.person_key if each.user_id is None else each.user_id for each in exposures]
            self._packed.append(Packed(records, keys[: len(records)]))
            self._n_waiting += len(records)
            self._n_waiting_bytes += n_bytes
            if len(self._packed) == TRIP // SLICE:
                self._is_trip_full.set()

    async def _is_redis_there(self) -> bool:
        """Asked while nothing is at stake, unless it just answered."""
        if monotonic() - self._answered_at < RECENT_SECONDS:
            return True
        try:
            await self._redis.ask_one(("PING",), nothing)
        except RedisUnavailable as error:
            logger.debug("exposures wait for Redis: %s", error)
            return False
        return True

    async def _send_a_trip(self) -> int:
        """Send the oldest records; how many there were."""
        trip = [self._packed.popleft() for _ in range(min(TRIP // SLICE, len(self._packed)))]
        records = [record for packed in trip for record in packed.records]
        n_records = len(records)
        self._n_waiting -= n_records
        self._n_waiting_bytes -= sum(map(len, records))
        is_sent = False
        try:
            append: Command = ("EVAL", APPEND, 1, EXPOSURES_STREAM, self._stream_length, *records)
            await self._redis.ask_one(append, nothing)
            is_sent = True
        except RedisUnavailable as error:
            logger.warning("%d exposures were lost on their way to Redis: %s", n_records, error)
        finally:
            self._answered_at = monotonic() if is_sent else -RECENT_SECONDS
            (self._metrics.exposures if is_sent else self._metrics.exposures_dropped).inc(n_records)
        return n_records

    def _drop(self, n_records: int) -> None:
        if n_records:
            self._metrics.exposures_dropped.inc(n_records)


_ENCODER = msgspec.msgpack.Encoder()
_ID_OF_LABEL = itemgetter(0)


def _key_of(shown: Shown) -> str:
    request = shown[0].request
    return person_key(request.user_id, request.session_id)


def _exposure_of(
    answer: PersonalRecommendation, sent_at: float, seconds: float, is_sampled: bool
) -> ExposureRecord:
    request, job, session, assigned = answer.request, answer.job, answer.session, answer.assigned
    rule = "person" if assigned is None else assigned.unit_rule
    n_known = 0 if session is None else len(session)
    return ExposureRecord(  # by position: twenty names would cost each answer 2 µs
        answer.request_id,
        int(1000 * sent_at),
        list(map(_ID_OF_LABEL, answer.labels)),
        answer.ranking.scores.astype(SCORE_TYPE, copy=False).tobytes(),
        job.serving.version,
        job.variant,
        answer.ranking.tier,
        int(1_000_000 * seconds),
        unit_of(request.user_id, request.session_id, rule) or "",
        request.user_id,
        request.session_id,
        "" if assigned is None else assigned.experiment,
        "" if assigned is None else assigned.arm,
        1.0 if assigned is None else assigned.propensity,
        request.placement or "",
        answer.degraded or "",
        len(answer.person.seen),
        len(request.session),
        len(request.session) - n_known,
        _sampled(answer) if is_sampled else None,
    )


def _sampled(answer: PersonalRecommendation) -> SampledHistory:
    request, history = answer.request, answer.person.history
    if answer.session is not None:
        history = history.extended(answer.session)
    item_ids = list(map(_ID_OF_LABEL, answer.serving.labels.of(history.item_indices)))
    is_narrowed = request.filter is not None or bool(request.exclude_items or request.diversity)
    return SampledHistory(
        item_ids, history.times.tolist(), history.kinds.tolist(), is_narrowed or not request.exclude_seen
    )
