"""The whole drill on a small shop: the real Prometheus and Alertmanager, a real service, real messages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.repository import ROOT, program

BY_WRITING = {"slack", "email"}
BY_ALL = {*BY_WRITING, "sms"}
FAULTS = {"disagreement": BY_ALL, "drift": BY_WRITING, "slowness": BY_ALL, "Redis away": BY_ALL}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """reports/alerts.json of a drill that is hurried twice as much as usual, on a shop of its own."""
    program("prometheus"), program("prometheus-alertmanager")
    folder = tmp_path_factory.mktemp("drill")
    store, out = folder / "store", folder / "alerts.json"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STILLROOM_")}
    inherited["PATH"] = f"{Path(sys.executable).parent}:{inherited['PATH']}"
    size = ("--people", "1000", "--items", "200", "--seed", "0")
    filled = subprocess.run(
        ["sh", "deploy/fill-store.sh", str(store), str(folder), str(folder / "runs"), *size],
        cwd=ROOT,
        env=inherited,
        capture_output=True,
        text=True,
    )
    assert filled.returncode == 0, filled.stderr
    command = [sys.executable, "-m", "loadtest.alerts", "--store", str(store)]
    done = subprocess.run(
        [*command, "--shop", str(folder / "demo-shop"), "--speed-up", "120", "--out", str(out)],
        cwd=ROOT,
        env=inherited,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert out.exists(), done.stdout + done.stderr
    content: dict[str, Any] = json.loads(out.read_text())
    assert done.returncode == (0 if content["met"] else 1)
    return content


def told(report: dict[str, Any], fault: str) -> dict[str, Any]:
    """What was told of a fault."""
    [found] = [outcome for outcome in report["faults"] if outcome["fault"] == fault]
    return dict(found)


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_reach_whom_they_should_and_resolve(report: dict[str, Any], fault: str) -> None:
    outcome = told(report, fault)
    assert set(outcome["fired_seconds"]) == FAULTS[fault]
    assert set(outcome["resolved_seconds"]) == FAULTS[fault]


def test_a_good_day_is_quiet(report: dict[str, Any]) -> None:
    """Save for slow answers, which a machine that is busy with other tests may give in earnest."""
    alarms = {message["alert"] for message in report["false_alarms"]}
    assert {alert for alert in alarms if "Latency" not in alert} == set()


def test_people_read_what_is_wrong(report: dict[str, Any]) -> None:
    assert "the budget is 50 ms" in told(report, "slowness")["text"]


def test_nobody_went_without_an_answer(report: dict[str, Any]) -> None:
    assert report["requests"]["answered"] > 0
    assert report["requests"]["failed"] == 0
