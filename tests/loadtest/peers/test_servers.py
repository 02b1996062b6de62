"""Peers answer what they should, as far as this environment can run them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from threadpoolctl import threadpool_limits

from loadtest.peers.fastapi_implicit_redis.server import create_app as create_implicit_app
from loadtest.peers.precomputed.server import create_app as create_precomputed_app
from loadtest.peers.precomputed.server import fill
from loadtest.peers.same_student import SameStudent
from loadtest.peers.setting import PeerSetting
from tests.support.redis import RedisServer
from tests.support.service import Running

PEOPLE = [f"user-{number}" for number in range(12)]


@pytest.fixture
def setting(store: Path, tmp_path: Path, redis_server: RedisServer) -> PeerSetting:
    """The tiny store, everybody in it, and a real Redis."""
    people = tmp_path / "people.txt"
    people.write_text("\n".join(PEOPLE) + "\n")
    return PeerSetting(0, store, people, redis_server.url)


async def ask(app: FastAPI, user_id: str) -> list[dict[str, Any]]:
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://peer") as client,
    ):
        reply = await client.post("/recommend", json={"user_id": user_id, "limit": 5})
    assert reply.status_code == 200, reply.text
    items: list[dict[str, Any]] = reply.json()["items"]
    return items


async def test_the_same_student_gives_the_services_items(setting: PeerSetting, service: Running) -> None:
    student = SameStudent(setting)
    for user_id in PEOPLE:
        ours = (await service.recommend(user_id=user_id, limit=5))["items"]
        assert [item["item_id"] for item in student.recommend(user_id, 5)] == [
            item["item_id"] for item in ours
        ]


async def test_precomputed_lists_are_the_students(setting: PeerSetting) -> None:
    fill(setting)
    student, app = SameStudent(setting), create_precomputed_app(setting)
    for user_id in PEOPLE[:3]:
        assert await ask(app, user_id) == student.recommend(user_id, 5)


async def test_implicit_leaves_out_what_was_seen_and_ranks_by_the_bundles_vectors(
    setting: PeerSetting, service: Running
) -> None:
    with threadpool_limits(1, "blas"):  # as the bench starts it; implicit warns of more
        app = create_implicit_app(setting)
    for user_id in PEOPLE[:3]:
        asked = {"user_id": user_id, "limit": 5, "known_items": "leave_out_touched"}
        ours = (await service.recommend(**asked))["items"]
        assert {item["item_id"] for item in await ask(app, user_id)} == {item["item_id"] for item in ours}


def test_a_setting_survives_the_environment(setting: PeerSetting, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in setting.environment().items():
        monkeypatch.setenv(name, value)
    assert PeerSetting.read() == setting
    assert PeerSetting.read().read_people() == PEOPLE
