"""The clock of another process is moved while it runs, and only the time of day."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import time

import pytest

from loadtest.errors import ServerMissing
from loadtest.faults import clock
from loadtest.faults.clock import DAY_SECONDS, MovedClock

TELLS_ON_EVERY_LINE = """
import sys, time
for line in sys.stdin:
    print(time.time(), time.monotonic(), flush=True)
"""


def environment_or_skip(moved: MovedClock) -> dict[str, str]:
    try:
        return {**os.environ, **moved.environment()}
    except ServerMissing as missing:
        pytest.skip(str(missing))


def test_clock_of_a_running_process_jumps_and_comes_back(tmp_path: Path) -> None:
    moved = MovedClock(tmp_path / "clock")
    process = subprocess.Popen(
        [sys.executable, "-c", TELLS_ON_EVERY_LINE],
        env=environment_or_skip(moved),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def told() -> tuple[float, float]:
        """Time of day beside ours, in days, and the monotonic clock."""
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        day, monotonic = map(float, process.stdout.readline().split())
        return round((day - time()) / DAY_SECONDS), monotonic

    try:
        days, began_at = told()
        assert days == 0
        for wanted in (400, -400, 0):
            moved.move(wanted)
            while (now := told())[0] != wanted:  # it looks each second
                assert now[1] - began_at < 60
        assert 0 <= told()[1] - began_at < 60
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def test_library_that_is_missing_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "LIBRARY", "no-such-library.so")
    with pytest.raises(ServerMissing, match="apt-get install libfaketime"):
        MovedClock(tmp_path / "clock").environment()
