"""The whole drill on a small shop: the real Prometheus and Alertmanager, a real service, real messages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.support.bundles import tiny_bundle
from tests.support.repository import ROOT, program

EVERY_WAY = {"slack", "email", "sms"}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """reports/alerts.json of a drill that is hurried twice as much as usual."""
    program("prometheus"), program("prometheus-alertmanager")
    folder = tmp_path_factory.mktemp("drill")
    store, out = folder / "store", folder / "alerts.json"
    tiny_bundle(store)
    command = [sys.executable, "-m", "loadtest.alerts", "--store", str(store), "--people", "user-{}:20"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STILLROOM_")}
    done = subprocess.run(
        [*command, "--speed-up", "120", "--out", str(out)],
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


@pytest.mark.parametrize("fault", ["slowness", "Redis away"])
def test_critical_faults_reach_everybody_and_resolve(report: dict[str, Any], fault: str) -> None:
    outcome = told(report, fault)
    assert set(outcome["fired_seconds"]) == EVERY_WAY
    assert set(outcome["resolved_seconds"]) == EVERY_WAY


def test_a_good_day_is_quiet(report: dict[str, Any]) -> None:
    assert report["false_alarms"] == []


def test_people_read_what_is_wrong(report: dict[str, Any]) -> None:
    assert "the budget is 50 ms" in told(report, "slowness")["text"]


def test_nobody_went_without_an_answer(report: dict[str, Any]) -> None:
    assert report["requests"]["answered"] > 0
    assert report["requests"]["failed"] == 0
