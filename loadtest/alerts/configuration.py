"""Write the shipped configuration with every duration divided, and addresses and secrets of this machine; no more.

A rule that needs six minutes to fire in a shop fires in six seconds here, by the same expression. Numbers that an
expression compares with are not changed, whatever their unit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MILLISECONDS = {
    "ms": 1,
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
    "y": 31_536_000_000,
}
_DURATION = r"(?:\d+(?:ms|[smhdwy]))+"
_IN_EXPRESSION = re.compile(rf"(?<=\[){_DURATION}(?=[\]:])|(?<=:){_DURATION}(?=\])|(?<=offset ){_DURATION}")
SCRAPE_SECONDS = 0.5
"""Scrape interval; reading the metrics more often would be a load of its own."""


@dataclass(frozen=True)
class Addresses:
    """The addresses of all servers, as "host:port"; slack_url and sms_url are whole."""

    service: str
    monitor: str
    alertmanager: str
    smtp: str
    slack_url: str
    sms_url: str


@dataclass(frozen=True)
class Secrets:
    """The secrets that the sinks ask for; they are written to files, as an operator does."""

    smtp_password: str
    sms_token: str


def divided(duration: str, speed_up: float) -> str:
    """Divide a duration of Prometheus ("5m", "1h30m"), in whole milliseconds and at least one."""
    parts = re.findall(r"(\d+)(ms|[smhdwy])", duration)
    return f"{max(1, round(sum(int(n) * MILLISECONDS[unit] for n, unit in parts) / speed_up))}ms"


def hurried_expression(expression: str, speed_up: float) -> str:
    """Return the expression with its windows and offsets divided."""
    return _IN_EXPRESSION.sub(lambda found: divided(found[0], speed_up), expression)


def hurried_rules(shipped: Mapping[str, Any], speed_up: float) -> dict[str, Any]:
    """Return a rule file with durations divided. shipped: as read from YAML."""
    return {"groups": [_hurried_group(group, speed_up) for group in shipped["groups"]]}


def _hurried_group(group: Mapping[str, Any], speed_up: float) -> dict[str, Any]:
    rules = []
    for shipped in group["rules"]:
        rule = {**shipped, "expr": hurried_expression(shipped["expr"], speed_up)}
        if "for" in rule:
            rule["for"] = divided(rule["for"], speed_up)
        rules.append(rule)
    return {**group, "interval": divided(group["interval"], speed_up), "rules": rules}


def write_prometheus(shipped: Path, folder: Path, addresses: Addresses, speed_up: float) -> Path:
    """Write prometheus.yml and its rules into the folder, and return the former. shipped: deploy/prometheus."""
    (folder / "rules").mkdir(parents=True)
    for file in sorted((shipped / "rules").glob("*.rules.yml")):
        _write(folder / "rules" / file.name, hurried_rules(yaml.safe_load(file.read_text()), speed_up))
    configuration = yaml.safe_load((shipped / "prometheus.yml").read_text())
    configuration["global"] |= {
        "scrape_interval": f"{SCRAPE_SECONDS * 1000:.0f}ms",
        "scrape_timeout": f"{SCRAPE_SECONDS * 1000:.0f}ms",
        "evaluation_interval": divided(configuration["global"]["evaluation_interval"], speed_up),
    }
    configuration["alerting"]["alertmanagers"] = [_at(addresses.alertmanager)]
    at = {"stillroom": addresses.service, "stillroom-monitor": addresses.monitor}
    configuration["scrape_configs"] = [
        {"job_name": job["job_name"], **_at(at[job["job_name"]])}
        for job in configuration["scrape_configs"]
        if job["job_name"] in at
    ]
    return _write(folder / "prometheus.yml", configuration)


def write_alertmanager(
    shipped: Path, folder: Path, addresses: Addresses, secrets: Secrets, speed_up: float
) -> Path:
    """Write alertmanager.yml and its secrets to the folder, and return the former. shipped: deploy/alertmanager."""
    (folder / "secrets").mkdir(parents=True)
    for name, secret in {
        "slack-webhook-url": addresses.slack_url,
        "smtp-password": secrets.smtp_password,
        "sms-token": secrets.sms_token,
    }.items():
        (folder / "secrets" / name).write_text(secret)
    text = (shipped / "alertmanager.yml").read_text()
    configuration = yaml.safe_load(text.replace("/etc/alertmanager/secrets", str(folder / "secrets")))
    configuration["templates"] = [str(shipped.resolve() / "*.tmpl")]
    # Loopback has no certificate; everything else about the mail is as shipped.
    configuration["global"] |= {"smtp_smarthost": addresses.smtp, "smtp_require_tls": False}
    configuration["route"] = _hurried_route(configuration["route"], speed_up)
    for receiver in configuration["receivers"]:
        for webhook in receiver.get("webhook_configs", ()):
            webhook["url"] = addresses.sms_url
    return _write(folder / "alertmanager.yml", configuration)


def _hurried_route(route: Mapping[str, Any], speed_up: float) -> dict[str, Any]:
    times = ("group_wait", "group_interval", "repeat_interval")
    hurried = {key: divided(value, speed_up) if key in times else value for key, value in route.items()}
    if "routes" in route:
        hurried["routes"] = [_hurried_route(below, speed_up) for below in route["routes"]]
    return hurried


def _at(address: str) -> dict[str, Any]:
    return {"static_configs": [{"targets": [address]}]}


def _write(file: Path, content: Mapping[str, Any]) -> Path:
    """Write JSON, which is also YAML."""
    file.write_text(json.dumps(content, indent=1))
    return file
