"""Puts the parts that accept events together, starts them and stops them in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from service.answers.exposures import ExposureLog
from service.answers.no_model.live_items import LiveItems
from service.answers.tiers import LastGoodAnswers
from service.bundles.holder import BundleHolder
from service.contract.errors import SpoolUnavailable
from service.contract.schemas import EventBatch, EventsReply
from service.events.accepting import RECOVERY_SECONDS, BatchAcceptance
from service.events.clock import ReceivingClock
from service.events.erasing import Caches, Disk, Eraser
from service.events.keys import BatchKeys
from service.events.late_merging import LateMerger
from service.events.merging import Merger
from service.events.rounds import POLL_SECONDS
from service.events.set_aside import SetAside
from service.events.shipping import TRIP_SECONDS, Look, Shipper
from service.events.thread import SpoolThread
from service.limits.permits import Permits
from service.log.erasures import ErasedPeople, ErasureFile
from service.log.records import SpooledBatch
from service.log.spool import Spool
from service.people.lookup import People
from service.people.memory import PeopleInMemory
from service.people.recovery import Recovery
from service.people.redis import RedisPeople
from service.redis.circuit import Circuit
from service.redis.connection import Connection
from service.settings.service import Settings
from service.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

FIRST_LOOK_SECONDS = 2.0
"""How long a starting service waits to learn whether histories in Redis lack events that are on its disk."""


class EventIntake:
    """permits: for event batches, apart from requests for items, so that a slow disk cannot keep those out.

    redis: histories, over a connection on which no request waits; None runs without Redis.
    """

    def __init__(
        self,
        settings: Settings,
        people: People,
        memory: PeopleInMemory,
        redis: RedisPeople | None,
        recovery: Recovery,
        last_good: LastGoodAnswers,
        bundles: BundleHolder,
        erased: ErasedPeople,
        exposures: ExposureLog | None,
        live_items: LiveItems,
        metrics: Metrics,
    ) -> None:
        root = settings.spool_folder
        self.permits = Permits(settings.max_event_batches)
        self.thread = SpoolThread()
        self.spool = Spool(root, max_bytes=settings.spool_bytes, with_redis=redis is not None)
        self._keys = BatchKeys(settings.event_keys)
        self._clock = ReceivingClock()
        self._live_items = live_items
        self._metrics = metrics
        self._has_read_disk = asyncio.Event()
        erased.now_ms = self._clock.received_ms
        self._connections: list[Connection] = []
        shipping = erasing = claiming = telling = None
        if redis is not None:
            claim_seconds = settings.redis_read_timeout_ms / 1000
            seconds = (TRIP_SECONDS, TRIP_SECONDS, claim_seconds, TRIP_SECONDS)
            self._connections = [_connection(settings, read_seconds) for read_seconds in seconds]
            shipping, erasing, claiming, telling = self._connections
        aside = SetAside(metrics)
        merger = Merger(people, bundles, aside, metrics)
        self._late = LateMerger(
            *(self.spool, self.thread, merger, erased),
            redis=(redis, telling) if redis is not None and telling is not None else None,
            recovery=recovery,
        )
        self.eraser = Eraser(
            Disk(self.spool, ErasureFile(root), self.thread),
            self._clock,
            erased,
            Caches(people, memory, last_good, merger, aside, exposures),
            redis=(erasing, redis) if erasing is not None and redis is not None else None,
        )
        self._shipper = Shipper(
            *(self.spool, self.thread, self._clock, erased, shipping, metrics),
            keep_seconds=settings.spool_keep_seconds,
            max_entries=settings.events_stream_entries,
            on_look=self._on_look,
        )
        circuit = Circuit(settings.circuit_failures, settings.circuit_open_seconds)
        self._intake = BatchAcceptance(
            *(self.spool, self.thread, self._keys, self._clock, merger, self._late, erased),
            claims=(claiming, circuit) if claiming is not None else None,
            metrics=metrics,
            on_durable=self._on_durable,
        )

    @property
    def has_recovered(self) -> bool:
        """Whether earlier batches have been read from disk, so that new ones need not wait."""
        return self._intake.is_recovered.is_set()

    async def accept(self, batch: EventBatch) -> EventsReply:
        """See `BatchAcceptance.accept`."""
        return await self._intake.accept(batch)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Accept and ship inside. What an earlier worker left is read first, so that no batch has to wait for it; a
        large spool or an absent disk delays requests for items by RECOVERY_SECONDS at most.
        """
        working = asyncio.create_task(self._work())
        with suppress(TimeoutError):
            async with asyncio.timeout(RECOVERY_SECONDS):
                await self._has_read_disk.wait()
                async with asyncio.timeout(FIRST_LOOK_SECONDS):
                    await self._late.has_looked.wait()
        try:
            yield
        finally:
            await self._intake.close()
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working
            await asyncio.gather(self._shipper.finish(), self._late.finish())
            await self.thread.run(self.spool.close)
            self.thread.close()
            for connection in self._connections:
                connection.close()

    async def _work(self) -> None:
        while not await self._recover():
            # The spool cannot be read yet, but requests for items are answered all the same.
            self._has_read_disk.set()
            self._late.has_looked.set()
            await asyncio.sleep(POLL_SECONDS)
        self._has_read_disk.set()
        self._intake.is_recovered.set()
        async with asyncio.TaskGroup() as beside_each_other:
            beside_each_other.create_task(self._shipper.run())
            beside_each_other.create_task(self._late.run())

    async def _recover(self) -> bool:
        """Read what was accepted before; return False if the spool's folder cannot be used."""
        try:
            await self.thread.run(self.spool.open)
            await self.thread.run(self.spool.adopt)
            await self._shipper.show()
            await self.eraser.recover()
            await self.thread.run(self._recall)
        except (SpoolUnavailable, OSError) as error:
            logger.error("no events are accepted: %s", error)
            return False
        if self.spool.n_torn_bytes:
            self._metrics.spool_torn_bytes.inc(self.spool.n_torn_bytes)
        return True

    def _recall(self) -> None:
        """Read the spool's batches. Runs on the spool's thread; nothing else uses keys and clock yet."""
        for batch in self.spool.batches():
            self._keys.add(batch.key, batch.batch_id, batch.received_ms)
            self._clock.not_before(batch.received_ms)
            self._live_items.recalled(batch.events)

    def _on_durable(self, batch: SpooledBatch) -> None:
        self._live_items.accepted(batch.events)
        self._shipper.wake()

    async def _on_look(self, look: Look | None) -> None:
        await self.eraser.follow(look)


def _connection(settings: Settings, read_seconds: float) -> Connection:
    return Connection(
        settings.redis_url,
        connect_seconds=settings.redis_connect_timeout_ms / 1000,
        read_seconds=read_seconds,
    )
