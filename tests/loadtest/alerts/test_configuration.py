"""The drill changes durations, addresses and secrets of what is shipped, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from loadtest.alerts.configuration import (
    Addresses,
    Secrets,
    divided,
    hurried_expression,
    hurried_rules,
    write_alertmanager,
    write_prometheus,
)
from tests.support.repository import ROOT, program, read_yaml

ADDRESSES = Addresses(
    service="127.0.0.1:1",
    monitor="127.0.0.1:2",
    alertmanager="127.0.0.1:3",
    smtp="127.0.0.1:4",
    slack_url="http://127.0.0.1:5/slack",
    sms_url="http://127.0.0.1:5/sms",
)
SECRETS = Secrets(smtp_password="the password", sms_token="the token")
RULE_FILES = sorted((ROOT / "deploy" / "prometheus" / "rules").glob("*.rules.yml"))
DURATION = re.compile(r"\b(?:\d+(?:ms|[smhdwy]))+\b")


def rules_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    """All rules of a file."""
    return [rule for group in content["groups"] for rule in group["rules"]]


@pytest.mark.parametrize(
    ("shipped", "hurried"), [("5m", "5000ms"), ("1h30m", "90000ms"), ("500ms", "8ms"), ("7d", "10080000ms")]
)
def test_durations_are_divided(shipped: str, hurried: str) -> None:
    assert divided(shipped, 60) == hurried


def test_no_duration_becomes_nothing() -> None:
    assert divided("15s", 1_000_000) == "1ms"


def test_windows_steps_and_offsets_of_an_expression_are_divided() -> None:
    shipped = "rate(a[5m]) > 300 and avg_over_time((b >= 0)[7d:5m]) and c offset 1h > 14 * 86400"
    assert hurried_expression(shipped, 60) == (
        "rate(a[5000ms]) > 300 and avg_over_time((b >= 0)[10080000ms:5000ms]) and c offset 60000ms > 14 * 86400"
    )


@pytest.mark.parametrize("file", RULE_FILES, ids=lambda file: file.name)
def test_only_durations_of_the_rules_change(file: Path) -> None:
    shipped = read_yaml(str(file.relative_to(ROOT)))
    for before, after in zip(rules_of(shipped), rules_of(hurried_rules(shipped, 60)), strict=True):
        assert DURATION.sub("", after["expr"]) == DURATION.sub("", before["expr"])
        assert before["expr"] != after["expr"] or not re.search(r"\[", before["expr"])
        assert {key: value for key, value in after.items() if key not in ("expr", "for")} == {
            key: value for key, value in before.items() if key not in ("expr", "for")
        }
        assert ("for" in after) == ("for" in before)


def test_prometheus_takes_the_hurried_rules(tmp_path: Path) -> None:
    written = write_prometheus(ROOT / "deploy" / "prometheus", tmp_path / "p", ADDRESSES, 60)
    checked = subprocess.run(
        [program("promtool"), "check", "config", written], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(RULE_FILES)} rule files found" in checked.stdout


def test_prometheus_reads_service_and_monitor_of_the_drill(tmp_path: Path) -> None:
    written = json.loads(
        write_prometheus(ROOT / "deploy" / "prometheus", tmp_path / "p", ADDRESSES, 60).read_text()
    )
    assert {job["job_name"]: job["static_configs"] for job in written["scrape_configs"]} == {
        "stillroom": [{"targets": ["127.0.0.1:1"]}],
        "stillroom-monitor": [{"targets": ["127.0.0.1:2"]}],
    }


def test_alertmanager_takes_the_hurried_routes_and_keeps_the_receivers(tmp_path: Path) -> None:
    written = write_alertmanager(ROOT / "deploy" / "alertmanager", tmp_path / "a", ADDRESSES, SECRETS, 60)
    checked = subprocess.run([program("amtool"), "check-config", written], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert "2 receivers" in checked.stdout
    hurried = json.loads(written.read_text())
    assert hurried["inhibit_rules"] == read_yaml("deploy/alertmanager/alertmanager.yml")["inhibit_rules"]
    assert hurried["route"]["routes"][0]["repeat_interval"] == "60000ms"


def test_secrets_reach_alertmanager_as_files(tmp_path: Path) -> None:
    written = write_alertmanager(ROOT / "deploy" / "alertmanager", tmp_path / "a", ADDRESSES, SECRETS, 60)
    text = written.read_text()
    assert "the password" not in text
    assert "the token" not in text
    told = json.loads(text)["global"]
    assert Path(told["smtp_auth_password_file"]).read_text() == "the password"
    assert Path(told["slack_api_url_file"]).read_text() == ADDRESSES.slack_url
