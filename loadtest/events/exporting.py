"""Run the export as an operator does, and read what is in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq

from loadtest.errors import LoadTestError
from loadtest.servers import ROOT

EVENT_TABLES = ("interactions", "visits", "impressions", "removals")
EXPORT_SECONDS = 120.0


class ExportBroken(LoadTestError):
    """The export ended with an error; the message is the export's own."""


def export(settings: Mapping[str, str], out: Path, spool: Path | None = None) -> None:
    """Run the export to its end. settings: of the service.

    spool: a folder to read beside the streams; None reads only the streams, as an export on another machine does.
    Raises ExportBroken.
    """
    started = start_export(settings, out, spool)
    try:
        _, errors = started.communicate(timeout=EXPORT_SECONDS)
    except subprocess.TimeoutExpired as error:
        started.kill()
        started.communicate()
        raise ExportBroken(f"the export did not end in {EXPORT_SECONDS:g} s") from error
    if started.returncode:
        raise ExportBroken(errors.strip())


def start_export(settings: Mapping[str, str], out: Path, spool: Path | None = None) -> subprocess.Popen[str]:
    """Start the export as `export` does, without waiting for it."""
    where = ["--out", str(out), "--spool", str(spool or out.parent / "no-spool")]
    return subprocess.Popen(
        [sys.executable, "-m", "service.log.export", *where],
        env={**os.environ, **settings, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_marks(out: Path) -> Counter[str]:
    """Return how often each event is in the export, by its mark, which is its request_id."""
    marks: Counter[str] = Counter()
    for path in parts_of(out):
        marks.update(pq.read_table(path, columns=["request_id"])["request_id"].to_pylist())
    return marks


def parts_of(out: Path) -> list[Path]:
    """Return all files with events."""
    return [path for name in EVENT_TABLES for path in sorted((out / name).glob("part-*.parquet"))]
