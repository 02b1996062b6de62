"""Alertmanager's configuration: valid, routed by severity, and without a secret in it."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from tests.deploy.test_alert_rules import NAMES
from tests.support.repository import ROOT, program, read_yaml

FILE = "deploy/alertmanager/alertmanager.yml"
CONFIGURATION = read_yaml(FILE)
RECEIVERS: dict[str, dict[str, Any]] = {receiver["name"]: receiver for receiver in CONFIGURATION["receivers"]}
SECRETS = "/etc/alertmanager/secrets/"


def amtool(*words: str) -> str:
    """What amtool says; an error is a failure."""
    done = subprocess.run([program("amtool"), *words], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_alertmanager_takes_the_configuration() -> None:
    assert "SUCCESS" in amtool("check-config", FILE)


@pytest.mark.parametrize(("severity", "receiver"), [("critical", "on-call"), ("warning", "team")])
def test_alerts_are_routed_by_severity(severity: str, receiver: str) -> None:
    labels = ("alertname=StillroomAnything", f"severity={severity}")
    assert amtool("config", "routes", "test", f"--config.file={FILE}", *labels).split() == [receiver]


def test_critical_alerts_go_to_slack_email_and_sms() -> None:
    assert set(RECEIVERS["on-call"]) == {"name", "slack_configs", "email_configs", "webhook_configs"}
    assert set(RECEIVERS["team"]) == {"name", "slack_configs", "email_configs"}


def test_every_receiver_hears_of_the_resolution() -> None:
    ways = [
        way for receiver in RECEIVERS.values() for key in receiver if key != "name" for way in receiver[key]
    ]
    assert all(way["send_resolved"] for way in ways)


def test_secrets_are_files() -> None:
    told = CONFIGURATION["global"]
    assert told["slack_api_url_file"].startswith(SECRETS)
    assert told["smtp_auth_password_file"].startswith(SECRETS)
    [sms] = RECEIVERS["on-call"]["webhook_configs"]
    assert sms["http_config"]["authorization"]["credentials_file"].startswith(SECRETS)


def test_secrets_cannot_be_committed() -> None:
    ignored = subprocess.run(
        ["git", "check-ignore", "deploy/alertmanager/secrets/smtp-password"], cwd=ROOT, capture_output=True
    )
    assert ignored.returncode == 0


def test_inhibitions_speak_of_alerts_that_exist() -> None:
    named = {
        name
        for rule in CONFIGURATION["inhibit_rules"]
        for matcher in (*rule["source_matchers"], *rule["target_matchers"])
        if matcher.startswith("alertname")
        for name in matcher.partition('"')[2].rstrip('"').split("|")
    }
    assert named - {"Stillroom.+"} <= set(NAMES)
