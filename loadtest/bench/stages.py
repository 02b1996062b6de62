"""Read where an answer's time goes from the service's own histograms at /metrics, as a difference over rounds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http.client import HTTPConnection

from loadtest.bench.errors import BenchFailed
from loadtest.servers import HOST

_SAMPLE = re.compile(r'^stillroom_stage_seconds_(sum|count)\{stage="([^"]+)"\} (\S+)$', re.MULTILINE)
TOTAL = "total"


@dataclass(frozen=True)
class StageSums:
    """Seconds and observations by stage since the service started."""

    seconds: dict[str, float]
    counts: dict[str, float]


def parse_stages(exposition: str) -> StageSums:
    """Parse the stage histograms. Raises BenchFailed for a text without them."""
    found: dict[str, dict[str, float]] = {"sum": {}, "count": {}}
    for kind, stage, value in _SAMPLE.findall(exposition):
        found[kind][stage] = float(value)
    if not found["sum"]:
        raise BenchFailed("/metrics has no stillroom_stage_seconds")
    return StageSums(found["sum"], found["count"])


def read_stages(port: int) -> StageSums:
    """Scrape the stage histograms of a service on this machine."""
    return parse_stages(read_metrics(port))


def read_metrics(port: int) -> str:
    """Return the text at /metrics of a service on this machine."""
    connection = HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def mean_microseconds(before: StageSums, after: StageSums) -> dict[str, float]:
    """Return the mean microseconds per request by stage.

    A stage that some requests skip is averaged over all requests, so that the stages add up to the total. Raises
    BenchFailed if no request was recorded in between.
    """
    n_requests = after.counts.get(TOTAL, 0.0) - before.counts.get(TOTAL, 0.0)
    if n_requests <= 0:
        raise BenchFailed("no request was booked between the two looks at /metrics")
    return {
        stage: round(1e6 * (seconds - before.seconds.get(stage, 0.0)) / n_requests, 2)
        for stage, seconds in after.seconds.items()
    }
