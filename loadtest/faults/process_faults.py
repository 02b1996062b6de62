"""What happens to the service's own processes."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from loadtest.faults.stage import Stage

SPARE_DESCRIPTORS = 2


@asynccontextmanager
async def worker_killed(stage: Stage) -> AsyncIterator[None]:
    """One of two; the supervisor starts another."""
    await stage.do(stage.service.kill_worker, stage.random)
    yield


@asynccontextmanager
async def stopped_and_started(stage: Stage) -> AsyncIterator[None]:
    """As a deployment does it: SIGTERM, and the same service again."""
    await stage.do(stage.service.stop)
    await stage.do(stage.service.start)
    yield


@asynccontextmanager
async def descriptors_out(stage: Stage) -> AsyncIterator[None]:
    """Each worker may open almost nothing beside what it has open."""
    before = {worker: _limited(worker) for worker in await stage.do(stage.service.workers)}
    yield
    for worker, limits in before.items():
        with suppress(ProcessLookupError):
            resource.prlimit(worker, resource.RLIMIT_NOFILE, limits)


def _limited(worker: int) -> tuple[int, int]:
    """Limits of before."""
    highest = max(int(descriptor.name) for descriptor in Path(f"/proc/{worker}/fd").iterdir())
    _, hard = before = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (highest + 1 + SPARE_DESCRIPTORS, hard))
    return before
