"""Faults of the service's own processes."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from loadtest.faults.stage import Stage

SPARE_DESCRIPTORS = 2


@asynccontextmanager
async def worker_killed(stage: Stage) -> AsyncIterator[None]:
    """Kill one of two workers; the supervisor starts another."""
    await stage.do(stage.service.kill_worker, stage.random)
    yield


@asynccontextmanager
async def stopped_and_started(stage: Stage) -> AsyncIterator[None]:
    """Stop the service by SIGTERM and start it again, as a deployment does."""
    await stage.do(stage.service.stop)
    await stage.do(stage.service.start)
    yield


@asynccontextmanager
async def descriptors_out(stage: Stage) -> AsyncIterator[None]:
    """Let each worker open only `SPARE_DESCRIPTORS` descriptors more than it has."""
    before = {worker: _limited(worker) for worker in await stage.do(stage.service.workers)}
    yield
    for worker, limits in before.items():
        with suppress(ProcessLookupError):
            resource.prlimit(worker, resource.RLIMIT_NOFILE, limits)


def _limited(worker: int) -> tuple[int, int]:
    """Limit a worker's descriptors, and return the limits from before."""
    highest = max(int(descriptor.name) for descriptor in Path(f"/proc/{worker}/fd").iterdir())
    _, hard = before = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (highest + 1 + SPARE_DESCRIPTORS, hard))
    return before
