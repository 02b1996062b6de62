"""Run the drill: send, break, start again, export, count. Read this file first."""

from __future__ import annotations

import asyncio
import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

from loadtest.events.exporting import export, read_marks, start_export
from loadtest.events.plan import Fault, Plan
from loadtest.events.sending import Sender, Sent
from loadtest.redis_server import DurableRedis
from loadtest.service_processes import Service

SCHEMA_VERSION = 1


@dataclass
class Drill:
    """One drill. redis_down_seconds: the longest that Redis is down each time."""

    plan: Plan
    redis: DurableRedis
    service: Service
    out: Path
    redis_down_seconds: float = 2.0
    happened: list[dict[str, Any]] = field(default_factory=list)

    async def run(self) -> Sent:
        """Send everything while breaking everything; at the end all is running, shipped and exported."""
        sender = Sender(self.service.port, self.plan.replay_share, self.plan.seed + 2)
        breaking = asyncio.create_task(self._break_all())
        sending = asyncio.create_task(sender.send_all(self.plan))
        await asyncio.gather(breaking, sending)
        await asyncio.to_thread(self._cut_power_and_start)
        await asyncio.to_thread(self.service.wait_until_shipped)
        await asyncio.to_thread(self._export)
        return sender.sent

    async def _break_all(self) -> None:
        started_at, random = monotonic(), Random(self.plan.seed + 3)
        for due_at, fault in self.plan.faults():
            await asyncio.sleep(max(0.0, started_at + due_at - monotonic()))
            self.happened.append({"at_seconds": round(monotonic() - started_at, 2), "fault": fault})
            print(f"drill-events: {self.happened[-1]['at_seconds']:6.2f} s  {fault}", flush=True)
            await asyncio.to_thread(self._break, fault, random)

    def _break(self, fault: Fault, random: Random) -> None:
        if fault == "worker":
            self.service.kill_worker(random)
        elif fault == "everything":
            self._cut_power_and_start()
        elif fault == "export":
            self._export()
        elif fault == "export_killed":
            self._kill_export(random.uniform(0.1, 1.5))
        else:
            self._break_redis(random.uniform(0.2, self.redis_down_seconds), empties=fault == "redis_emptied")

    def _break_redis(self, down_seconds: float, *, empties: bool) -> None:
        self.redis.kill()
        if empties:
            self.redis.empty()
        _wait(down_seconds)
        self.redis.start()

    def _cut_power_and_start(self) -> None:
        self.service.kill()
        self.redis.kill()
        self.redis.start()
        self.service.start()

    def _export(self) -> None:
        """Export only from the streams, as an export on another machine does."""
        export(self.service.settings, self.out)

    def _kill_export(self, after_seconds: float) -> None:
        started = start_export(self.service.settings, self.out)
        try:
            started.communicate(timeout=after_seconds)
        except subprocess.TimeoutExpired:
            started.kill()
            started.communicate()


def report(plan: Plan, sent: Sent, out: Path, happened: list[dict[str, Any]]) -> dict[str, Any]:
    """Compare the export with what was sent, and report whether the drill passed."""
    exported = read_marks(out)
    lost = sent.accepted - set(exported)
    duplicated = sum(n_times - 1 for n_times in exported.values())
    invented = set(exported) - sent.sent
    return {
        "schema_version": SCHEMA_VERSION,
        "met": not (lost or duplicated or invented or sent.unlike) and len(sent.accepted) > 0,
        "seed": plan.seed,
        "seconds": plan.seconds,
        "events_per_second": plan.rate,
        "accepted": len(sent.accepted),
        "exported": len(exported),
        "lost": len(lost),
        "duplicated": duplicated,
        "invented": len(invented),
        "requests": sent.n_attempts,
        "statuses": dict(sorted(sent.statuses.items())),
        "replays": sent.n_replays,
        "replies_unlike": len(sent.unlike),
        "faults": happened,
    }


def write_report(found: dict[str, Any], path: Path) -> None:
    """Write a report as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n")


def _wait(seconds: float) -> None:
    asyncio.run(asyncio.sleep(seconds))
