"""The deliberate faults of the service, the alert that each must raise, and its repair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from loadtest.alerts.daemons import run_python
from loadtest.alerts.replay import as_it_was, of_another_season
from loadtest.alerts.traffic import Traffic
from loadtest.faults.conditions import Conditions
from loadtest.faults.proxy import ProxyProcess
from loadtest.redis_server import Redis

CRITICAL = ("slack", "email", "sms")
WARNING = ("slack", "email")
SLOW_MS = 80
"""Delay of each answer of a slow Redis: more than an answer's budget of 50 ms, less than its patience here."""


@dataclass(frozen=True)
class Fault:
    """One fault. ways: those by which the alert must arrive."""

    name: str
    how: str
    alert: str
    ways: tuple[str, ...]
    inject: Callable[[], object]
    repair: Callable[[], object]


def slowness(line: ProxyProcess) -> Fault:
    """Make Redis answer late."""

    return Fault(
        name="slowness",
        how=f"each answer of Redis is held back for {SLOW_MS} ms",
        alert="StillroomLatencyAboveBudget",
        ways=CRITICAL,
        inject=lambda: line.set(Conditions(delay_ms=SLOW_MS)),
        repair=lambda: line.set(Conditions()),
    )


def redis_away(redis: Redis) -> Fault:
    """Kill Redis, and start it again empty."""
    return Fault(
        name="Redis away",
        how="Redis is killed",
        alert="StillroomRedisAway",
        ways=CRITICAL,
        inject=redis.kill,
        repair=redis.start,
    )


def drift(traffic: Traffic) -> Fault:
    """Let new people come for another season's items."""

    def inject() -> None:
        traffic.disguise = of_another_season

    def repair() -> None:
        traffic.disguise = as_it_was

    return Fault(
        name="drift",
        how="half of the events are purchases of unknown items, and nobody has more than one event of history",
        alert="StillroomDrift",
        ways=WARNING,
        inject=inject,
        repair=repair,
    )


def disagreement(store: Path) -> Fault:
    """Promote a bundle whose student was damaged, and roll back."""
    return Fault(
        name="disagreement",
        how="a bundle is promoted whose student reads every item of a history as another one",
        alert="StillroomStudentDisagrees",
        ways=CRITICAL,
        inject=lambda: run_python("-m", "loadtest.alerts.damage", str(store)),
        repair=lambda: run_python("-m", "models", "rollback", "--store", str(store)),
    )
