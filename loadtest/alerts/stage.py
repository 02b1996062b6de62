"""Start what runs during a drill: sinks, Redis behind a slow line, service, monitor, traffic, both engines."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from loadtest.alerts.configuration import Addresses, Secrets, write_alertmanager, write_prometheus
from loadtest.alerts.daemons import Alertmanager, Monitor, Prometheus
from loadtest.alerts.faults import Fault, disagreement, drift, redis_away, slowness
from loadtest.alerts.messages import SLACK_PATH, SMS_PATH, Inbox, email, slack_and_sms
from loadtest.alerts.replay import last_steps
from loadtest.alerts.traffic import Traffic
from loadtest.errors import FaultUnknown, IdsMissing
from loadtest.faults.proxy import ProxyProcess
from loadtest.redis_server import Redis
from loadtest.servers import HOST, free_port
from loadtest.service_processes import Service

DEPLOY = Path("deploy")
SECRETS = Secrets(smtp_password="drill-password", sms_token="drill-token")
SETTINGS = {
    # The service waits longer than its budget, so that a slow Redis makes answers slow instead of degraded.
    "STILLROOM_DEADLINE_MS": "500",
    "STILLROOM_REDIS_READ_TIMEOUT_MS": "400",
    "STILLROOM_BUNDLE_POLL_SECONDS": "0.5",
    # The monitor scores every answer again, in windows of seconds instead of a quarter of an hour.
    "STILLROOM_SAMPLED_SHARE": "1",
    "STILLROOM_MONITOR_WINDOW_SECONDS": "4",
    "STILLROOM_MONITOR_MIN_RECORDS": "125",
    "STILLROOM_MONITOR_MIN_SCORED": "125",
}


@dataclass(frozen=True)
class Plan:
    """The plan of a drill. shop: the data that the store's current bundle was trained on. rate: questions per second.

    faults: their names, empty for all. limit_seconds: for the messages of a fault, and of its end, to come.
    """

    store: Path
    shop: Path
    faults: tuple[str, ...] = ()
    speed_up: float = 60.0
    rate: float = 50.0
    settling_seconds: float = 4.0
    quiet_seconds: float = 5.0
    limit_seconds: float = 90.0


@dataclass(frozen=True)
class Stage:
    """The parts of a running drill. faults: in the order in which they are made."""

    inbox: Inbox
    traffic: Traffic
    prometheus_port: int
    faults: list[Fault]


@contextmanager
def staged(plan: Plan, logs: Path) -> Iterator[Stage]:
    """Start each part before the ones that need it. Logs go to the folder; the store is copied."""
    sinks = f"http://{HOST}:{free_port()}"
    service_at, monitor_at, alertmanager_at, smtp_at = (f"{HOST}:{free_port()}" for _ in range(4))
    addresses = Addresses(
        service_at,
        monitor_at,
        alertmanager_at,
        smtp_at,
        slack_url=sinks + SLACK_PATH,
        sms_url=sinks + SMS_PATH,
    )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="stillroom-drill-")))
        inbox = Inbox()
        stack.enter_context(slack_and_sms(inbox, _port(addresses.slack_url), SECRETS.sms_token))
        stack.enter_context(email(inbox, _port(addresses.smtp), SECRETS.smtp_password))
        store = copied(plan.store, folder / "store")
        redis = stack.enter_context(Redis(free_port(), logs / "alerts-redis.log"))
        line = stack.enter_context(ProxyProcess(redis.port, logs / "alerts-line.log", is_redis=True))
        settings = {**SETTINGS, "STILLROOM_STORE": str(store), "STILLROOM_SPOOL": str(folder / "spool")}
        of_service = {**settings, "STILLROOM_REDIS_URL": line.redis_url}
        service = Service(_port(addresses.service), logs / "alerts-service.log", of_service)
        stack.enter_context(service)
        monitor = Monitor(_port(addresses.monitor), logs / "alerts-monitor.log", redis.url, settings)
        stack.enter_context(monitor)
        traffic = Traffic(service.port, last_steps(plan.shop), plan.rate)
        stack.enter_context(traffic.flowing())
        prometheus_port = _start_engines(stack, plan, addresses, folder, logs)
        faults = [disagreement(store), drift(traffic), slowness(line), redis_away(redis)]
        yield Stage(inbox, traffic, prometheus_port, chosen(faults, plan.faults))


def _start_engines(stack: ExitStack, plan: Plan, addresses: Addresses, folder: Path, logs: Path) -> int:
    """Start Alertmanager and Prometheus with the shipped configuration, hurried; return the latter's port."""
    routes = write_alertmanager(DEPLOY / "alertmanager", folder / "routes", addresses, SECRETS, plan.speed_up)
    log = logs / "alerts-alertmanager.log"
    stack.enter_context(Alertmanager(_port(addresses.alertmanager), log, routes, folder / "told"))
    rules = write_prometheus(DEPLOY / "prometheus", folder / "rules", addresses, plan.speed_up)
    prometheus = Prometheus(free_port(), logs / "alerts-prometheus.log", rules, folder / "measured")
    stack.enter_context(prometheus)
    return prometheus.port


def chosen(faults: list[Fault], names: Sequence[str]) -> list[Fault]:
    """Return the faults of these names, or all if none is given. Raises FaultUnknown."""
    unknown = sorted(set(names) - {fault.name for fault in faults})
    if unknown:
        known = ", ".join(repr(fault.name) for fault in faults)
        raise FaultUnknown(f"there is no fault {unknown[0]!r} to make; there is {known}")
    return [fault for fault in faults if not names or fault.name in names]


def copied(store: Path, to: Path) -> Path:
    """Copy only the current bundle of a store into another one. Raises IdsMissing if there is none."""
    try:
        version = (store / "current").read_text().split()[0]
    except (OSError, IndexError) as error:
        raise IdsMissing(f"no bundle is promoted in {store}; train one with `make drill-alerts`") from error
    shutil.copytree(store / version, to / version)
    (to / "current").write_text(f"{version}\n")
    return to


def _port(address: str) -> int:
    return int(address.removeprefix("http://").partition("/")[0].rpartition(":")[2])
