"""Faults by hostile clients beside the steady traffic; each kind runs in a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec

from loadtest.faults.conditions import Conditions
from loadtest.faults.hostile.attack import Hostility
from loadtest.faults.row import Fault
from loadtest.faults.stage import Stage
from loadtest.servers import ROOT

END_SECONDS = 15.0
"""Time after the attack for its last exchanges."""


def hostile(kind: str, seconds: float, line: Conditions | None = None) -> Fault:
    """Make a fault by hostile clients. seconds: at most the row's. line: conditions of their line; None is direct."""

    @asynccontextmanager
    async def fault(stage: Stage) -> AsyncIterator[None]:
        port = stage.service.port
        if line is not None:
            port = stage.client_line.port
            await stage.do(stage.client_line.set, msgspec.structs.replace(line, seed=stage.seed))
        ids = stage.folder / "ids.json"
        ids.write_bytes(msgspec.json.encode((stage.kept.people, stage.kept.items)))
        arguments = (kind, str(port), str(min(seconds, stage.at_most_seconds)), str(stage.seed), str(ids))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "loadtest.faults.hostile", *arguments),
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield
            async with asyncio.timeout(END_SECONDS):
                said, errors = await process.communicate()
            _note(stage, kind, said, errors)
        except TimeoutError:
            stage.found.append(f"the clients of {kind} did not come to an end")
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    return fault


def _note(stage: Stage, kind: str, said: bytes, errors: bytes) -> None:
    try:
        seen = msgspec.json.decode(said, type=Hostility)
    except msgspec.MsgspecError:
        stage.found.append(f"the clients of {kind} broke: {errors.decode(errors='replace').strip()[-300:]}")
        return
    stage.found += seen.unexpected
    stage.noted |= {
        "connections": seen.opened,
        "connections_refused": seen.refused,
        "connections_closed": seen.closed,
        "mebibytes_sent": round(seen.sent_bytes / 2**20, 2),
        **{f"answers_{status}": n for status, n in sorted(seen.answers.items())},
        **seen.figures,
    }
    if not seen.opened:
        stage.found.append(f"the clients of {kind} never got a connection, so the row shows nothing")
