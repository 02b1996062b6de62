"""What Prometheus sees, from one process and from several."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from models.scan import KERNEL
from service.telemetry.metrics import STAGE_BUCKETS, STAGES, forget_dead_workers
from tests.support.service import Running, ServiceProcess
from tests.support.waiting import wait_until


def samples(text: str, name: str) -> dict[tuple[str, ...], float]:
    """The samples of one name, by their label values."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def value(service: ServiceProcess, name: str) -> float:
    """Of the one sample of this name."""
    [found] = samples(httpx.get(f"{service.url}/metrics").text, name).values()
    return found


async def test_answers_are_counted_by_route_tier_and_status(service: Running) -> None:
    await service.recommend(user_id="user-1")
    await service.client.post("/recommend", json={"limit": 0})
    await service.post("/recommend/batch", {"requests": [{}, {}]})
    counted = {"route": "recommend", "tier": "student", "status": "200"}
    assert service.metric("stillroom_requests_total", **counted) == 1
    assert service.metric("stillroom_requests_total", **{**counted, "tier": "none", "status": "422"}) == 1
    assert service.metric("stillroom_requests_total", **{**counted, "route": "recommend_batch"}) == 2


async def test_batch_that_fails_late_is_counted_as_one_failure(service: Running) -> None:
    requests: list[object] = [{}] * 20
    late = [*requests, {"session": [{"item_id": "item-1", "time": 2**40}]}]
    response = await service.client.post("/recommend/batch", json={"requests": late})
    assert response.status_code == 422
    failed = {"route": "recommend_batch", "tier": "none", "status": "422"}
    assert service.metric("stillroom_requests_total", **failed) == 1
    assert service.metric("stillroom_requests_total", **{**failed, "tier": "student"}) == 0


async def test_every_stage_is_timed_once_a_request(service: Running) -> None:
    await service.recommend(user_id="user-1")
    for stage in STAGES:
        assert service.metric("stillroom_stage_seconds_count", stage=stage) == 1, stage


def test_buckets_tell_good_days_apart_and_surround_the_deadline() -> None:
    milliseconds = [1000 * bound for bound in STAGE_BUCKETS]
    assert milliseconds[:7] == pytest.approx([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1])
    assert milliseconds[7:] == pytest.approx([2, 5, 10, 20, 35, 50, 75, 100, 250])


async def test_requests_at_work_are_shown_while_they_are(service: Running) -> None:
    service.parts.permits.take(3)
    assert service.metric("stillroom_in_flight") == 3


async def test_layers_that_knew_the_person_are_counted(service: Running) -> None:
    for user_id in ("user-1", "user-1", "nobody"):
        await service.recommend(user_id=user_id)
    for layer, n_lookups in {"bundle": 1, "memory": 1, "none": 1, "redis": 0}.items():
        assert service.metric("stillroom_history_lookups_total", layer=layer) == n_lookups, layer


async def test_placement_and_ids_do_not_become_labels(service: Running) -> None:
    await service.recommend(user_id="user-1", placement="below the fold")
    text = (await service.client.get("/metrics")).text
    assert "fold" not in text
    assert "user-1" not in text


async def test_nothing_is_in_flight_when_all_is_answered(service: Running) -> None:
    await service.recommend(user_id="user-1")
    assert samples((await service.client.get("/metrics")).text, "stillroom_in_flight") == {(): 0.0}


async def test_bundle_in_service_is_a_label(service: Running) -> None:
    text = (await service.client.get("/metrics")).text
    assert samples(text, "stillroom_bundle_info") == {(service.parts.bundles.serving().version,): 1.0}


async def test_age_of_the_bundle_can_be_told(service: Running) -> None:
    created_at = service.parts.bundles.serving().bundle.manifest.created_at
    seconds = service.metric("stillroom_bundle_created_timestamp_seconds")
    assert datetime.fromtimestamp(seconds, UTC) == datetime.fromisoformat(created_at)


async def test_how_the_catalogue_is_searched_is_a_label(service: Running) -> None:
    text = (await service.client.get("/metrics")).text
    [(labels, value)] = samples(text, "stillroom_index_info").items()
    assert (set(labels), value) == ({"flat", "40", "0", KERNEL}, 1.0)


def test_several_workers_answer_for_all(store: Path) -> None:
    n_requests = 40
    with ServiceProcess(store, WORKERS="2") as service:
        for _ in range(n_requests):  # a new connection each, so that both workers get some
            assert httpx.post(f"{service.url}/recommend", json={"user_id": "user-1"}).status_code == 200
        for _ in range(4):
            text = httpx.get(f"{service.url}/metrics").text
            counted = samples(text, "stillroom_requests_total")
            assert counted[("recommend", "200", "student")] == n_requests
            assert samples(text, "stillroom_stage_seconds_count")[("score",)] == n_requests
            assert list(samples(text, "stillroom_bundle_info").values()) == [1.0]

        wait_until(lambda: value(service, "stillroom_workers") == 2, "both workers")
        assert value(service, "stillroom_bundle_created_timestamp_seconds") > 0


def test_instructions_that_are_asked_for_search_the_catalogue(store: Path) -> None:
    with ServiceProcess(store, KERNEL="plain") as service:
        [(labels, _)] = samples(httpx.get(f"{service.url}/metrics").text, "stillroom_index_info").items()
    assert "plain" in labels


def test_killed_worker_counts_for_nothing_but_what_it_has_done(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as killed:
        killed.wait()
    kept = {
        f"gauge_livesum_{os.getpid()}.db",
        f"counter_{killed.pid}.db",
        f"gauge_mostrecent_{killed.pid}.db",
    }
    for name in (*kept, f"gauge_livesum_{killed.pid}.db", f"gauge_livemin_{killed.pid}.db"):
        (tmp_path / name).touch()
    forget_dead_workers(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == kept
