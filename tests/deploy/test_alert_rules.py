"""Prometheus's rules: valid, each seen firing and not firing, each with a section in the runbook."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.repository import ROOT, program, read_yaml

PROMETHEUS = ROOT / "deploy" / "prometheus"
RULE_FILES = sorted((PROMETHEUS / "rules").glob("*.rules.yml"))
TEST_FILES = sorted((PROMETHEUS / "tests").glob("*.test.yml"))
RULES: list[dict[str, Any]] = [
    rule
    for file in RULE_FILES
    for group in read_yaml(str(file.relative_to(ROOT)))["groups"]
    for rule in group["rules"]
]
EXPRESSIONS = [rule["expr"] for rule in RULES]
ALERTS = [rule for rule in RULES if "alert" in rule]
NAMES = [rule["alert"] for rule in ALERTS]
RUNBOOK = "https://github.com/stillroom/stillroom/blob/main/docs/runbook.md#"


def checks() -> list[dict[str, Any]]:
    """Every look at ALERTS or at one alert in the rule tests."""
    tests = [test for file in TEST_FILES for test in read_yaml(str(file.relative_to(ROOT)))["tests"]]
    return [
        check
        for test in tests
        for check in (*test.get("promql_expr_test", ()), *test.get("alert_rule_test", ()))
    ]


def promtool(*words: str | Path) -> str:
    """What promtool says; an error is a failure."""
    done = subprocess.run([program("promtool"), *words], capture_output=True, text=True, cwd=PROMETHEUS)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_the_configuration_and_every_rule() -> None:
    said = promtool("check", "config", "prometheus.yml")
    assert f"{len(RULE_FILES)} rule files found" in said
    promtool("check", "rules", "--lint=all", "--lint-fatal", *RULE_FILES)


@pytest.mark.parametrize("file", TEST_FILES, ids=lambda file: file.name)
def test_rules_fire_when_they_should(file: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", file)


@pytest.mark.parametrize("name", NAMES)
def test_each_alert_is_seen_firing(name: str) -> None:
    fired = [
        check
        for check in checks()
        if (name == check.get("alertname") and check["exp_alerts"])
        or any(f'alertname="{name}"' in sample["labels"] for sample in check.get("exp_samples", ()))
    ]
    assert fired


@pytest.mark.parametrize("file", TEST_FILES, ids=lambda file: file.name)
def test_each_fault_is_seen_to_be_quiet_before_or_after(file: Path) -> None:
    for test in read_yaml(str(file.relative_to(ROOT)))["tests"]:
        looked = [*test.get("promql_expr_test", ()), *test.get("alert_rule_test", ())]
        assert any(check.get("exp_samples") == [] or check.get("exp_alerts") == [] for check in looked), test[
            "name"
        ]


def test_names_are_unique() -> None:
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("rule", ALERTS, ids=NAMES)
def test_each_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == RUNBOOK + rule["alert"].lower()


def test_the_runbook_has_a_section_for_each_alert_and_no_other() -> None:
    sections = re.findall(r"^## (Stillroom\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    assert sorted(sections) == sorted(NAMES)


@pytest.mark.parametrize("rule", ALERTS, ids=NAMES)
def test_the_runbook_gives_the_severity_of_the_rule(rule: dict[str, Any]) -> None:
    text = (ROOT / "docs" / "runbook.md").read_text()
    assert f"## {rule['alert']}\n**{rule['labels']['severity'].capitalize()}.**" in text
