"""Read which processor instructions a service searches with, as it says itself at /metrics."""

from __future__ import annotations

import re

from loadtest.bench.errors import BenchFailed
from loadtest.bench.stages import read_metrics

_SAMPLE = re.compile(r'^stillroom_index_info\{(?:[^}]*,)?kernel="([^"]+)"[^}]*\} 1\.0$', re.MULTILINE)


def read_kernel(port: int) -> str:
    """Scrape the instructions of a service on this machine that has a bundle in service."""
    return parse_kernel(read_metrics(port))


def parse_kernel(exposition: str) -> str:
    """Parse the instructions. Raises BenchFailed for a text that does not state them."""
    found = _SAMPLE.search(exposition)
    if found is None:
        raise BenchFailed("/metrics has no stillroom_index_info with a kernel")
    return found[1]
