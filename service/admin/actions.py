"""Carries out each operators' route. Every change is audited before it is made, and none is made twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter, time
from typing import Any, TypeVar

from models.bundles.registry import Registry
from models.errors import RegistryError, StillroomError
from models.experiments.declaration import Experiment
from service.admin.audit import AuditLog
from service.admin.schemas import (
    BundleLine,
    BundlesReply,
    ExperimentLine,
    ExperimentsReply,
    PromotedReply,
    ResumeRequest,
    StateReply,
    StoppedReply,
    StopRequest,
)
from service.answers.experiments import ExperimentsHolder
from service.bundles.holder import BundleHolder, BundleRefused
from service.contract.errors import ChangeRefused, NothingToServe, RedisUnavailable, TargetUnknown
from service.contract.schemas import ErasureReply, VisitErasureReply
from service.events.erasing import Eraser
from service.experiments.report import ExperimentReport, read_command, read_report
from service.experiments.stopped import (
    EVERY_ARM,
    Stop,
    read_resumed,
    resume_command,
    stop_command,
    stopped_arms,
    stopped_together,
)
from service.redis.connection import Connection
from service.redis.replies import nothing
from service.redis.wire import Command, Reply

Read = TypeVar("Read")


class Actions:
    """key: the name of the operator's key. request_id: the request's. redis: None runs without it. state: returns the
    reply to GET /admin/state; raises NotReady.
    """

    def __init__(
        self,
        registry: Registry,
        bundles: BundleHolder,
        experiments: ExperimentsHolder,
        eraser: Eraser,
        audit: AuditLog,
        redis: Connection | None,
        state: Callable[[], StateReply],
    ) -> None:
        self._registry = registry
        self._bundles = bundles
        self._experiments = experiments
        self._eraser = eraser
        self._audit = audit
        self._redis = redis
        self._state = state
        self._redis_turn = asyncio.Lock()
        self._store_turn = asyncio.Lock()

    async def bundles(self) -> BundlesReply:
        """GET /admin/bundles."""
        versions, promotions = await asyncio.to_thread(
            lambda: (self._registry.versions(), self._registry.promotions())
        )
        in_service = self._in_service()
        lines = [
            BundleLine(version, version in promotions[:1], version in promotions[1:2], version == in_service)
            for version in versions
        ]
        return BundlesReply(lines)

    async def promote(self, version: str, key: str, request_id: str) -> PromotedReply:
        """POST /admin/promote. Raises TargetUnknown, and ChangeRefused for a bundle that cannot be served; then the
        one in service and `current` stay as they are.
        """
        started_at, replaced = perf_counter(), self._in_service()
        async with self._audit.change(key, "promote", version, request_id), self._store_turn:
            if version not in await asyncio.to_thread(self._registry.versions):
                raise TargetUnknown(f"there is no bundle {version!r}; GET /admin/bundles lists them")
            try:
                async with self._bundles.prepared(version):
                    await self._in_store(self._registry.promote, version, True)
                    await self._bundles.follow()
            except BundleRefused as error:
                raise ChangeRefused(str(error)) from error
            if self._in_service() != version:
                raise ChangeRefused(
                    f"{version} was promoted, and at once another; GET /admin/bundles tells which"
                )
        return PromotedReply(version, replaced, _milliseconds(started_at))

    async def roll_back(self, key: str, request_id: str) -> PromotedReply:
        """POST /admin/rollback. The previous bundle stays loaded, so this takes milliseconds."""
        started_at, replaced = perf_counter(), self._in_service()
        async with self._audit.change(key, "rollback", replaced or "no bundle", request_id), self._store_turn:
            promotions = await asyncio.to_thread(self._registry.promotions)
            is_loaded = self._bundles.holding(promotions[1]) is not None if promotions[1:] else False
            version = await self._in_store(self._registry.roll_back, is_loaded)
            await self._bundles.follow()
            if self._in_service() != version:
                raise ChangeRefused(f"bundle {version} cannot be served any more; the log has the cause")
        return PromotedReply(str(version), replaced, _milliseconds(started_at))

    async def experiments(self) -> ExperimentsReply:
        """GET /admin/experiments."""
        holder = self._experiments
        lines = [
            ExperimentLine(each.name, each.layer, [arm.name for arm in each.arms], self._stopped(each.name))
            for each in holder.declaration.experiments
        ]
        return ExperimentsReply(lines, holder.refused)

    async def experiment(self, name: str) -> ExperimentReport:
        """GET /admin/experiments/{name}: the monitor's latest report."""
        self._declared(name)
        report = await self._ask(read_command(name), read_report)
        if report is None:
            raise TargetUnknown(f"no report of {name!r} yet; the monitor writes one a window")
        return report

    async def stop(self, name: str, request: StopRequest, key: str, request_id: str) -> StoppedReply:
        """POST /admin/experiments/{name}/stop."""
        experiment = self._declared(name, request.arm)
        stop = Stop(
            name, request.arm, experiment.seed, "operator", f"{key}: {request.why}", int(1000 * time())
        )
        async with self._audit.change(key, "stop", f"{name}/{request.arm}", request_id):
            await self._ask(stop_command(stop), nothing)
        return await self._stopped_now(name)

    async def resume(self, name: str, request: ResumeRequest, key: str, request_id: str) -> StoppedReply:
        """POST /admin/experiments/{name}/resume."""
        self._declared(name, request.arm)
        async with self._audit.change(key, "resume", f"{name}/{request.arm}", request_id):
            if not await self._ask(resume_command(name, request.arm), read_resumed):
                raise ChangeRefused(stopped_together(name))
        return await self._stopped_now(name)

    async def erase(self, user_id: str, key: str, request_id: str) -> ErasureReply:
        """DELETE /people/{user_id}. The audit names nobody, since it must not keep who was forgotten."""
        async with self._audit.change(key, "erase", "a person", request_id):
            removed, pending = await self._eraser.erase_person(user_id)
        return ErasureReply(user_id, removed, pending)

    async def erase_visit(self, session_id: str, key: str, request_id: str) -> VisitErasureReply:
        """DELETE /sessions/{session_id}. The audit names no visit either."""
        async with self._audit.change(key, "erase", "a visit", request_id):
            removed, pending = await self._eraser.erase_visit(session_id)
        return VisitErasureReply(session_id, removed, pending)

    async def state(self) -> StateReply:
        """GET /admin/state. Raises NotReady."""
        return self._state()

    def _in_service(self) -> str | None:
        """Return the version in service; None if there is no bundle yet."""
        bundles = self._bundles
        return bundles.serving().version if bundles.is_ready else None

    async def _in_store(self, change: Any, *arguments: Any) -> Any:
        """Change the store. Raises ChangeRefused with the store's reason."""
        try:
            return await asyncio.to_thread(change, *arguments)
        except RegistryError as error:
            raise ChangeRefused(str(error)) from error
        except StillroomError as error:
            raise ChangeRefused(f"it does not verify: {error}") from error
        except OSError as error:
            raise ChangeRefused(
                f"the store cannot be written from here ({error.strerror}); run `python -m models` where it can"
            ) from error

    def _declared(self, name: str, arm: str = EVERY_ARM) -> Experiment:
        experiment = self._experiments.declaration.experiment(name)
        if experiment is None:
            names = ", ".join(each.name for each in self._experiments.declaration.experiments)
            raise TargetUnknown(f"no experiment {name[:64]!r} is in force, there is: {names or 'none'}")
        arms = [each.name for each in experiment.arms]
        if arm not in (*arms, EVERY_ARM):
            raise TargetUnknown(f"{name!r} has no arm {arm[:64]!r}, it has: {', '.join(arms)}")
        return experiment

    def _stopped(self, name: str) -> list[str]:
        holder = self._experiments
        stopped = stopped_arms(holder.stops, holder.declaration)
        return sorted(arm for experiment, arm in stopped if experiment == name)

    async def _stopped_now(self, name: str) -> StoppedReply:
        await self._experiments.follow()
        return StoppedReply(name, self._stopped(name))

    async def _ask(self, command: Command, read: Callable[[Reply], Read]) -> Read:
        """Send a command to Redis. Raises ChangeRefused if there is no Redis, NothingToServe if it is away."""
        if self._redis is None:
            raise ChangeRefused("STILLROOM_REDIS_URL is empty; reports and stops are in Redis")
        try:
            async with self._redis_turn:  # a connection has one caller at a time
                return await self._redis.ask_one(command, read)
        except RedisUnavailable as error:
            raise NothingToServe(f"Redis: {error}") from error


def _milliseconds(started_at: float) -> float:
    return round(1000 * (perf_counter() - started_at), 3)
