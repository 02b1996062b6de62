"""The parts of a running service, put together once from the settings, started and stopped in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from time import monotonic
from typing import Literal

from service.bundles import BundleHolder
from service.drain import Drain
from service.errors import NotReady
from service.histories.circuit import Circuit
from service.histories.lookup import People
from service.histories.memory import PeopleInMemory
from service.histories.redis import RedisPeople
from service.metrics import Metrics
from service.permits import Permits
from service.recommender import Recommender
from service.schemas import ReadyReply
from service.scoring.batcher import Batcher
from service.scoring.scorer import score_batch
from service.scoring.turns import TurnBatcher
from service.settings import Settings
from service.tiers import LastGoodAnswers

TURN_BATCH = 16
"""Searches of one turn of the event loop: 2 ms in a catalogue of a million."""


class Parts:
    """Built without an event loop; `running` starts what needs one."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.permits = Permits(settings.max_in_flight, self.metrics.in_flight.set)
        self.drain = Drain(settings.drain_seconds)
        self.redis = _redis(settings, self.metrics)
        self.people = People(
            PeopleInMemory(settings.cache_bytes),
            self.redis,
            self.metrics,
            max_age_seconds=settings.cache_max_age_seconds,
        )
        self.bundles = BundleHolder(
            settings.store,
            self.metrics,
            max_batch=settings.max_batch,
            poll_seconds=settings.bundle_poll_seconds,
        )
        self.scorer = Batcher(
            partial(score_batch, on_tower_runs=self.metrics.tower_runs.inc),
            max_batch=settings.max_batch,
            max_waiting=settings.max_waiting,
            on_batch=self.metrics.batch_sizes.observe,
        )
        quick_scorer = TurnBatcher(
            score_batch,
            max_batch=min(settings.max_batch, TURN_BATCH),
            max_waiting=settings.max_waiting,
            on_batch=self.metrics.batch_sizes.observe,
        )
        last_good = LastGoodAnswers(settings.last_good_people)
        self.recommender = Recommender(
            self.bundles, self.people, self.scorer, quick_scorer, last_good, self.metrics
        )
        self.people.on_learnt = self.recommender.make_vector
        self._started_at = monotonic()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve inside. The first bundle loads beside it, so /health/live answers from the start."""
        self.scorer.start()
        watching = asyncio.create_task(self.bundles.watch())
        try:
            with self.drain.on_sigterm():
                yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            await self.scorer.close()
            if self.redis is not None:
                await self.redis.close()
            self.metrics.close()

    def readiness(self) -> ReadyReply:
        """Raises NotReady, saying what is missing."""
        if self.drain.is_draining:
            raise NotReady("the service is shutting down")
        if not self.scorer.is_alive:
            raise NotReady("the scoring thread has ended; replace this process")
        if not self.bundles.is_ready:
            raise NotReady("no bundle is verified yet; see the log, or `python -m models verify`")
        uptime = round(monotonic() - self._started_at, 1)
        return ReadyReply("ready", self.bundles.serving().version, self._redis_state(), uptime)

    def _redis_state(self) -> Literal["off", "untried", "up", "down"]:
        if self.redis is None:
            return "off"
        if self.redis.came_back is None:
            return "untried"
        return "up" if self.redis.came_back else "down"


def _redis(settings: Settings, metrics: Metrics) -> RedisPeople | None:
    if not settings.redis_url:
        return None
    circuit = Circuit(
        settings.circuit_failures, settings.circuit_open_seconds, on_change=metrics.circuit_changed
    )
    return RedisPeople(
        settings.redis_url,
        circuit,
        connect_seconds=settings.redis_connect_timeout_ms / 1000,
        read_seconds=settings.redis_read_timeout_ms / 1000,
        ttl_seconds=settings.redis_ttl_seconds,
    )
