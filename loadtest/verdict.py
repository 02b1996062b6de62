"""Turn the rows of a run into `reports/load.json`: percentiles, counts, and whether the SLA was met."""

from __future__ import annotations

import os
import platform
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import Any

from loadtest.recording import Sample

SCHEMA_VERSION = 1
RATE_HELD = 0.95
"""Share of the wanted rate below which a run shows nothing about that rate."""

METHOD = (
    "Closed loop: each user waits for its answer, then catches up with its timetable. Response times are "
    "raw, from sending to the whole body read, as the generator saw them. Percentiles are nearest-rank, over "
    "the measured window; the warm-up counts towards failures only."
)


@dataclass(frozen=True)
class Settings:
    """The settings of a run. rate: requests per second of all users together. *_at: seconds into the window."""

    rate: float = 200.0
    seconds: float = 60.0
    warmup_seconds: float = 5.0
    sla_ms: float = 50.0
    users: int = 200
    seed: int = 0
    kill_redis_at: float | None = None
    restart_redis_at: float | None = None


@dataclass(frozen=True)
class Happening:
    """An action on the servers. at_seconds: into the measured window."""

    at_seconds: float
    what: str


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile of sorted values, 0 if there are none. share: in (0, 1]."""
    return ordered[max(ceil(share * len(ordered)), 1) - 1] if ordered else 0.0


def decide(
    samples: Sequence[Sample],
    started_at: float,
    settings: Settings,
    happenings: Sequence[Happening] = (),
) -> dict[str, Any]:
    """Make the whole report. started_at: Unix seconds, the start of the warm-up.

    met is true if p99 is under sla_ms, nothing failed and the rate was held; `missed` says which of these failed.
    """
    window_from = started_at + settings.warmup_seconds
    measured = [
        sample for sample in samples if window_from <= sample.sent_at < window_from + settings.seconds
    ]
    rps = len(measured) / settings.seconds
    failures = sum(bool(sample.fault) for sample in samples)
    times = _times(measured)
    missed = _missed(times["p99_ms"], failures, rps, settings)
    return {
        "schema_version": SCHEMA_VERSION,
        "met": not missed,
        "missed": missed,
        "requests": len(measured),
        "rps": round(rps, 2),
        "failures": failures,
        "faults": dict(Counter(sample.fault for sample in samples if sample.fault)),
        **times,
        "sla_ms": settings.sla_ms,
        "endpoints": _endpoints(measured),
        "tiers": dict(Counter(sample.tier for sample in measured if sample.tier)),
        "degraded": dict(Counter(sample.degraded for sample in measured if sample.degraded)),
        "happenings": [asdict(happening) for happening in happenings],
        "timeline": _timeline(measured, window_from),
        "settings": asdict(settings),
        "method": METHOD,
        "machine": machine(),
    }


def machine() -> dict[str, Any]:
    """Describe the machine of the figures; generator and servers share it unless --host was given."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = models[0].partition(":")[2].strip() if models else model
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "os": platform.system(),
    }


def _missed(p99_ms: float, failures: int, rps: float, settings: Settings) -> list[str]:
    missed = []
    if p99_ms >= settings.sla_ms:
        missed.append(f"p99 is {p99_ms:.1f} ms, the SLA is {settings.sla_ms:g} ms")
    if failures:
        missed.append(f"{failures} requests failed")
    if rps < RATE_HELD * settings.rate:
        missed.append(f"{rps:.1f} requests a second were sent, {settings.rate:g} were asked for")
    return missed


def _times(samples: Sequence[Sample]) -> dict[str, float]:
    ordered = sorted(sample.response_ms for sample in samples)
    shares = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "max_ms": 1.0}
    return {name: round(percentile(ordered, share), 3) for name, share in shares.items()}


def _endpoints(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    groups: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.name].append(sample)
    return [
        {
            "name": name,
            "requests": len(group),
            "failures": sum(bool(sample.fault) for sample in group),
            **_times(group),
        }
        for name, group in sorted(groups.items())
    ]


def _timeline(samples: Sequence[Sample], window_from: float) -> list[dict[str, Any]]:
    """Make one row per second of the measured window, so that a fault and the recovery from it can be seen."""
    seconds: defaultdict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        seconds[int(sample.sent_at - window_from)].append(sample)
    return [
        {
            "second": second,
            "requests": len(group),
            "failures": sum(bool(sample.fault) for sample in group),
            "degraded": sum(bool(sample.degraded) for sample in group),
            **_times(group),
        }
        for second, group in sorted(seconds.items())
    ]
