"""Build the images, start docker-compose.yml for real, break Redis, and check what an operator relies on.

Standard library only. Writes reports/compose.json and exits non-zero where something is not as promised;
whatever happens, everything it started is taken down again. LOCAL_WHEELS=/folder lends the build its wheels.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parent.parent
WHEELS = ROOT / "deploy" / "wheels"
REPORT = ROOT / "reports" / "compose.json"
PROJECT = "stillroom-compose-test"
SCHEMA_VERSION = 1
WAIT_SECONDS = 120.0
START_SECONDS = 1800.0
"""Building, training and starting together; downloads on a slow line are most of it."""


class ComposeTestError(Exception):
    """The test cannot go on; the message says what was missing or what took too long."""


@dataclass(frozen=True)
class Check:
    """One promise and what was observed."""

    name: str
    met: bool
    observed: str


@dataclass
class Findings:
    """All checks so far, told as they come."""

    checks: list[Check] = field(default_factory=list)

    def add(self, name: str, met: bool, observed: object) -> None:
        """Note one check."""
        self.checks.append(Check(name, met, str(observed)))
        print(f"compose-test: {'ok  ' if met else 'FAIL'} {name}: {observed}", flush=True)

    def report(self, stopped_by: str | None) -> dict[str, Any]:
        """The content of reports/compose.json. met needs at least one check, all of them met, and an end."""
        return {
            "schema_version": SCHEMA_VERSION,
            "met": stopped_by is None and bool(self.checks) and all(check.met for check in self.checks),
            "stopped_by": stopped_by,
            "seen": [asdict(check) for check in self.checks],
        }


class Compose:
    """The compose project of this test, under ports that are free on this machine."""

    def __init__(self) -> None:
        self.service_port, self.prometheus_port, self.alertmanager_port, self.grafana_port = free_ports(4)
        self._command = [*compose_command(), "-p", PROJECT, "-f", str(ROOT / "docker-compose.yml")]
        self._environment = {
            "DOCKER_BUILDKIT": "1",
            "COMPOSE_DOCKER_CLI_BUILD": "1",
            **os.environ,
            "SERVICE_PORT": str(self.service_port),
            "PROMETHEUS_PORT": str(self.prometheus_port),
            "ALERTMANAGER_PORT": str(self.alertmanager_port),
            "GRAFANA_PORT": str(self.grafana_port),
        }

    def run(self, *words: str, timeout: float = WAIT_SECONDS) -> str:
        """Run a compose command and return what it printed. Raises ComposeTestError where it fails."""
        return run([*self._command, *words], self._environment, timeout)

    def follow(self, *words: str, timeout: float) -> None:
        """Run a long compose command with its progress on this terminal."""
        done = subprocess.run([*self._command, *words], env=self._environment, timeout=timeout, cwd=ROOT)
        if done.returncode:
            raise ComposeTestError(f"compose {words[0]} ended with {done.returncode}; its output is above")

    def container(self, service: str) -> str:
        """The id of a service's container, running or not."""
        return self.run("ps", "-a", "-q", service).strip()

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine says of a service's container."""
        [described] = json.loads(docker("inspect", self.container(service)))
        return dict(described)

    def execute(self, service: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside a service's container."""
        command = ["docker", "exec", self.container(service), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_SECONDS)

    def url(self, path: str) -> str:
        """An address of the service as published on this machine."""
        return f"http://127.0.0.1:{self.service_port}{path}"


def main() -> int:
    """Run all checks; 0 where everything is as promised."""
    findings = Findings()
    stopped_by = None
    try:
        with started(Compose()) as compose:
            for check in (
                check_containers,
                check_lockdown,
                check_answers,
                check_events,
                check_prometheus,
                check_alerting,
                check_without_redis,
            ):
                check(compose, findings)
    except (ComposeTestError, subprocess.TimeoutExpired) as error:
        stopped_by = str(error)
        print(f"error: {error}", file=sys.stderr)
    report = findings.report(stopped_by)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=1) + "\n")
    print(f"compose-test: {'met' if report['met'] else 'NOT met'}; {REPORT.relative_to(ROOT)}")
    return 0 if report["met"] else 1


@contextmanager
def started(compose: Compose) -> Iterator[Compose]:
    """Build and start everything; take it down whatever happens."""
    with lent_wheels(os.environ.get("LOCAL_WHEELS")):
        print("compose-test: building the images (minutes the first time)", flush=True)
        compose.follow("build", timeout=START_SECONDS)
    try:
        print("compose-test: starting; the trainer fills the store first", flush=True)
        compose.follow("up", "-d", timeout=START_SECONDS)
        if not wait_for(lambda: ask(compose.url("/health/ready"))[0] == 200):
            raise ComposeTestError(f"the service was not ready after {WAIT_SECONDS:g} s; its log is above")
        yield compose
    except (ComposeTestError, subprocess.TimeoutExpired):
        print(compose.run("logs", "--no-color", "--tail", "30"), file=sys.stderr)
        raise
    finally:
        print("compose-test: taking everything down", flush=True)
        compose.follow("down", "--volumes", "--remove-orphans", timeout=WAIT_SECONDS)


def check_containers(compose: Compose, findings: Findings) -> None:
    """The trainer ended well, and the engine itself finds the service healthy."""
    code = compose.inspect("trainer")["State"]["ExitCode"]
    findings.add("trainer fills the store and ends", code == 0, f"exit code {code}")

    def health() -> str:
        return str(compose.inspect("service")["State"]["Health"]["Status"])

    healthy = wait_for(lambda: health() == "healthy")
    findings.add("health check passes", healthy, health())


def check_lockdown(compose: Compose, findings: Findings) -> None:
    """The service's container can do little beside serving."""
    uid = compose.execute("service", "id", "-u").stdout.strip()
    findings.add("service is not root", uid not in ("", "0"), f"uid {uid}")
    written = compose.execute("service", "touch", "/app/written").stderr.strip()
    findings.add("root file system is read-only", "Read-only" in written, written)
    stored = compose.execute("service", "touch", "/store/written").stderr.strip()
    findings.add("store is read-only", "Read-only" in stored, stored)
    status = compose.execute("service", "cat", "/proc/1/status").stdout.splitlines()
    rights = [line for line in status if line.startswith(("CapEff", "NoNewPrivs"))]
    values = [line.split()[1] for line in rights]
    findings.add("no capabilities, no new privileges", values == ["0" * 16, "1"], " ".join(values))
    for library in ("torch", "sklearn", "implicit", "training"):
        imported = compose.execute("service", "python", "-c", f"import {library}")
        last_line = (imported.stderr.strip().splitlines() or ["imported"])[-1]
        findings.add(f"service image has no {library}", "ModuleNotFoundError" in last_line, last_line)


def check_answers(compose: Compose, findings: Findings) -> None:
    """Everybody gets a full answer through the published port."""
    [person] = known_ids(compose, "--people", 1)
    [item] = known_ids(compose, "--items", 1)
    questions: dict[str, dict[str, Any]] = {
        "a known person": {"user_id": person},
        "an unknown person": {"user_id": "nobody-has-this-id"},
        "an anonymous visit": {"session": [{"item_id": item}]},
    }
    for name, question in questions.items():
        status, reply = recommend(compose, question)
        n_items = len(reply.get("items", ()))
        told = f"status {status}, {n_items} items, tier {reply.get('tier')}, degraded {reply.get('degraded')}"
        good = status == 200 and n_items == 10 and reply["degraded"] is None
        findings.add(f"answer for {name}", good, told)


def check_events(compose: Compose, findings: Findings) -> None:
    """What a person does changes the next answer and is in Parquet after the next export."""
    [person] = known_ids(compose, "--people", 1)
    best = recommend(compose, {"user_id": person})[1]["items"][0]["item_id"]
    event = {"kind": "purchase", "user_id": person, "item_id": best}
    status, reply = ask(compose.url("/events"), {"key": "compose-test", "events": [event]})
    findings.add("an event is accepted", status == 202 and reply.get("accepted") == 1, reply)
    items = [item["item_id"] for item in recommend(compose, {"user_id": person})[1]["items"]]
    findings.add(
        "what was bought is not recommended again", best not in items, f"{best} left {len(items)} items"
    )

    def has_part() -> bool:
        listed = compose.execute("exporter", "sh", "-c", "ls /events/interactions/part-*.parquet")
        return listed.returncode == 0

    findings.add("the exporter has it in Parquet", wait_for(has_part), "/events/interactions")


def check_prometheus(compose: Compose, findings: Findings) -> None:
    """Prometheus reads the service and the monitor, and has its rules."""
    api = f"http://127.0.0.1:{compose.prometheus_port}/api/v1"

    def healths(job: str) -> list[str]:
        active = ask(f"{api}/targets?state=active")[1].get("data", {}).get("activeTargets", [])
        return [target["health"] for target in active if target["labels"]["job"] == job]

    def is_up(job: str) -> bool:
        return healths(job) == ["up"]

    for job, name in (("stillroom", "the service"), ("stillroom-monitor", "the monitor")):
        came_up = wait_for(partial(is_up, job))
        findings.add(f"Prometheus has {name} as a target that is up", came_up, healths(job))
    groups = ask(f"{api}/rules?type=alert")[1].get("data", {}).get("groups", [])
    n_rules = sum(len(group["rules"]) for group in groups)
    findings.add("Prometheus has the alert rules", n_rules > 0, f"{n_rules} rules")
    listed = ask(f"{api}/alertmanagers")[1].get("data", {}).get("activeAlertmanagers", [])
    findings.add("Prometheus tells Alertmanager", len(listed) == 1, [known["url"] for known in listed])


def check_alerting(compose: Compose, findings: Findings) -> None:
    """Alertmanager took its configuration, and Grafana its dashboard where COMPOSE_PROFILES has it started."""

    def is_found(address: str) -> bool:
        return ask(address)[0] == 200

    looks = [("Alertmanager is there", compose.alertmanager_port, "/api/v2/status")]
    if "dashboard" in os.environ.get("COMPOSE_PROFILES", "").split(","):
        looks.append(("Grafana has the dashboard", compose.grafana_port, "/api/dashboards/uid/stillroom"))
    else:
        print(
            "compose-test: Grafana is left out; COMPOSE_PROFILES=dashboard starts and checks it", flush=True
        )
    for name, port, path in looks:
        address = f"http://127.0.0.1:{port}{path}"
        findings.add(name, wait_for(partial(is_found, address)), address)


def check_without_redis(compose: Compose, findings: Findings) -> None:
    """Without Redis every request is answered and the answer says so; with Redis back it says nothing."""
    people = cycle(known_ids(compose, "--people", 500))
    compose.run("kill", "redis")
    answers = [recommend(compose, {"user_id": next(people)}) for _ in range(20)]
    statuses = sorted({status for status, _ in answers})
    findings.add("without Redis every request is answered", statuses == [200], f"statuses {statuses}")
    reasons = sorted({str(reply.get("degraded")) for _, reply in answers})
    findings.add("without Redis the answers say so", any("redis" in reason for reason in reasons), reasons)
    ready = ask(compose.url("/health/ready"))
    findings.add("without Redis the service stays ready", ready[0] == 200, ready)

    def is_whole() -> bool:
        status, reply = recommend(compose, {"user_id": next(people)})
        return (
            status == 200
            and reply["degraded"] is None
            and ask(compose.url("/health/ready"))[1]["redis"] == "up"
        )

    compose.run("start", "redis")
    back_at = monotonic()
    whole = wait_for(is_whole, WAIT_SECONDS / 4)
    findings.add("with Redis back, answers are whole again", whole, f"after {monotonic() - back_at:.1f} s")


def known_ids(compose: Compose, kind: str, limit: int) -> list[str]:
    """Ids of the bundle in service. Raises ComposeTestError where the container cannot list them."""
    listed = compose.execute(
        "service", "python", "-m", "models", "ids", kind, "--limit", str(limit), "--store", "/store"
    )
    if listed.returncode:
        raise ComposeTestError(f"the service's container lists no ids: {listed.stderr.strip()}")
    return listed.stdout.splitlines()


def recommend(compose: Compose, question: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """POST /recommend."""
    return ask(compose.url("/recommend"), question)


def ask(url: str, body: Mapping[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
    """GET, or POST a body as JSON. Status 0 where nothing answers."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data, {"content-type": "application/json"})
    try:
        with urlopen(request, timeout=5) as reply:
            return reply.status, json.load(reply)
    except HTTPError as error:
        return error.code, {}
    except (URLError, OSError, ValueError) as error:
        return 0, {"error": str(error)}


def wait_for(holds: Callable[[], bool], seconds: float = WAIT_SECONDS) -> bool:
    """Look twice a second until something holds; whether it did in time."""
    give_up_at = monotonic() + seconds
    while not holds():
        if monotonic() > give_up_at:
            return False
        sleep(0.5)
    return True


@contextmanager
def lent_wheels(folder: str | None) -> Iterator[None]:
    """Copy wheels into the build's optional folder for as long as it lasts; what lay there before stays."""
    lent = []
    try:
        for wheel in sorted(Path(folder).glob("*.whl")) if folder else ():
            if not (WHEELS / wheel.name).exists():
                lent.append(Path(shutil.copy(wheel, WHEELS)))
        yield
    finally:
        for copy in lent:
            copy.unlink()


def compose_command() -> list[str]:
    """`docker compose` where there is that plugin, else `docker-compose`. Raises ComposeTestError for neither."""
    if shutil.which("docker") is None:
        raise ComposeTestError("no docker on PATH: this test needs a container engine")
    for command in (["docker", "compose"], ["docker-compose"]):
        if (
            shutil.which(command[0])
            and subprocess.run([*command, "version"], capture_output=True).returncode == 0
        ):
            docker("info")
            return command
    raise ComposeTestError("neither `docker compose` nor `docker-compose` works: install one")


def docker(*words: str) -> str:
    """Run docker and return what it printed. Raises ComposeTestError where it fails."""
    return run(["docker", *words], dict(os.environ), WAIT_SECONDS)


def run(command: Sequence[str], environment: Mapping[str, str], timeout: float) -> str:
    """Run a command and return its standard output. Raises ComposeTestError with its last words."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, cwd=ROOT)
    if done.returncode:
        raise ComposeTestError(
            f"{' '.join(command[:6])} … ended with {done.returncode}: {done.stderr.strip()[-500:]}"
        )
    return done.stdout


def free_ports(n_ports: int) -> list[int]:
    """Ports of this machine that nothing listens on."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(n_ports)]
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


if __name__ == "__main__":
    sys.exit(main())
