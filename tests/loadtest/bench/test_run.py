"""One real, very short run from end to end, on a bundle of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loadtest.bench.plan import Plan
from loadtest.bench.questions import SCENARIOS
from loadtest.bench.run import Run
from loadtest.bench.size import LOGGED, UNLOGGED
from models.bundles.bundle import write_bundle
from models.bundles.registry import Registry
from tests.support.bundles import tiny_contents, tiny_people


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Measured once for all tests here: forty items, a few thousand people, fractions of a second a round."""
    folder = tmp_path_factory.mktemp("bench")
    contents = dataclasses.replace(tiny_contents(), people=tiny_people(2000))
    store = folder / "store"
    Registry(store).promote(write_bundle(store, contents).name)
    plan = Plan(
        store=store,
        n_rounds=1,
        round_seconds=0.2,
        open_seconds=0.3,
        n_open_stretches=2,
        alone_seconds=0.1,
        peers=(),
        kernel="plain",
        logs=folder / "logs",
    )
    measured: dict[str, Any] = json.loads(json.dumps(Run(plan, lambda line: None).measure()))
    return measured


def test_nothing_failed_to_run(report: dict[str, Any]) -> None:
    assert report["errors"] == []


def test_the_figures_that_others_read_are_there(report: dict[str, Any]) -> None:
    assert 0 < report["recommend_vs_bare"]["40"] < 1
    least, greatest = report["recommend_vs_unlogged_interval"]["40"]
    assert 0 < least <= report["recommend_vs_unlogged"]["40"] <= greatest < 5
    assert {"rate", "p50_ms", "p99_ms", "p999_ms", "failures"} <= set(report["open_loop"]["40"])
    assert report["open_loop"]["40"]["failures"] == 0
    assert report["peers"] == {}


def test_the_requested_instructions_ran_and_are_named(report: dict[str, Any]) -> None:
    assert report["plan"]["kernel"] == "plain"
    assert report["kernels"] == {"40": "plain"}


def test_every_kind_of_request_was_measured(report: dict[str, Any]) -> None:
    assert set(report["scenarios"]["40"]) == {each.name for each in SCENARIOS}
    assert report["scenarios"]["40"]["plain"]["relative_to_plain"] == 1.0
    assert report["scenarios"]["40"]["plain"]["full_share"] == 1.0


def test_stages_start_and_memory_were_measured(report: dict[str, Any]) -> None:
    stages = report["stages"]["40"]["alone"]
    assert 0 < stages["score"] < stages["total"]
    [row] = report["scale"]
    assert row["seconds_to_ready_cold"] > 0
    assert 0 < row["further_worker"]["private_bytes"] <= row["further_worker"]["resident_bytes"]


def test_raw_rounds_and_the_machine_are_kept(report: dict[str, Any]) -> None:
    measured = {(each["server"], each["scenario"]) for each in report["rounds"] if each["number"] == 0}
    assert measured == {
        ("echo", "plain"),
        (LOGGED, "plain"),
        (UNLOGGED, "plain"),
        *(("stillroom", each.name) for each in SCENARIOS),
    }
    assert {"cpu", "cores", "memory_bytes", "kernel"} <= set(report["machine"])
    assert {"date", "revision", "libraries"} <= set(report["code"])


def test_a_store_without_a_bundle_is_an_error_in_the_report_and_exit_2(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    done = subprocess.run(
        [sys.executable, "-m", "loadtest.bench", "--store", str(tmp_path), "--no-peers", "--out", str(out)],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "no promoted bundle" in done.stdout
    assert "no promoted bundle" in json.loads(out.read_text())["errors"][0]["error"]


def test_a_part_that_breaks_costs_no_other_part_its_figures(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> None:
        raise ZeroDivisionError("nobody foresaw this")

    monkeypatch.setattr(Run, "_measure_size", break_down)
    report = Run(Plan(store=store, peers=(), logs=tmp_path / "logs"), lambda line: None).measure()
    [error] = report["errors"]
    assert "ZeroDivisionError: nobody foresaw this" in error["error"]
    assert report["verdicts"]
