"""Faults of the machine: its disk, its clock, and a folder that somebody removed."""

from __future__ import annotations

import asyncio
import resource
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import time

import pyarrow.parquet as pq

from loadtest.errors import ServerFailed
from loadtest.events.exporting import export, parts_of
from loadtest.faults.disks import fill
from loadtest.faults.row import Fault
from loadtest.faults.stage import Stage

HOUR_MS = 3_600_000
SETTLED_SECONDS = 2.0


@asynccontextmanager
async def disk_full(stage: Stage) -> AsyncIterator[None]:
    """Fill the spool's disk."""
    filler = await stage.do(fill, stage.disk)
    yield
    filler.unlink()


@asynccontextmanager
async def nothing_can_be_written(stage: Stage) -> AsyncIterator[None]:
    """Let no file of the service's processes grow, not even their log, as if the whole machine's disk were full."""
    limits = {process: _no_more(process) for process in await stage.do(stage.service.processes)}
    yield
    for process, before in limits.items():
        with suppress(ProcessLookupError):
            resource.prlimit(process, resource.RLIMIT_FSIZE, before)


def _no_more(process: int) -> tuple[int, int]:
    """Let a process's files grow no more, and return the limits from before."""
    _, hard = before = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (0, hard))
    return before


@asynccontextmanager
async def spool_deleted(stage: Stage) -> AsyncIterator[None]:
    """Remove the spool. Events that are on their way to Redis at that moment cannot be kept by anybody."""
    settled = set(stage.sent.accepted)
    await asyncio.sleep(SETTLED_SECONDS)
    await stage.do(shutil.rmtree, stage.spool, ignore_errors=True)
    await asyncio.sleep(0.5)
    stage.forgiven |= stage.sent.accepted - settled
    yield


def clock_moved(days: float) -> Fault:
    """Make a fault in which the service's clock jumps, and comes back."""

    @asynccontextmanager
    async def fault(stage: Stage) -> AsyncIterator[None]:
        stage.clock.move(days)
        yield
        stage.clock.move(0)

    return fault


async def events_have_the_right_time(stage: Stage) -> list[str]:
    """Check that events accepted after the clock is right have the right time, also after a restart."""
    found = []
    for when in ("after the clock came back", "after a restart"):
        moments = await _moments_of_new_events(stage, when.rpartition(" ")[2])
        wrong = [moment for moment in moments if abs(moment - 1000 * time()) > HOUR_MS]
        if wrong or not moments:
            days = (wrong[0] - 1000 * time()) / 86_400_000 if wrong else 0.0
            found.append(f"events accepted {when} are marked {days:+.0f} days from then")
        await stage.do(stage.service.stop)
        await stage.do(stage.service.start)
    return found


async def _moments_of_new_events(stage: Stage, word: str) -> list[int]:
    """Send new events, and return when they were received, in Unix milliseconds, as the export says."""
    marks = [f"late-{word}-{number}" for number in range(5)]
    item = stage.kept.items[0]
    events = [{"kind": "view", "item_id": item, "user_id": "late", "request_id": mark} for mark in marks]
    await stage.say({"key": f"late-{word}", "events": events})
    with suppress(ServerFailed):
        await stage.do(stage.service.wait_until_shipped, 20.0)
    out = stage.folder / f"export-{word}"
    settings = {**stage.service.settings, "STILLROOM_REDIS_URL": stage.redis.url, "LD_PRELOAD": ""}
    await stage.do(export, settings, out)
    tables = [
        pq.read_table(path, columns=["request_id", "received_ms"]).to_pylist() for path in parts_of(out)
    ]
    return [row["received_ms"] for rows in tables for row in rows if row["request_id"] in marks]
