"""The drill for ten seconds: a real service with two workers, a real Redis, real kills."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from loadtest.events.plan import Plan
from loadtest.events.run import report
from loadtest.events.sending import Sent


def test_every_accepted_event_is_exported_exactly_once_whatever_was_killed(
    store: Path, tmp_path: Path
) -> None:
    out = tmp_path / "events.json"
    command = [sys.executable, "-m", "loadtest.events", "--store", str(store), "--seconds", "10"]
    drill = subprocess.run(
        [*command, "--rate", "300", "--out", str(out)], capture_output=True, text=True, timeout=240
    )
    found = json.loads(out.read_text()) if out.exists() else None
    assert drill.returncode == 0, f"{drill.stdout}\n{drill.stderr}\n{found}"
    assert found is not None
    assert (found["accepted"], found["exported"]) == (3000, 3000)
    assert (found["lost"], found["duplicated"], found["invented"], found["replies_unlike"]) == (0, 0, 0, 0)
    assert len(found["faults"]) == 6


def test_report_tells_lost_doubled_and_invented_events_apart(tmp_path: Path) -> None:
    folder = tmp_path / "interactions"
    folder.mkdir()
    for number, marks in enumerate((["a", "b"], ["b", "c", "x"])):
        pq.write_table(pa.table({"request_id": marks}), folder / f"part-{number}.parquet")
    sent = Sent(accepted={"a", "b", "d"}, sent={"a", "b", "c", "d"})
    found = report(Plan(0), sent, tmp_path, [])
    assert (found["lost"], found["duplicated"], found["invented"]) == (1, 1, 1)
    assert not found["met"]
    sent = Sent(accepted={"a", "c"}, sent={"a", "b", "c", "x"})
    assert not report(Plan(0), sent, tmp_path, [])["met"]  # "b" is there twice
