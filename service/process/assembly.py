"""Builds the parts of a running service from the settings, starts them, and stops them in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Literal, TypeAlias

from models.bundles.registry import Registry
from models.experiments.known import known_variants
from service.admin.actions import Actions
from service.admin.audit import AuditLog
from service.admin.keys import AdminKeys
from service.admin.schemas import StateReply
from service.answers.experiments import ExperimentsHolder
from service.answers.exposures import ExposureLog
from service.answers.no_model.answers import ModellessAnswers
from service.answers.no_model.live_items import LiveItems
from service.answers.recommender import Recommender
from service.answers.tiers import LastGoodAnswers
from service.bundles.holder import BundleHolder
from service.contract.errors import NotReady
from service.contract.schemas import ReadyReply
from service.events.intake import EventIntake
from service.limits.permits import BodyBytes, Permits
from service.log.erasures import ErasedPeople
from service.people.lookup import MERGING_SECONDS, People
from service.people.memory import PeopleInMemory
from service.people.recovery import Recovery
from service.people.redis import RedisPeople
from service.process.drain import Drain
from service.redis.circuit import Circuit
from service.redis.connection import Connection
from service.scoring.batcher import Batcher
from service.scoring.scorer import Scored, ScoringJob, score_batch
from service.scoring.turns import TurnBatcher
from service.settings.service import Settings
from service.telemetry.metrics import Metrics

TURN_BATCH = 16
"""How many searches share one turn of the event loop: 2 ms in a catalogue of a million."""


class Parts:
    """All parts, built without an event loop; `running` starts those that need one."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.permits = _permits(settings, self.metrics)
        self.batch_permits = Permits(settings.max_batched_in_flight, self.metrics.batched_in_flight.set)
        self.bodies = BodyBytes(settings.max_bodies_bytes)
        self.drain = Drain(settings.drain_seconds)
        recovery = Recovery()
        self.redis = _redis(settings, self.metrics, recovery)
        self._merging_redis = _merging_redis(settings, recovery)
        self.memory = PeopleInMemory(settings.cache_bytes)
        self.people = People(
            self.memory,
            self.redis,
            self.metrics,
            max_age_seconds=settings.cache_max_age_seconds,
            merging=self._merging_redis,
            recovery=recovery,
        )
        self.bundles = _bundles(settings, self.metrics)
        self.experiments = _experiments(settings, self.bundles, self.metrics)
        erased = ErasedPeople()
        self.exposures = _exposures(settings, erased, self.metrics)
        self.scorer, quick_scorer = _scorers(settings, self.metrics)
        last_good = LastGoodAnswers(settings.last_good_people)
        self.recommender = Recommender(
            self.bundles,
            self.people,
            self.scorer,
            quick_scorer,
            last_good,
            self.experiments,
            self.exposures,
        )
        keys_file = settings.admin_keys_file
        self.admin_keys = AdminKeys(Path(keys_file) if keys_file else None)
        self._operators_redis = _connection(settings)
        self.people.on_merged = self.recommender.make_vector
        self.live_items = LiveItems(self.bundles, _connection(settings), erased)
        self.modelless = ModellessAnswers(self.bundles, self.people, self.live_items)
        self.events = self._event_intake(recovery, last_good, erased)
        self.actions = Actions(
            Registry(settings.store),
            self.bundles,
            self.experiments,
            self.events.eraser,
            AuditLog(settings.audit_file),
            self._operators_redis,
            self.state,
        )
        self._started_at = monotonic()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve while inside. The bundle is in service and the experiments are in force before any request is
        answered: until then the server accepts no connection, and other workers answer.
        """
        self.scorer.start()
        await self.bundles.start()
        await self.experiments.start()
        watching = asyncio.create_task(self.bundles.watch())
        following = asyncio.create_task(self.experiments.watch())
        counting = asyncio.create_task(self.live_items.watch())
        if self.exposures is not None:
            self.exposures.start()
        try:
            async with self.events.running():
                self.metrics.workers.set(1)
                with self.drain.on_sigterm():
                    yield
        finally:
            for task in (watching, following, counting):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            if self.exposures is not None:
                await self.exposures.close()
            self.experiments.close()
            self.live_items.close()
            if self._operators_redis is not None:
                self._operators_redis.close()
            await self.scorer.close()
            for people in (self.redis, self._merging_redis):
                if people is not None:
                    await people.close()
            self.metrics.close()

    def n_requests(self) -> int:
        """Return how many requests for items there have been; a batch counts once."""
        return self.permits.n_ever_taken + self.batch_permits.n_ever_taken

    def state(self) -> StateReply:
        """Return the state that operators see of this process. Raises NotReady."""
        return StateReply(
            ready=self.readiness(),
            in_flight=self.permits.n_taken,
            people_in_memory=len(self.memory),
            people_bytes=self.memory.held_bytes,
            watch=self.redis is not None and bool(self.redis.watch.number),
            spool_bytes=self.events.spool.n_bytes,
            experiments=[each.name for each in self.experiments.declaration.experiments],
            experiments_refused=self.experiments.refused,
        )

    def readiness(self) -> ReadyReply:
        """Report readiness. Raises NotReady with what is missing. Before the first promotion the service is ready."""
        if self.drain.is_draining:
            raise NotReady("the service is shutting down")
        if not self.scorer.is_alive:
            raise NotReady("the scoring thread has ended; replace this process")
        version = self.bundles.serving().version if self.bundles.is_ready else None
        if version is None and self.bundles.absence == "bundle_refused":
            raise NotReady(
                "the promoted bundle is refused, so requests are answered without a model; the log says what is "
                "wrong with it. Roll back, or promote another"
            )
        if version is None and self.settings.require_bundle:
            raise NotReady("nothing is promoted in the store, and STILLROOM_REQUIRE_BUNDLE is set")
        uptime = round(monotonic() - self._started_at, 1)
        return ReadyReply("ready", version, self._redis_state(), uptime)

    def _redis_state(self) -> Literal["off", "untried", "up", "down"]:
        if self.redis is None:
            return "off"
        if self.redis.came_back is None:
            return "untried"
        return "up" if self.redis.came_back else "down"

    def _event_intake(
        self, recovery: Recovery, last_good: LastGoodAnswers, erased: ErasedPeople
    ) -> EventIntake:
        """Build the intake from the parts that exist before it."""
        return EventIntake(
            self.settings,
            people=self.people,
            memory=self.memory,
            redis=self._merging_redis,
            recovery=recovery,
            last_good=last_good,
            bundles=self.bundles,
            erased=erased,
            exposures=self.exposures,
            live_items=self.live_items,
            metrics=self.metrics,
        )


SHARE_AT_WORK = 0.25
"""The share of the deadline that an average answer may take while many are at work. Requests have waited as long in
sockets, and some take twice the average.
"""


def _permits(settings: Settings, metrics: Metrics) -> Permits:
    """Make the permits of single requests; their number falls while answers take longer than was aimed at."""
    aim_seconds = SHARE_AT_WORK * settings.deadline_ms / 1000
    return Permits(settings.max_in_flight, metrics.in_flight.set, aim_seconds=aim_seconds)


def _bundles(settings: Settings, metrics: Metrics) -> BundleHolder:
    return BundleHolder(
        settings.store, metrics, max_batch=settings.max_batch, poll_seconds=settings.bundle_poll_seconds
    )


def _experiments(settings: Settings, bundles: BundleHolder, metrics: Metrics) -> ExperimentsHolder:
    return ExperimentsHolder(
        Path(settings.experiments) if settings.experiments else None,
        bundles,
        known_variants(Registry(settings.store)),
        _connection(settings),
        metrics,
        poll_seconds=settings.bundle_poll_seconds,
    )


Scorers: TypeAlias = "tuple[Batcher[ScoringJob, Scored], TurnBatcher[ScoringJob, Scored]]"


def _scorers(settings: Settings, metrics: Metrics) -> Scorers:
    """Build one batcher for requests that need the tower, on a thread, and one for all others, on the event loop."""
    batcher = Batcher(
        partial(score_batch, on_tower_runs=metrics.tower_runs.inc),
        max_batch=settings.max_batch,
        max_waiting=settings.max_waiting,
        on_batch=metrics.batch_sizes.observe,
    )
    quick = TurnBatcher(
        score_batch,
        max_batch=min(settings.max_batch, TURN_BATCH),
        max_waiting=settings.max_waiting,
        on_batch=metrics.batch_sizes.observe,
    )
    return batcher, quick


def _redis(settings: Settings, metrics: Metrics, recovery: Recovery) -> RedisPeople | None:
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
        recovery=recovery,
    )


BACKGROUND_SECONDS = 1.0
"""The timeout of connecting to Redis, and of a trip, if no request waits for it."""


def _merging_redis(settings: Settings, recovery: Recovery) -> RedisPeople | None:
    """Connect to the same people separately: merging neither waits for requests nor fails with them."""
    if not settings.redis_url:
        return None
    return RedisPeople(
        settings.redis_url,
        Circuit(settings.circuit_failures, settings.circuit_open_seconds),
        connect_seconds=BACKGROUND_SECONDS,
        read_seconds=MERGING_SECONDS,
        ttl_seconds=settings.redis_ttl_seconds,
        recovery=recovery,
        is_watched=False,
    )


def _connection(settings: Settings) -> Connection | None:
    """Make a connection for work beside the requests."""
    if not settings.redis_url:
        return None
    return Connection(settings.redis_url, connect_seconds=BACKGROUND_SECONDS, read_seconds=BACKGROUND_SECONDS)


def _exposures(settings: Settings, erased: ErasedPeople, metrics: Metrics) -> ExposureLog | None:
    connection = _connection(settings)
    if connection is None or settings.exposure_max_records == 0:
        return None
    return ExposureLog(
        connection,
        erased,
        metrics,
        max_records=settings.exposure_max_records,
        max_bytes=settings.exposure_max_bytes,
        stream_length=settings.exposure_stream_length,
        sampled_share=settings.sampled_share,
    )
