"""The drill: start everything, see that a good day is quiet, make each fault, wait for what people are told."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any
from urllib.request import urlopen

from loadtest.alerts.configuration import Addresses, Secrets, write_alertmanager, write_prometheus
from loadtest.alerts.faults import Fault, disagreement, drift, redis_away, slowness
from loadtest.alerts.messages import SLACK_PATH, SMS_PATH, Inbox, email, slack_and_sms
from loadtest.alerts.replay import last_steps
from loadtest.alerts.servers import Alertmanager, Monitor, Prometheus, SlowLine, WatchedService, installed
from loadtest.alerts.traffic import Traffic
from loadtest.errors import ServerFailed
from loadtest.servers import HOST, Redis, free_port

SCHEMA_VERSION = 1
DEPLOY = Path("deploy")
POLL_SECONDS = 0.2
SECRETS = Secrets(smtp_password="drill-password", sms_token="drill-token")
SETTINGS = {
    # The service has more patience than its budget, so that a slow Redis makes answers slow instead of degraded.
    "STILLROOM_DEADLINE_MS": "500",
    "STILLROOM_REDIS_READ_TIMEOUT_MS": "400",
    "STILLROOM_BUNDLE_POLL_SECONDS": "0.5",
    # Every answer is scored again, in windows of seconds instead of an hour.
    "STILLROOM_SAMPLED_SHARE": "1",
    "STILLROOM_MONITOR_WINDOW_SECONDS": "4",
    "STILLROOM_MONITOR_MIN_RECORDS": "125",
    "STILLROOM_MONITOR_MIN_SCORED": "125",
}
METHOD = (
    "The real Prometheus and Alertmanager read the shipped rules, routes and messages with every duration divided by "
    "speed_up; no expression, threshold or receiver is otherwise changed, save addresses, secrets and TLS to the "
    "SMTP server on loopback. Slack and the SMS gateway are an HTTP server of the drill, mail goes to a real SMTP "
    "server that asks for the password. Seconds count from the fault to the message, and from the repair to the "
    "message that it is resolved."
)


@dataclass(frozen=True)
class Plan:
    """What to drill. shop: what the current bundle of the store was trained on. rate: questions a second.

    limit_seconds: for each message to come.
    """

    store: Path
    shop: Path
    speed_up: float = 60.0
    rate: float = 40.0
    settling_seconds: float = 3.0
    quiet_seconds: float = 5.0
    limit_seconds: float = 90.0


@dataclass
class Outcome:
    """What was told of one fault. seconds by way; a way that is missing was not told in time."""

    fault: str
    how: str
    alert: str
    ways: tuple[str, ...]
    fired_seconds: dict[str, float] = field(default_factory=dict)
    resolved_seconds: dict[str, float] = field(default_factory=dict)
    text: str = ""

    @property
    def met(self) -> bool:
        """All ways told of both."""
        return set(self.fired_seconds) == set(self.resolved_seconds) == set(self.ways)


@dataclass(frozen=True)
class Stage:
    """Everything that runs during a drill."""

    inbox: Inbox
    traffic: Traffic
    prometheus_port: int
    faults: list[Fault]


def run(plan: Plan, logs: Path, say: Callable[[str], object]) -> dict[str, Any]:
    """The whole drill; the content of reports/alerts.json. Raises ServerMissing or ServerFailed."""
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
        asked = {"answered": stage.traffic.n_answered, "failed": stage.traffic.n_failed}
        told = sorted({message.alert for message in stage.inbox.all()})
    return {
        "schema_version": SCHEMA_VERSION,
        "met": not false_alarms and all(outcome.met for outcome in outcomes),
        "standing": standing,
        "false_alarms": false_alarms,
        "faults": [{**asdict(outcome), "met": outcome.met} for outcome in outcomes],
        "alerts_told": told,
        "requests": asked,
        "speed_up": plan.speed_up,
        "programs": versions(),
        "method": METHOD,
    }


def drill(fault: Fault, inbox: Inbox, limit_seconds: float, say: Callable[[str], object]) -> Outcome:
    """Make one fault, wait for the messages, repair it, wait for those that say so."""
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
    """Seconds until the message came, and its text; None if it did not come in time."""
    found = inbox.wait_for(
        lambda message: (
            (message.way, message.alert, message.status) == (way, fault.alert, status) and message.at >= since
        ),
        limit_seconds,
    )
    return None if found is None else (round(found.at - since, 2), found.text)


@contextmanager
def staged(plan: Plan, logs: Path) -> Iterator[Stage]:
    """Start everything, each part listening before the next one needs it. Logs go to the folder."""
    ports = {
        name: free_port()
        for name in ("service", "line", "smtp", "http", "prometheus", "alertmanager", "monitor")
    }
    addresses = Addresses(
        service=f"{HOST}:{ports['service']}",
        monitor=f"{HOST}:{ports['monitor']}",
        alertmanager=f"{HOST}:{ports['alertmanager']}",
        smtp=f"{HOST}:{ports['smtp']}",
        slack_url=f"http://{HOST}:{ports['http']}{SLACK_PATH}",
        sms_url=f"http://{HOST}:{ports['http']}{SMS_PATH}",
    )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="stillroom-drill-")))
        inbox = Inbox()
        stack.enter_context(slack_and_sms(inbox, ports["http"], SECRETS.sms_token))
        stack.enter_context(email(inbox, ports["smtp"], SECRETS.smtp_password))
        redis = stack.enter_context(Redis(free_port(), logs / "alerts-redis.log"))
        line = SlowLine(ports["line"], redis.port)
        stack.enter_context(line.open())
        settings = {**SETTINGS, "STILLROOM_STORE": str(plan.store), "STILLROOM_SPOOL": str(folder / "spool")}
        service = WatchedService(ports["service"], logs / "alerts-service.log", line.url, settings)
        stack.enter_context(service)
        traffic = Traffic(service.port, known_people(plan.user_ids), plan.rate)
        stack.enter_context(traffic.flowing())
        routes = write_alertmanager(DEPLOY / "alertmanager", folder / "am", addresses, SECRETS, plan.speed_up)
        stack.enter_context(
            Alertmanager(ports["alertmanager"], logs / "alerts-alertmanager.log", routes, folder / "told")
        )
        rules = write_prometheus(DEPLOY / "prometheus", folder / "prometheus", addresses, plan.speed_up)
        stack.enter_context(
            Prometheus(ports["prometheus"], logs / "alerts-prometheus.log", rules, folder / "measured")
        )
        yield Stage(inbox, traffic, ports["prometheus"], [slowness(line), redis_away(redis)])


def wait_until_read(prometheus_port: int, limit_seconds: float) -> None:
    """Until Prometheus has read the service. Raises ServerFailed."""
    give_up_at = monotonic() + limit_seconds
    while not query(prometheus_port, 'up{job="stillroom"} == 1'):
        if monotonic() > give_up_at:
            raise ServerFailed(f"Prometheus did not read the service in {limit_seconds:g} s; see its log")
        sleep(POLL_SECONDS)


def firing(prometheus_port: int) -> list[str]:
    """Names of the alerts that fire now."""
    found = query(prometheus_port, 'ALERTS{alertstate="firing"}')
    return sorted({sample["metric"]["alertname"] for sample in found})


def query(prometheus_port: int, expression: str) -> list[Mapping[str, Any]]:
    """What Prometheus says of an expression now."""
    asked = expression.replace("{", "%7B").replace("}", "%7D").replace('"', "%22").replace(" ", "%20")
    with urlopen(f"http://{HOST}:{prometheus_port}/api/v1/query?query={asked}", timeout=5) as reply:
        found: list[Mapping[str, Any]] = json.load(reply)["data"]["result"]
        return found


def versions() -> dict[str, str]:
    """The first line that each program says of itself."""
    programs = {
        "prometheus": installed("prometheus"),
        "alertmanager": installed("prometheus-alertmanager", "alertmanager"),
    }
    said = {
        name: subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
        for name, path in programs.items()
    }
    return {name: (done.stdout or done.stderr).splitlines()[0] for name, done in said.items()}
