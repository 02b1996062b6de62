"""Faults of the line between service and Redis, and of what comes over it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from loadtest.faults.conditions import Conditions
from loadtest.faults.row import Fault
from loadtest.faults.stage import Stage


def line_is(conditions: Conditions) -> Fault:
    """Make a fault that gives the line to Redis these conditions; random draws use the row's seed."""

    @asynccontextmanager
    async def fault(stage: Stage) -> AsyncIterator[None]:
        before = await stage.do(stage.line.set, msgspec.structs.replace(conditions, seed=stage.seed))
        yield
        after = await stage.do(stage.line.set, Conditions())
        stage.noted["pieces_changed"] = after.changed - before.changed
        if after.changed == before.changed:
            stage.found.append("nothing came over the line meanwhile, so the row shows nothing")

    return fault
