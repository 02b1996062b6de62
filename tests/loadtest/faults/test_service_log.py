"""What nobody foresaw in a log: tracebacks, and lines that are no log lines."""

from __future__ import annotations

import json
from pathlib import Path

from loadtest.faults.service_log import unforeseen


def line(message: str, **more: str) -> str:
    return json.dumps({"time": "now", "level": "error", "message": message, **more})


def test_tracebacks_are_told_by_their_last_line_and_counted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    broken = line(
        "it failed\nat <object at 0x55aa>", error="Traceback\n  file\nValueError: at <thing 0x12ab>"
    )
    other = line("it failed\nat <object at 0x66bb>", error="Traceback\n  file\nValueError: at <thing 0x34cd>")
    log.write_text("\n".join([line("a warning"), broken, other, line("an error, foreseen"), ""]))
    assert unforeseen(log) == ["2 x it failed (ValueError: at <thing 0x…>)"]


def test_lines_that_the_service_did_not_write_are_told(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(f"{line('a warning')}\nFatal Python error: Aborted\n")
    assert unforeseen(log) == ["1 x Fatal Python error: Aborted (Fatal Python error: Aborted)"]


def test_log_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert unforeseen(tmp_path / "none") == []
