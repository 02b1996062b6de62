"""Sends impressions, which are records of what was shown to whom, to the live log after the reply.

A request only adds its answer to a list; every sixteenth one encodes all sixteen, each step for the whole slice. One
task sends the encoded records when a trip is full, and otherwise four times a second. In all, the log takes 5 of the
60 µs of an answer: 1 to note it, 2 to make its record, 1.5 to encode that (1.1 for both with warm caches), and the
rest to send it. Delivery is best effort: what Redis cannot take is kept up to a bound, then dropped and counted. The
stream holds a record at most once.
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
from service.answers.known_items import known_items_of
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
"""The longest pause between two trips: consumers see what was shown a quarter of a second later."""

SLICE = 16
"""How many records are encoded together after a reply, which delays the next one by 40 µs. 32 and 64 cost as much."""

TRIP = 128
"""The number of records per trip to Redis, which takes 0.25 ms for them. If the connection breaks during a trip,
nobody knows whether its records arrived, and they are dropped.
"""

RECENT_SECONDS = 1.0
"""How long after a reply Redis is assumed to be reachable."""

CLOSING_SECONDS = 1.0

APPEND = f"""
for i = 2, #ARGV do redis.call('XADD', KEYS[1], '*', '{RECORD_FIELD.decode()}', ARGV[i]) end
redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', ARGV[1])
"""
"""A trip is one command with one reply: 0.35 µs a record here. A command and a reply for each would cost 0.7."""

Shown: TypeAlias = tuple[PersonalRecommendation, float, float]
"""An answer, the Unix time in seconds when it was sent, and how many seconds it took."""


class Packed(NamedTuple):
    """Encoded records, as the stream will hold them. keys: the person or visit that each record belongs to."""

    records: list[bytes]
    keys: list[str]

    @property
    def n_bytes(self) -> int:
        """The size of all records together."""
        return sum(map(len, self.records))

    def without(self, key: str) -> Packed:
        """A copy without the records of one person or visit."""
        kept = [pair for pair in zip(self.records, self.keys, strict=True) if pair[1] != key]
        return Packed([record for record, _ in kept], [whose for _, whose in kept])


class ExposureLog:
    """Collects impressions and sends them to Redis.

    erased: people to be forgotten; answers to their earlier requests are no longer sent. max_records, max_bytes: what
    is kept while Redis is away. stream_length: about how many records the stream keeps. sampled_share: the share of
    answers that the monitor gets together with the history that they were computed from.
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
        """The oldest come first."""
        self._n_waiting = 0
        self._n_waiting_bytes = 0
        self._n_dropped_full = 0
        self._is_trip_full = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._under_way = asyncio.Lock()
        """Held during one trip; `_one_at_a_time` is held during a whole flush."""
        self._answered_at = -RECENT_SECONDS
        self._sending: asyncio.Task[None] | None = None

    def record(self, answer: PersonalRecommendation, sent_at: float, seconds: float) -> None:
        """Note an answer that was sent. sent_at: Unix seconds. seconds: how long it took inside the service."""
        self._shown.append((answer, sent_at, seconds))
        if len(self._shown) == SLICE:
            self._pack()

    def start(self) -> None:
        """Start sending. Must be called on the event loop."""
        self._sending = asyncio.create_task(self._send_again_and_again())

    async def close(self) -> None:
        """Send what is left, if Redis takes it within CLOSING_SECONDS, and drop the rest."""
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
            n_left = self._n_waiting  # records that arrive meanwhile wait: they would make many small trips
            while n_left > 0 and await self._is_redis_there():
                async with self._under_way:
                    if not self._packed:  # all of them were erased meanwhile
                        break
                    n_left -= await self._send_a_trip()
        if self._n_dropped_full:
            self._drop(self._n_dropped_full)
            self._n_dropped_full = 0

    async def forget(self, key: str) -> int:
        """Drop an erased person's or visit's waiting records, wait for the trip under way; return their number."""
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
        """Encode what was shown, each step for the whole slice. Beyond the bounds, new records are dropped."""
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
        """Ping Redis before records are at stake, unless it has just replied."""
        if monotonic() - self._answered_at < RECENT_SECONDS:
            return True
        try:
            await self._redis.ask_one(("PING",), nothing)
        except RedisUnavailable as error:
            logger.debug("exposures wait for Redis: %s", error)
            return False
        return True

    async def _send_a_trip(self) -> int:
        """Send the oldest records; return how many there were."""
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
    return ExposureRecord(  # by position: twenty keywords would cost each answer 2 µs
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
        _n_touched(answer),
        len(request.session),
        len(request.session) - n_known,
        _sampled(answer) if is_sampled else None,
    )


def _n_touched(answer: PersonalRecommendation) -> int:
    """Return how many distinct items the person has touched, those of this visit included."""
    touched = answer.person.touched
    if answer.session is None:
        return len(touched)
    return len({*touched.tolist(), *answer.session.item_indices.tolist()})


def _sampled(answer: PersonalRecommendation) -> SampledHistory:
    request, history = answer.request, answer.person.history
    if answer.session is not None:
        history = history.extended(answer.session)
    item_ids = list(map(_ID_OF_LABEL, answer.serving.labels.of(history.item_indices)))
    is_narrowed = request.filter is not None or bool(request.exclude_items or request.diversity)
    default = answer.serving.known_items
    is_narrowed = is_narrowed or known_items_of(request, default) != default
    return SampledHistory(item_ids, history.times.tolist(), history.kinds.tolist(), is_narrowed)
