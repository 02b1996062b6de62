"""The operators' routes against a whole service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from loadtest.servers import free_port
from models.bundles.bundle import Bundle, read_bundle, write_bundle
from models.bundles.registry import Registry
from service.edge.app import create_admin_app
from tests.support.bundles import tiny_contents
from tests.support.redis import RedisServer
from tests.support.service import Running, ServiceProcess, running
from tests.support.variants import contents_with_variants

KEY = "0123456789abcdef"
BEARING = {"authorization": f"Bearer {KEY}"}

TWO_ARMS = """
[[experiment]]
name = "vases"

[[experiment.arm]]
name = "control"
weight = 0.5

[[experiment.arm]]
name = "same"
weight = 0.5
"""


@asynccontextmanager
async def guarded(store: Path, **changes: Any) -> AsyncIterator[Running]:
    """A service with one operator."""
    keys = store.parent / "keys"
    keys.write_text(f"anna:{KEY}\n")
    async with running(store, admin_keys_file=str(keys), **changes) as service:
        service.client.headers.update(BEARING)
        yield service


def other_bundle(store: Path) -> str:
    return write_bundle(store, tiny_contents(n_items=20)).name


ROUTES = [
    ("GET", "/admin/state"),
    ("GET", "/admin/bundles"),
    ("POST", "/admin/promote"),
    ("POST", "/admin/rollback"),
    ("GET", "/admin/experiments"),
    ("GET", "/admin/experiments/vases"),
    ("POST", "/admin/experiments/vases/stop"),
    ("POST", "/admin/experiments/vases/resume"),
    ("DELETE", "/people/user-1"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_route_needs_a_key(
    store: Path, method: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.admin.keys.REFUSAL_SECONDS", 0)
    async with guarded(store) as service:
        del service.client.headers["authorization"]
        response = await service.client.request(method, path)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert service.metric("stillroom_admin_requests_total", outcome="not_authorised") == 1
    async with running(store) as service:
        response = await service.client.request(method, path, headers=BEARING)
        assert (response.status_code, response.json()["type"]) == (503, "urn:stillroom:problem:admin-closed")


async def test_bundle_is_promoted_and_rolled_back_and_both_are_written_down(store: Path) -> None:
    old, new = Registry(store).current(), other_bundle(store)
    async with guarded(store, audit_log=str(store.parent / "audit")) as service:
        promoted = await service.post("/admin/promote", {"version": new})
        assert (promoted["version"], promoted["replaced"]) == (new, old)
        assert (await service.recommend(user_id="user-1"))["model"]["version"] == new
        lines = (await service.client.get("/admin/bundles")).json()["bundles"]
        marks = ("is_current", "is_previous", "is_in_service")
        assert {line["version"]: tuple(line[mark] for mark in marks) for line in lines} == {
            new: (True, False, True),
            old: (False, True, False),
        }
        back = await service.post("/admin/rollback", None)
        assert (back["version"], back["replaced"]) == (old, new)
        assert Registry(store).current() == old
    audit = [msgspec.json.decode(line) for line in (store.parent / "audit").read_bytes().splitlines()]
    assert [(line["key"], line["action"], line["outcome"]) for line in audit] == [
        ("anna", "promote", "begun"),
        ("anna", "promote", "done"),
        ("anna", "rollback", "begun"),
        ("anna", "rollback", "done"),
    ]


async def test_first_bundle_can_be_promoted_where_there_is_none_yet(store: Path) -> None:
    only = Registry(store).current()
    (store / "current").unlink()
    async with guarded(store) as service:
        assert (await service.client.get("/admin/state")).json()["ready"]["bundle_version"] is None
        lines = (await service.client.get("/admin/bundles")).json()["bundles"]
        assert [line["is_in_service"] for line in lines] == [False]
        promoted = await service.post("/admin/promote", {"version": only})
        assert (promoted["version"], promoted["replaced"]) == (only, None)
        assert (await service.recommend(user_id="user-1"))["tier"] == "student"


async def test_roll_back_brings_a_bundle_into_service_where_the_promoted_one_is_refused(store: Path) -> None:
    old, new = Registry(store).current(), other_bundle(store)
    Registry(store).promote(new)
    (store / new / "user_tower.onnx").write_bytes(b"")
    async with guarded(store) as service:
        assert (await service.client.get("/health/ready")).status_code == 503
        back = await service.post("/admin/rollback", None)
        assert (back["version"], back["replaced"]) == (old, None)
        assert (await service.client.get("/health/ready")).json()["bundle_version"] == old


async def test_refused_bundle_that_was_mended_can_be_promoted_again(store: Path) -> None:
    version = Registry(store).current()
    file = store / version / "user_tower.onnx"
    whole = file.read_bytes()
    file.write_bytes(b"")
    async with guarded(store) as service:
        file.write_bytes(whole)
        assert (await service.post("/admin/promote", {"version": version}))["version"] == version


async def test_promotion_reads_the_bundle_once_and_before_it_is_current(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, read_while_current = Registry(store).current(), []

    def read(path: Path, *, is_gentle: bool = False) -> Bundle:
        read_while_current.append(Registry(store).current())
        return read_bundle(path, is_gentle=is_gentle)

    async with guarded(store) as service:
        monkeypatch.setattr("service.bundles.holder.read_bundle", read)
        monkeypatch.setattr("models.bundles.registry.read_bundle", read)
        await service.post("/admin/promote", {"version": other_bundle(store)})
    assert read_while_current == [old]


async def test_roll_back_loads_nothing(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with guarded(store) as service:
        await service.post("/admin/promote", {"version": other_bundle(store)})
        monkeypatch.setattr("service.bundles.holder.read_bundle", None)
        monkeypatch.setattr("models.bundles.registry.read_bundle", None)
        await service.post("/admin/rollback", None)
        assert (await service.recommend(user_id="user-1"))["tier"] == "student"


async def test_bundle_that_cannot_be_served_is_refused_and_nothing_has_changed(store: Path) -> None:
    old, bad = Registry(store).current(), other_bundle(store)
    tower = store / bad / "user_tower.onnx"
    tower.write_bytes(tower.read_bytes()[:-1])
    async with guarded(store) as service:
        for version, status in ((bad, 409), ("20200101T000000Z-000000000000", 404)):
            response = await service.client.post("/admin/promote", json={"version": version})
            assert response.status_code == status
            assert version in response.json()["detail"] or "user_tower" in response.json()["detail"]
            assert Registry(store).promotions() == [old]
        assert (await service.recommend())["model"]["version"] == old


def flip_last_bit(file: Path) -> None:
    """Its size stays."""
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


async def test_bundle_that_is_loaded_is_refused_where_its_files_have_changed_since(store: Path) -> None:
    old, new = Registry(store).current(), other_bundle(store)
    async with guarded(store) as service:
        await service.post("/admin/promote", {"version": new})
        await service.post("/admin/rollback", None)
        flip_last_bit(store / new / "user_tower.onnx")
        response = await service.client.post("/admin/promote", json={"version": new})
        assert (response.status_code, "user_tower" in response.json()["detail"]) == (409, True)
        assert Registry(store).current() == old


async def test_bundle_whose_ensemble_is_damaged_is_refused_though_no_arm_asks_for_it(tmp_path: Path) -> None:
    store = tmp_path / "store"
    days = [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2)]
    old, new = [write_bundle(store, contents_with_variants(), now=day).name for day in days]
    Registry(store).promote(old)
    file = next(path for path in sorted((store / new).glob("ensemble_*.npy")))
    flip_last_bit(file)
    async with guarded(store) as service:
        response = await service.client.post("/admin/promote", json={"version": new})
        assert (response.status_code, file.name in response.json()["detail"]) == (409, True)
        assert Registry(store).current() == old


async def test_nothing_to_roll_back_to_is_said(store: Path) -> None:
    async with guarded(store) as service:
        response = await service.client.post("/admin/rollback")
        assert response.status_code == 409
        assert "nothing to roll back to" in response.json()["detail"]


async def test_experiment_is_stopped_and_goes_on(store: Path, redis_server: RedisServer) -> None:
    declared = store.parent / "experiments.toml"
    declared.write_text(TWO_ARMS)
    async with guarded(store, experiments=str(declared), redis_url=redis_server.url) as service:
        await service.parts.experiments.follow()
        answer = await service.recommend(user_id="user-1")
        assert answer["experiment"]["name"] == "vases"
        stopped = await service.post("/admin/experiments/vases/stop", {"why": "it looks odd"})
        assert stopped["stopped"] == ["control", "same"]
        assert (await service.recommend(user_id="user-1"))["experiment"] is None
        (line,) = (await service.client.get("/admin/experiments")).json()["experiments"]
        assert (line["arms"], line["stopped"]) == (["control", "same"], ["control", "same"])
        assert (await service.post("/admin/experiments/vases/resume", {}))["stopped"] == []
        assert (await service.recommend(user_id="user-1"))["experiment"] is not None
        for path, said in (("cups/stop", "cups"), ("vases/stop", "nobody")):
            response = await service.client.post(f"/admin/experiments/{path}", json={"arm": "nobody"})
            assert (response.status_code, said in response.json()["detail"]) == (404, True)
        response = await service.client.get("/admin/experiments/vases")
        assert (response.status_code, "no report" in response.json()["detail"]) == (404, True)


async def test_experiment_goes_on_whole_where_one_arm_was_stopped(
    store: Path, redis_server: RedisServer
) -> None:
    declared = store.parent / "experiments.toml"
    declared.write_text(TWO_ARMS)
    async with guarded(store, experiments=str(declared), redis_url=redis_server.url) as service:
        await service.parts.experiments.follow()
        for arm in ("control", "same", "*"):
            await service.post("/admin/experiments/vases/stop", {"arm": arm})
        response = await service.client.post("/admin/experiments/vases/resume", json={"arm": "same"})
        assert (response.status_code, "stopped together" in response.json()["detail"]) == (409, True)
        assert (await service.post("/admin/experiments/vases/resume", {"arm": "*"}))["stopped"] == []


async def test_person_is_forgotten(store: Path) -> None:
    async with guarded(store) as service:
        before = await service.recommend(user_id="user-1")
        reply = (await service.client.delete("/people/user-1")).json()
        assert (reply["user_id"], reply["removed"]["memory"]) == ("user-1", 1)
        after = await service.recommend(user_id="user-1")
        stranger = await service.recommend(user_id="nobody")
    assert [item["item_id"] for item in after["items"]] == [item["item_id"] for item in stranger["items"]]
    assert after["items"] != before["items"]


async def test_state_tells_the_service_at_a_glance(store: Path) -> None:
    async with guarded(store) as service:
        await service.recommend(user_id="user-1")
        state = (await service.client.get("/admin/state")).json()
    assert state["ready"]["status"] == "ready"
    assert state["people_in_memory"] == 1
    assert state["watch"] is False


async def test_own_port_takes_the_routes_away_from_the_main_one(store: Path) -> None:
    async with guarded(store, admin_port=free_port()) as service:
        assert (await service.client.get("/admin/state")).status_code == 404
        transport = httpx.ASGITransport(create_admin_app(service.parts))
        async with httpx.AsyncClient(transport=transport, base_url="http://operators") as operators:
            assert (await operators.get("/admin/state", headers=BEARING)).status_code == 200
            assert (await operators.post("/recommend", json={})).status_code == 404


def test_own_port_is_opened_by_one_of_several_workers(store: Path) -> None:
    keys, port = store.parent / "keys", free_port()
    keys.write_text(f"anna:{KEY}\n")
    url = f"http://127.0.0.1:{port}/admin/state"
    with ServiceProcess(store, ADMIN_KEYS_FILE=str(keys), ADMIN_PORT=str(port), WORKERS="2") as process:
        assert httpx.get(url, headers=BEARING).status_code == 200
        assert httpx.get(f"{process.url}/admin/state", headers=BEARING).status_code == 404
