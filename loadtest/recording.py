"""Record every request of a run, one unrounded row each: the Locust process writes it, the verdict reads it.

Locust's own statistics round response times to two digits above 100 ms, which is too coarse for a limit on p99.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from time import time
from typing import IO, Any, NamedTuple

from loadtest.people import Answer


class Sample(NamedTuple):
    """One request. sent_at: Unix seconds. fault: "" for a good answer."""

    sent_at: float
    name: str
    response_ms: float
    fault: str
    tier: str
    degraded: str


class Recorder:
    """Writes rows to a CSV file. The first row is the moment at which the test started."""

    def __init__(self, file: Path) -> None:
        self._opened: IO[str] = file.open("w", newline="")
        self._writer: Any = csv.writer(self._opened)
        self._writer.writerow([repr(time())])
        self._opened.flush()

    def add(self, sent_at: float, name: str, response_ms: float, error: object, answer: Answer) -> None:
        """Record one request. error: the error that Locust found, None for a success."""
        fault = answer.fault or (type(error).__name__ if error else "")
        self._writer.writerow(
            [repr(sent_at), name, f"{response_ms:.3f}", fault, answer.tier, answer.degraded]
        )

    def close(self) -> None:
        """Write out buffered rows, and close the file."""
        self._opened.close()


def read_start(file: Path) -> float | None:
    """Return when the test started, in Unix seconds; None if it has not."""
    if not file.exists():
        return None
    with file.open(newline="") as opened:
        line = opened.readline().strip()
    return float(line) if line else None


def read_samples(file: Path) -> Iterator[Sample]:
    """Read all rows of a finished recording."""
    with file.open(newline="") as opened:
        rows = csv.reader(opened)
        next(rows, None)
        for sent_at, name, response_ms, *rest in rows:
            yield Sample(float(sent_at), name, float(response_ms), *rest)
