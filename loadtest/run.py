"""Run one load test: start the servers, send the load, break Redis if told to, decide, write the report."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep, time
from typing import Any
from urllib.parse import urlsplit

from loadtest.errors import GeneratorFailed, ServerFailed
from loadtest.people import read_ids
from loadtest.recording import read_samples, read_start
from loadtest.redis_server import Redis
from loadtest.servers import HOST, POLL_SECONDS, Server, free_port
from loadtest.service_processes import Service, is_ready
from loadtest.verdict import Happening, Settings, decide

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
EXTRA_SECONDS = 1.0
"""Seconds of load beyond the measured window, because Locust's clock starts before its first user does."""

SPARE_SECONDS = 30.0
"""Seconds that Locust may take beyond the run itself, for its start and its last answers."""


@dataclass(frozen=True)
class Target:
    """The address of the load, and the ids to request. redis: None if it belongs to somebody else."""

    address: str
    people: str
    items: str
    redis: Server | None = None


@dataclass
class Timetable:
    """The actions on Redis, in seconds of the measured window."""

    redis: Server | None
    settings: Settings
    happenings: list[Happening] = field(default_factory=list)

    def keep(self, offset_seconds: float) -> None:
        """Do the actions that are due."""
        done = len(self.happenings)
        if self.redis is None:
            return
        if done == 0 and is_due(self.settings.kill_redis_at, offset_seconds):
            self.redis.kill()
            self.happenings.append(Happening(round(offset_seconds, 2), "Redis killed"))
        elif done == 1 and is_due(self.settings.restart_redis_at, offset_seconds):
            self.redis.start()
            self.happenings.append(Happening(round(offset_seconds, 2), "Redis started again, empty"))


def is_due(at_seconds: float | None, offset_seconds: float) -> bool:
    """Whether a moment, if one is given, has come."""
    return at_seconds is not None and offset_seconds >= at_seconds


def run_with_own_servers(
    people: str, items: str, settings: Settings, reports: Path, port: int | None
) -> dict[str, Any]:
    """Start Redis and the service, measure them, and stop them. Their logs go to the reports folder."""
    read_ids(people), read_ids(items)
    with ExitStack() as stack:
        redis = stack.enter_context(Redis(free_port(), reports / "load-redis.log"))
        service = Service(
            port or free_port(), reports / "load-service.log", {"STILLROOM_REDIS_URL": redis.url}
        )
        stack.enter_context(service)
        return measure(Target(f"http://{HOST}:{service.port}", people, items, redis), settings)


def run_against(address: str, people: str, items: str, settings: Settings) -> dict[str, Any]:
    """Measure a service that already runs. Raises ServerFailed if it is not ready."""
    parts = urlsplit(address)
    try:
        ready = is_ready(parts.netloc)
    except OSError as error:
        raise ServerFailed(f"nothing answers at {address}: {error}") from error
    if not ready:
        raise ServerFailed(f"{address}/health/ready does not say ready")
    return measure(Target(address, people, items), settings)


def measure(target: Target, settings: Settings) -> dict[str, Any]:
    """Run Locust and decide from its recording. Raises GeneratorFailed or IdsMissing."""
    with TemporaryDirectory() as folder:
        recording = Path(folder) / "requests.csv"
        timetable = Timetable(target.redis, settings)
        started_at = drive(target, settings, recording, timetable)
        return decide(list(read_samples(recording)), started_at, settings, timetable.happenings)


def drive(target: Target, settings: Settings, recording: Path, timetable: Timetable) -> float:
    """Run Locust to its end while keeping the timetable. Returns when it started, in Unix seconds."""
    process = subprocess.Popen(locust_command(target, settings, recording), stdin=subprocess.DEVNULL)
    give_up_at = time() + settings.warmup_seconds + settings.seconds + SPARE_SECONDS
    try:
        while process.poll() is None and time() < give_up_at:
            started_at = read_start(recording)
            if started_at is not None:
                timetable.keep(time() - started_at - settings.warmup_seconds)
            sleep(POLL_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    started_at = read_start(recording)
    if process.returncode != 0 or started_at is None:
        raise GeneratorFailed(f"Locust ended with {process.returncode}; its last lines are above")
    return started_at


def locust_command(target: Target, settings: Settings, recording: Path) -> list[str]:
    """Return the command line of one headless run. Users start within half the warm-up."""
    options = {
        "--host": target.address,
        "--users": settings.users,
        "--spawn-rate": max(1, round(settings.users / max(settings.warmup_seconds / 2, 1))),
        "--run-time": f"{ceil(settings.warmup_seconds + settings.seconds + EXTRA_SECONDS)}s",
        "--requests-per-user": settings.rate / settings.users,
        "--people": target.people,
        "--items": target.items,
        "--seed": settings.seed,
        "--record": recording,
        "--stop-timeout": 10,
        # We decide on failures, so a failed request must not look like a failed generator.
        "--exit-code-on-error": 0,
    }
    words = [str(word) for option in options.items() for word in option]
    return [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary", *words]


def write_report(report: dict[str, Any], file: Path) -> None:
    """Write the report as JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(report, indent=1) + "\n")
