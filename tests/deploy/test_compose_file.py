"""docker-compose.yml, the Dockerfile and Prometheus's configuration agree with each other and with the service."""

from __future__ import annotations

import re
from typing import Any

import pytest

from models.experiments.reading import parse_declaration
from service.settings.base import PREFIX
from service.settings.reading import ROOMS
from tests.support.repository import ROOT, read_yaml

COMPOSE = read_yaml("docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SECONDS_A_GB = 2.5
"""To load a bundle, as docs/performance.md measured it."""


def stage(name: str) -> str:
    """The lines of one build stage."""
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    [found] = [text for text in stages if text.splitlines()[0].endswith(f" AS {name}")]
    return found


@pytest.mark.parametrize(
    "name", ["service", "trainer", "redis", "monitor", "exporter", "alertmanager", "grafana"]
)
def test_containers_are_locked_down(name: str) -> None:
    container = SERVICES[name]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert "/tmp" in container["tmpfs"]
    assert "privileged" not in container


@pytest.mark.parametrize("name", SERVICES)
def test_every_command_is_said_outright(name: str) -> None:
    assert SERVICES[name]["command"]


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_to_this_machine_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))


def test_compose_1_29_reads_the_file() -> None:
    assert set(COMPOSE) <= {"services", "volumes", "x-build", "x-locked-down"}


def test_service_waits_for_redis_and_a_full_store() -> None:
    assert {name: wait["condition"] for name, wait in SERVICES["service"]["depends_on"].items()} == {
        "redis": "service_healthy",
        "trainer": "service_completed_successfully",
    }


def test_service_reads_the_store_that_the_trainer_fills() -> None:
    assert "store:/store" in SERVICES["trainer"]["volumes"]
    assert {"store:/store:ro", "spool:/spool"} <= set(SERVICES["service"]["volumes"])
    assert SERVICES["service"]["environment"]["STILLROOM_STORE"] == "/store"
    assert "/store" in SERVICES["trainer"]["command"]


def test_the_log_of_redis_is_written_by_the_user_that_redis_runs_as() -> None:
    uid = SERVICES["redis"]["user"].split(":")[0]
    assert "redis:/redis" in SERVICES["trainer"]["volumes"]
    assert SERVICES["redis"]["depends_on"] == {"trainer": {"condition": "service_started"}}
    assert re.search(rf"install --directory --owner {uid} --group {uid} /redis\b", stage("runtime"))


def test_service_and_monitor_follow_the_same_experiments() -> None:
    for container in ("service", "monitor"):
        assert "./deploy/service:/etc/stillroom:ro" in SERVICES[container]["volumes"]
        assert SERVICES[container]["environment"][f"{PREFIX}EXPERIMENTS"] == "/etc/stillroom/experiments.toml"
    text = (ROOT / "deploy/service/experiments.toml").read_text()
    assert parse_declaration(text, lambda version: None).experiments == ()


def test_exporter_reads_the_spool_of_the_service() -> None:
    exporter = SERVICES["exporter"]
    assert "spool:/spool" in set(exporter["volumes"]) & set(SERVICES["service"]["volumes"])
    assert "/events" in exporter["command"]
    for folder in ("/store", "/spool", "/events"):  # a volume has the owner of the image's folder
        assert re.search(rf"install --directory --owner 10001 .*{folder}\b", stage("runtime"))


def test_every_variable_of_the_service_is_a_setting() -> None:
    settings = {f"{PREFIX}{name}".upper() for room in ROOMS for name in room.model_fields}
    assert set(SERVICES["service"]["environment"]) <= settings
    for container in ("monitor", "exporter"):
        assert {name for name in SERVICES[container]["environment"] if name.startswith(PREFIX)} <= settings
    assert set(re.findall(rf"\b{PREFIX}\w+(?==)", DOCKERFILE)) <= settings


def targets(job: str) -> list[str]:
    """Where Prometheus looks for a job."""
    jobs = read_yaml("deploy/prometheus/prometheus.yml")["scrape_configs"]
    [found] = [described for described in jobs if described["job_name"] == job]
    return [target for group in found["static_configs"] for target in group["targets"]]


def test_prometheus_reads_service_and_monitor_where_they_listen() -> None:
    port = SERVICES["service"]["environment"]["STILLROOM_PORT"]
    assert targets("stillroom") == [f"service:{port}"]
    port = SERVICES["monitor"]["environment"]["STILLROOM_MONITOR_PORT"]
    assert targets("stillroom-monitor") == [f"monitor:{port}"]


def test_monitor_sees_the_redis_and_the_store_of_the_service() -> None:
    monitor, service = SERVICES["monitor"], SERVICES["service"]
    assert monitor["environment"]["STILLROOM_REDIS_URL"] == service["environment"]["STILLROOM_REDIS_URL"]
    assert "store:/store:ro" in monitor["volumes"]


def test_prometheus_gets_its_rules_and_alertmanager_its_messages() -> None:
    assert "./deploy/prometheus:/etc/prometheus:ro" in SERVICES["prometheus"]["volumes"]
    assert "./deploy/alertmanager:/etc/alertmanager:ro" in SERVICES["alertmanager"]["volumes"]


def test_prometheus_tells_alertmanager_where_it_listens() -> None:
    [told] = read_yaml("deploy/prometheus/prometheus.yml")["alerting"]["alertmanagers"]
    [listens] = [word for word in SERVICES["alertmanager"]["command"] if "web.listen-address" in word]
    assert told["static_configs"] == [{"targets": [f"alertmanager:{listens.rpartition(':')[2]}"]}]


def test_dockerfile_needs_no_registry_for_its_syntax() -> None:
    assert not re.search(r"^# *syntax *=", DOCKERFILE, re.MULTILINE)


@pytest.mark.parametrize("name", ["service", "training"])
def test_images_run_as_a_fixed_user(name: str) -> None:
    assert re.search(r"^USER 10001:10001$", stage(name), re.MULTILINE)


def test_a_bundle_of_many_gigabytes_has_time_to_load_before_the_image_counts_as_unhealthy() -> None:
    [minutes] = re.findall(r"^HEALTHCHECK .*--start-period=(\d+)m ", stage("service"), re.MULTILINE)
    assert int(minutes) * 60 >= 100 * SECONDS_A_GB


def test_service_image_gets_no_training_code() -> None:
    assert re.findall(r"^COPY (?!--from)(\S+)", stage("service"), re.MULTILINE) == ["service"]
    assert re.findall(r"^COPY --from=(\S+ \S+)", stage("service"), re.MULTILINE) == [
        "builder /opt/venv",
        "code /build/models",
    ]
    assert "training" not in stage("code")


def test_service_is_what_a_plain_build_makes() -> None:
    assert re.findall(r"^FROM .* AS (\w+)$", DOCKERFILE, re.MULTILINE)[-1] == "service"


def test_the_build_context_holds_what_the_dockerfile_copies() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied: set[str] = set()
    for words in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        copied.update(words.split()[:-1])
    assert copied <= allowed
    assert all((ROOT / source).exists() for source in allowed)
