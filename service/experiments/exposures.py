"""What was shown to whom, sent to the live log after the reply.

A request appends one object; encoding and sending are done by one task, a few records at a time, so that no request
waits for more than that. Best effort: what Redis cannot take is kept up to a bound and then dropped and counted, and
a record is in the stream at most once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from contextlib import suppress

import hiredis
import msgspec
from hiredis import HiredisError

from models.experiments.assignment import Assigned, unit_of
from models.history import History
from service.histories.connection import Connection
from service.log.records import EXPOSURES_STREAM, RECORD_FIELD, ExposureRecord, SampledHistory
from service.metrics import Metrics
from service.serving import ServingBundle
from service.tiers import Ranking

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 0.25
"""Between two trips; what is shown is known to whoever watches a quarter of a second later."""

SLICE = 16
"""Records encoded between two turns of the event loop: 0.1 ms."""

TRIP = 128
"""Records a trip to Redis. If it breaks while they are under way nobody knows what arrived, and they are dropped."""

CLOSING_SECONDS = 1.0


class Exposure(msgspec.Struct, gc=False):
    """One answer that was sent. sent_ms: Unix milliseconds. took_us: inside the service.

    variant: what was to answer. ranking: what did. n_unknown_items: items of this visit that the bundle does not
    know. history: what the student read, for a request that is sampled. is_narrowed: a filter, exclusions or
    diversity shaped the answer.
    """

    request_id: str
    sent_ms: int
    serving: ServingBundle
    ranking: Ranking
    variant: str
    took_us: int
    user_id: str | None
    session_id: str | None
    assigned: Assigned | None
    placement: str | None
    degraded: str | None
    n_history: int
    n_session: int
    n_unknown_items: int
    history: History | None
    is_narrowed: bool


class ExposureLog:
    """max_records, max_bytes: kept while Redis is away. stream_length: records that the stream keeps, about."""

    def __init__(
        self, redis: Connection, metrics: Metrics, *, max_records: int, max_bytes: int, stream_length: int
    ) -> None:
        self._redis = redis
        self._metrics = metrics
        self._max_records = max_records
        self._max_bytes = max_bytes
        append = ("XADD", EXPOSURES_STREAM, "MAXLEN", "~", str(stream_length), "*", RECORD_FIELD, b"")
        self._append = hiredis.pack_command(append)[: -len(b"$0\r\n\r\n")]  # type: ignore[arg-type]
        """The command without its last word, the record: to put it together costs 0.2 µs, to pack all of it 0.8."""
        self._waiting: deque[Exposure] = deque()
        self._encoded: deque[bytes] = deque()
        self._encoded_bytes = 0
        self._n_dropped_full = 0
        self._sending: asyncio.Task[None] | None = None

    def record(self, exposure: Exposure) -> None:
        """Take a record; it is dropped where as many are kept as may be."""
        if len(self._waiting) + len(self._encoded) < self._max_records:
            self._waiting.append(exposure)
        else:
            self._n_dropped_full += 1

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
        self._drop(len(self._waiting) + len(self._encoded))
        self._redis.close()

    async def flush(self) -> None:
        """Encode and send everything. What Redis does not take stays, within the bounds."""
        n_left = len(self._waiting) + len(
            self._encoded
        )  # not what comes meanwhile: that would be many small trips
        is_up = n_left > 0 and await self._is_redis_there()
        while n_left > 0:
            await self._encode(TRIP if is_up else len(self._encoded) + n_left)
            if not is_up or not self._encoded:
                break
            n_left -= await self._send_a_trip()
        if self._n_dropped_full:
            self._drop(self._n_dropped_full)
            self._n_dropped_full = 0

    async def _send_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
            except Exception:
                logger.exception("exposures were not sent")

    async def _encode(self, up_to: int) -> None:
        """Encode until so many are encoded or none waits."""
        while self._waiting and len(self._encoded) < up_to:
            answers: Counter[tuple[str, str, str]] = Counter()
            for _ in range(min(SLICE, len(self._waiting))):
                exposure = self._waiting.popleft()
                if exposure.assigned is not None:
                    arm = (exposure.assigned.experiment, exposure.assigned.arm)
                    answers[(*arm, exposure.ranking.tier)] += 1
                    self._metrics.arm_took(*arm, exposure.took_us / 1e6)
                self._keep(encode_exposure(exposure))
            for (experiment, arm_name, tier), n_answers in answers.items():
                self._metrics.arm_answered(experiment, arm_name, tier, n_answers)
            await asyncio.sleep(0)

    def _keep(self, raw: bytes) -> None:
        if self._encoded_bytes + len(raw) > self._max_bytes:
            self._drop(1)
            return
        self._encoded.append(raw)
        self._encoded_bytes += len(raw)

    async def _is_redis_there(self) -> bool:
        """Asked while nothing is at stake."""
        try:
            await self._redis.ask([("PING",)])
        except (OSError, TimeoutError, HiredisError) as error:
            logger.debug("exposures wait for Redis: %s", error)
            return False
        return True

    async def _send_a_trip(self) -> int:
        """Send the oldest records; how many there were."""
        trip = [self._encoded.popleft() for _ in range(min(TRIP, len(self._encoded)))]
        self._encoded_bytes -= sum(map(len, trip))
        is_sent = False
        try:
            commands = b"".join([b"%b$%d\r\n%b\r\n" % (self._append, len(raw), raw) for raw in trip])
            await self._redis.ask_packed(commands, len(trip))
            is_sent = True
        except (OSError, TimeoutError, HiredisError) as error:
            logger.warning("%d exposures were lost on their way to Redis: %s", len(trip), error)
        finally:
            (self._metrics.exposures if is_sent else self._metrics.exposures_dropped).inc(len(trip))
        return len(trip)

    def _drop(self, n_records: int) -> None:
        if n_records:
            self._metrics.exposures_dropped.inc(n_records)


_ENCODER = msgspec.msgpack.Encoder()


def encode_exposure(exposure: Exposure) -> bytes:
    """As it lies in the stream."""
    labels, assigned = exposure.serving.labels, exposure.assigned
    rule = "person" if assigned is None else assigned.unit_rule
    record = ExposureRecord(
        exposure.request_id,
        exposure.sent_ms,
        [labels[item_index][0] for item_index in exposure.ranking.item_indices.tolist()],
        exposure.ranking.scores.tolist(),
        exposure.serving.version,
        exposure.variant,
        exposure.ranking.tier,
        exposure.took_us,
        unit_of(exposure.user_id, exposure.session_id, rule) or "",
        exposure.user_id,
        exposure.session_id,
        "" if assigned is None else assigned.experiment,
        "" if assigned is None else assigned.arm,
        1.0 if assigned is None else assigned.propensity,
        exposure.placement or "",
        exposure.degraded or "",
        exposure.n_history,
        exposure.n_session,
        exposure.n_unknown_items,
        None if exposure.history is None else _sampled(exposure),
    )
    return _ENCODER.encode(record)


def _sampled(exposure: Exposure) -> SampledHistory:
    history, labels = exposure.history, exposure.serving.labels
    assert history is not None
    item_ids = [labels[item_index][0] for item_index in history.item_indices.tolist()]
    return SampledHistory(item_ids, history.times.tolist(), history.kinds.tolist(), exposure.is_narrowed)
