"""Run the drill: start everything, check that a normal day is quiet, make each fault, wait for its messages."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from loadtest.alerts.daemons import installed
from loadtest.alerts.faults import Fault
from loadtest.alerts.messages import Inbox
from loadtest.alerts.stage import Plan, staged
from loadtest.errors import ServerFailed
from loadtest.servers import HOST

SCHEMA_VERSION = 1
POLL_SECONDS = 0.2
METHOD = (
    "The real Prometheus and Alertmanager read the shipped rules, routes and messages with every duration divided by "
    "speed_up; no expression, threshold or receiver is otherwise changed, save addresses, secrets and TLS to the "
    "SMTP server on loopback. Slack and the SMS gateway are an HTTP server of the drill, mail goes to a real SMTP "
    "server that asks for the password. Seconds count from the fault to the message, and from the repair to the "
    "message that it is resolved."
)


@dataclass
class Outcome:
    """The messages of one fault. Seconds are by way; a way that is missing had no message in time."""

    fault: str
    how: str
    alert: str
    ways: tuple[str, ...]
    fired_seconds: dict[str, float] = field(default_factory=dict)
    resolved_seconds: dict[str, float] = field(default_factory=dict)
    text: str = ""

    @property
    def met(self) -> bool:
        """Whether all ways had the message of the fault and of its end."""
        return set(self.fired_seconds) == set(self.resolved_seconds) == set(self.ways)


def run(plan: Plan, logs: Path, say: Callable[[str], object]) -> dict[str, Any]:
    """Run the whole drill, and return the content of reports/alerts.json. Raises ServerMissing or ServerFailed."""
    with staged(plan, logs) as stage:
        say("drill-alerts: everything runs; a good day has to be quiet first")
        wait_until_read(stage.prometheus_port, plan.limit_seconds)
        sleep(plan.settling_seconds)
        standing = firing(stage.prometheus_port)
        heard_before = len(stage.inbox.all())
        sleep(plan.quiet_seconds)
        false_alarms = [
            asdict(message) for message in stage.inbox.all()[heard_before:] if message.alert not in standing
        ]
        outcomes = [drill(fault, stage.inbox, plan.limit_seconds, say) for fault in stage.faults]
        requests = {"answered": stage.traffic.n_answered, "failed": stage.traffic.n_failed}
        told = sorted({message.alert for message in stage.inbox.all()})
    return {
        "schema_version": SCHEMA_VERSION,
        "met": not false_alarms and all(outcome.met for outcome in outcomes),
        "standing": standing,
        "false_alarms": false_alarms,
        "faults": [{**asdict(outcome), "met": outcome.met} for outcome in outcomes],
        "alerts_told": told,
        "requests": requests,
        "speed_up": plan.speed_up,
        "programs": versions(),
        "method": METHOD,
    }


def drill(fault: Fault, inbox: Inbox, limit_seconds: float, say: Callable[[str], object]) -> Outcome:
    """Make one fault, wait for its messages, repair it, and wait for the messages that say so."""
    outcome = Outcome(fault.name, fault.how, fault.alert, fault.ways)
    say(f"drill-alerts: {fault.name}: {fault.how}")
    at = monotonic()
    fault.inject()
    for way in fault.ways:
        message = await_message(inbox, fault, way, "firing", at, limit_seconds)
        if message is not None:
            outcome.fired_seconds[way], outcome.text = message
            say(f"drill-alerts:   {way} after {message[0]:.1f} s: {message[1].splitlines()[0]}")
    at = monotonic()
    fault.repair()
    for way in fault.ways:
        message = await_message(inbox, fault, way, "resolved", at, limit_seconds)
        if message is not None:
            outcome.resolved_seconds[way] = message[0]
            say(f"drill-alerts:   {way}: resolved {message[0]:.1f} s after the repair")
    return outcome


def await_message(
    inbox: Inbox, fault: Fault, way: str, status: str, since: float, limit_seconds: float
) -> tuple[float, str] | None:
    """Return the seconds until the message came, and its text; None if it did not come in time."""
    found = inbox.wait_for(
        lambda message: (
            (message.way, message.alert, message.status) == (way, fault.alert, status) and message.at >= since
        ),
        max(0.0, since + limit_seconds - monotonic()),
    )
    return None if found is None else (round(found.at - since, 2), found.text)


def wait_until_read(prometheus_port: int, limit_seconds: float) -> None:
    """Wait until Prometheus has scraped the service. Raises ServerFailed."""
    give_up_at = monotonic() + limit_seconds
    while not query(prometheus_port, 'up{job="stillroom"} == 1'):
        if monotonic() > give_up_at:
            raise ServerFailed(f"Prometheus did not read the service in {limit_seconds:g} s; see its log")
        sleep(POLL_SECONDS)


def firing(prometheus_port: int) -> list[str]:
    """Return the names of the alerts that fire now."""
    found = query(prometheus_port, 'ALERTS{alertstate="firing"}')
    return sorted({sample["metric"]["alertname"] for sample in found})


def query(prometheus_port: int, expression: str) -> list[Mapping[str, Any]]:
    """Return the value of an expression in Prometheus now."""
    arguments = urlencode({"query": expression})
    with urlopen(f"http://{HOST}:{prometheus_port}/api/v1/query?{arguments}", timeout=5) as reply:
        found: list[Mapping[str, Any]] = json.load(reply)["data"]["result"]
        return found


def versions() -> dict[str, str]:
    """Return the first line of each program's version."""
    programs = {
        "prometheus": installed("prometheus"),
        "alertmanager": installed("prometheus-alertmanager", "alertmanager"),
    }
    said = {
        name: subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
        for name, path in programs.items()
    }
    return {name: (done.stdout or done.stderr).splitlines()[0] for name, done in said.items()}
