"""POST /events: a batch is validated, made durable, merged and answered, in this order. Read this page first.

Batches that arrive while the disk is busy are written together and synced once. One trip asks Redis what it knows of
their keys. Without Redis only this process's own keys count; readers of the log recognise by its id an event that was
accepted twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from service.contract.errors import KeyReused, RedisUnavailable, SpoolUnavailable
from service.contract.schemas import EventBatch, EventsReply
from service.events.clock import ReceivingClock
from service.events.keys import BatchKeys
from service.events.late_merging import LateMerger
from service.events.merging import Merger
from service.events.rounds import FINISH_SECONDS
from service.events.stream import Claim, claim_command, read_claim
from service.events.thread import SpoolThread
from service.events.validating import Validated, batch_id_of, validate
from service.log.erasures import ErasedPeople
from service.log.records import SpooledBatch
from service.log.segments import Place
from service.log.spool import Spool
from service.redis.circuit import Circuit
from service.redis.connection import Connection, Query, Refused
from service.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

REPLY_WAIT_SECONDS = 0.25
"""How long a reply waits for its events to be merged; events that take longer are merged after the reply."""

MAX_PEOPLE_WAITING = 10_000
"""The number of people whose events may wait to be merged at once; beyond it, events are merged from the spool."""

RECOVERY_SECONDS = 5.0
"""How long a batch waits while the service still reads what an earlier run left on disk."""

_ENCODER = msgspec.msgpack.Encoder()


class _Accepted(NamedTuple):
    """received_ms: when the batch was received. place: where the batch lies; None if it had been accepted before, and
    then received_ms is of the earlier time.
    """

    received_ms: int
    place: Place | None


class _Waiting(NamedTuple):
    batch: SpooledBatch
    accepted: asyncio.Future[_Accepted]


class BatchAcceptance:
    """Accepts batches of events.

    late: merges events that are not merged before their reply. claims: the connection to Redis and its circuit; None
    runs without Redis. on_durable: called with each new batch once it is durable.
    """

    def __init__(
        self,
        spool: Spool,
        thread: SpoolThread,
        keys: BatchKeys,
        clock: ReceivingClock,
        merger: Merger,
        late: LateMerger,
        erased: ErasedPeople,
        claims: tuple[Connection, Circuit] | None,
        metrics: Metrics,
        on_durable: Callable[[SpooledBatch], None],
    ) -> None:
        self._spool = spool
        self._thread = thread
        self._keys = keys
        self._clock = clock
        self._merger = merger
        self._late = late
        self._erased = erased
        self._claims = claims
        self._metrics = metrics
        self._on_durable = on_durable
        self._under_way: dict[str, tuple[str, asyncio.Task[EventsReply]]] = {}
        self._waiting: list[_Waiting] = []
        self._committing: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()
        self.is_recovered = asyncio.Event()

    async def accept(self, batch: EventBatch) -> EventsReply:
        """Accept a batch. Raises KeyReused, and SpoolUnavailable if nothing can be accepted."""
        await self._recovered()
        batch_id = batch_id_of(batch)
        known = self._keys.find(batch.key)
        if known is not None:
            return await self._again(batch, batch_id, *known)
        under_way = self._under_way.get(batch.key)
        if under_way is None:
            task = asyncio.create_task(self._first_time(batch, batch_id))
            self._under_way[batch.key] = (batch_id, task)
            task.add_done_callback(lambda task: self._under_way.pop(batch.key, None))
            return await asyncio.shield(task)
        if under_way[0] != batch_id:
            raise _reused(batch.key)
        reply = await asyncio.shield(under_way[1])
        return msgspec.structs.replace(reply, replayed=True)

    async def close(self) -> None:
        """Finish what is being written. Events not merged within FINISH_SECONDS are merged at the next start."""
        for task in [task for _, task in self._under_way.values()]:
            await asyncio.wait([task])
        left = set(self._background)
        if left:
            _, left = await asyncio.wait(left, timeout=FINISH_SECONDS)
        for merging in left:
            merging.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _recovered(self) -> None:
        try:
            async with asyncio.timeout(RECOVERY_SECONDS):
                await self.is_recovered.wait()
        except TimeoutError as error:
            raise SpoolUnavailable(
                "events of an earlier run are still being read, or the spool's folder cannot be used; the log says "
                "which. Nothing of this batch was accepted: send it again under the same key"
            ) from error

    async def _first_time(self, batch: EventBatch, batch_id: str) -> EventsReply:
        received_ms = self._clock.received_ms()
        validated = await validate(batch, batch_id, received_ms)
        spooled = SpooledBatch(batch_id, batch.key, received_ms, len(batch.events), validated.events)
        accepted = await self._write(spooled)
        if accepted.place is None:
            return await self._again(batch, batch_id, batch_id, accepted.received_ms)
        await self._merger.count(validated.events)
        for rejected in validated.rejected:
            self._metrics.event_rejected(rejected.reason)
        await self._merge_soon(spooled, accepted.place)
        self._on_durable(spooled)
        return _reply(validated, replayed=False)

    async def _again(self, batch: EventBatch, batch_id: str, known_id: str, received_ms: int) -> EventsReply:
        """Repeat the reply that this batch got when it was accepted: its content and that moment determine it."""
        if batch_id != known_id:
            raise _reused(batch.key)
        return _reply(await validate(batch, batch_id, received_ms), replayed=True)

    async def _merge_soon(self, spooled: SpooledBatch, place: Place) -> None:
        """Wait up to REPLY_WAIT_SECONDS until the next answer to everybody in the batch knows of its events."""
        if self._merger.n_people_waiting > MAX_PEOPLE_WAITING:
            self._late.ended(spooled.batch_id, place, "", is_merged=False)
            return
        merging = asyncio.create_task(self._merge(spooled, place))
        self._background.add(merging)
        merging.add_done_callback(self._background.discard)
        await asyncio.wait([merging], timeout=REPLY_WAIT_SECONDS)

    async def _merge(self, spooled: SpooledBatch, place: Place) -> None:
        self._late.begins(spooled.batch_id)
        world, is_merged, is_all = self._late.world, False, True
        try:
            events = [event for event in spooled.events if not self._erased.covers(event)]
            is_all = await self._merger.merge(events)
            is_merged = True
        except RedisUnavailable as error:
            logger.debug("what people did is merged later: %s", error)
        finally:
            self._late.ended(spooled.batch_id, place, world, is_merged=is_merged, is_all=is_all)

    async def _write(self, batch: SpooledBatch) -> _Accepted:
        """Wait until the batch is durable, or find that it was accepted before."""
        accepted: asyncio.Future[_Accepted] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(batch, accepted))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())
        return await accepted

    async def _commit_all(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                try:
                    await self._commit(group)
                except Exception as error:  # whatever it is, no request may be left waiting
                    for waiting in group:
                        if not waiting.accepted.done():
                            waiting.accepted.set_exception(error)
        finally:
            self._committing = None

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        new = []
        for waiting, claim in zip(group, await self._claimed(group), strict=True):
            if claim is None or (claim.batch_id == waiting.batch.batch_id and not claim.is_shipped):
                new.append(waiting)  # the process that claimed it may have died, so it is written here
            elif claim.batch_id == waiting.batch.batch_id:
                self._keys.add(waiting.batch.key, claim.batch_id, claim.received_ms)
                waiting.accepted.set_result(_Accepted(claim.received_ms, None))
            else:
                waiting.accepted.set_exception(_reused(waiting.batch.key))
        if not new:
            return
        payloads = [_ENCODER.encode(waiting.batch) for waiting in new]
        places = await self._thread.run(partial(self._spool.append, payloads))
        for waiting, place in zip(new, places, strict=True):
            batch = waiting.batch
            self._keys.add(batch.key, batch.batch_id, batch.received_ms)
            waiting.accepted.set_result(_Accepted(batch.received_ms, place))

    async def _claimed(self, group: Sequence[_Waiting]) -> list[Claim | None]:
        """Claim each batch's key; return its earlier claim, or None if there is none or Redis is away."""
        if self._claims is None:
            return [None] * len(group)
        connection, circuit = self._claims
        queries = [
            Query(claim_command(batch.key, batch.batch_id, batch.received_ms, batch.n_sent), read_claim)
            for batch, _ in group
        ]
        try:
            circuit.check()
        except RedisUnavailable:
            return [None] * len(group)
        try:
            held = await connection.ask_each(queries)
        except RedisUnavailable as error:
            circuit.failed()
            logger.warning("keys of batches are checked without Redis: %s", error)
            return [None] * len(group)
        circuit.succeeded()
        return [None if isinstance(one, Refused) else one for one in held]


def _reply(validated: Validated, *, replayed: bool) -> EventsReply:
    return EventsReply(len(validated.events), validated.rejected, replayed)


def _reused(key: str) -> KeyReused:
    return KeyReused(
        f"the key {key!r} was accepted with another body before; send this batch under a key of its own"
    )
