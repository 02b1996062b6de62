"""CPU and memory of a family of real processes."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from loadtest.processes import (
    MARK_VARIABLE,
    cpu_seconds,
    end_family,
    family,
    memory_of,
    pick_cores,
    running_on,
)

BUSY_CHILD_THAT_DETACHES = """
import subprocess, sys, time
burn = "import time\\nwhile time.process_time() < 0.3: pass\\nprint('burnt', flush=True)\\ntime.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", burn], start_new_session=True, stdout=subprocess.PIPE)
child.stdout.readline()
print("ready", flush=True)
time.sleep(60)
"""


@contextmanager
def started(program: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A marked process that has said it is ready."""
    mark = secrets.token_hex(8)
    environment = {**os.environ, MARK_VARIABLE: mark}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        yield mark, process
    finally:
        end_family(mark)
        process.wait()
        process.stdout.close()


def test_a_detached_grandchild_is_of_the_family_and_its_work_counts() -> None:
    with started(BUSY_CHILD_THAT_DETACHES) as (mark, process):
        pids = family(mark)
        assert process.pid in pids
        assert len(pids) == 2
        assert cpu_seconds(pids) >= 0.29
        assert cpu_seconds([process.pid]) < cpu_seconds(pids)


def test_ending_a_family_ends_whoever_detached() -> None:
    with started(BUSY_CHILD_THAT_DETACHES) as (mark, process):
        end_family(mark)
        process.wait()
        assert family(mark) == []


def test_who_ignores_a_polite_end_is_made_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtest.processes.STOP_SECONDS", 0.2)
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print('ready', flush=True); time.sleep(60)"
    )
    with started(stubborn) as (mark, process):
        end_family(mark)
        assert process.wait() == -9


def test_a_process_that_is_gone_has_used_nothing_more() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert cpu_seconds([process.pid]) == 0
    assert family("no such mark") == []


def test_private_memory_is_a_part_of_what_is_resident() -> None:
    held = "held = bytearray(64 * 2**20); print('ready', flush=True); import time; time.sleep(60)"
    with started(held) as (_, process):
        memory = memory_of(process.pid)
        assert 64 * 2**20 <= memory.private_dirty_bytes <= memory.private_bytes <= memory.resident_bytes


def test_a_child_started_on_a_core_stays_there_and_we_do_not() -> None:
    before = os.sched_getaffinity(0)
    core, _ = pick_cores()
    with running_on(core):
        shown = subprocess.run(
            [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"],
            capture_output=True,
            text=True,
        )
    assert shown.stdout.strip() == str({core})
    assert os.sched_getaffinity(0) == before
