"""The first bundle takes over by itself, fails no request, and knows what people did before."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx

from tests.support.bundles import tiny_bundle
from tests.support.events import body, did
from tests.support.no_model import FIRST_EVENTS, are_counted, send
from tests.support.redis import RedisServer
from tests.support.service import ServiceProcess, ids_of, running, shared
from tests.support.waiting import eventually, wait_until

UNTOUCHED: dict[str, Any] = {"limit": 3, "known_items": "leave_out_touched"}
"""Such an answer shows what is known of who asks."""


async def test_first_bundle_takes_over_by_itself_and_knows_what_was_done_before(empty: Path) -> None:
    async with running(empty, bundle_poll_seconds=0.01) as service:
        answers: list[dict[str, Any]] = []

        async def is_taken_over() -> bool:
            answers.append(await service.recommend(**UNTOUCHED, user_id="user-1"))
            return answers[-1]["tier"] == "student"

        await send(service, "a", did("purchase", "item-13"), did("view", "item-2", "new"))
        assert not await is_taken_over()
        tiny_bundle(empty)
        await eventually(is_taken_over)
        assert ids_of(answers[-1]) == ["item-17", "item-21", "item-25"]  # 1, 5 and 9 are in the bundle
        assert ids_of(await service.recommend(**UNTOUCHED, user_id="new")) == ["item-6", "item-10", "item-14"]
        assert (await service.client.get("/health/ready")).json()["bundle_version"] is not None


async def test_replica_that_starts_with_the_first_bundle_finds_in_redis_what_people_did_before(
    empty: Path, redis_server: RedisServer
) -> None:
    async with running(empty, **shared(redis_server)) as before:
        await send(before, "a", did("purchase", "item-13"), did("view", "item-2", "new"))
    tiny_bundle(empty)
    async with running(empty, **shared(redis_server)) as service:
        assert ids_of(await service.recommend(**UNTOUCHED, user_id="user-1")) == [
            "item-17",
            "item-21",
            "item-25",
        ]
        assert ids_of(await service.recommend(**UNTOUCHED, user_id="new")) == ["item-6", "item-10", "item-14"]


async def test_no_request_fails_while_the_first_bundle_takes_over(empty: Path) -> None:
    async with running(empty, bundle_poll_seconds=0.01) as service:
        tiers: set[str] = set()

        async def ask_until_taken_over(path: str, body: dict[str, Any]) -> None:
            async def is_taken_over() -> bool:
                tier: str = (await service.post(path, body))["tier"]
                tiers.add(tier)
                return tier != "no_model"

            await eventually(is_taken_over)

        customers = [
            asyncio.create_task(ask_until_taken_over("/recommend", {"user_id": f"user-{number}"}))
            for number in range(4)
        ]
        customers.append(asyncio.create_task(ask_until_taken_over("/similar", {"item_id": "item-1"})))
        await service.recommend()
        tiny_bundle(empty)
        await asyncio.gather(*customers)
        assert tiers == {"no_model", "student"}


async def test_nothing_is_counted_any_more_once_a_bundle_is_in_service(empty: Path) -> None:
    async with running(empty) as service:
        live_items = service.parts.live_items
        await send(service, "a", *FIRST_EVENTS)
        await are_counted(service)
        tiny_bundle(empty)
        await service.parts.bundles.follow()

        async def is_let_go() -> bool:
            return not live_items.ranked.popular

        await eventually(is_let_go)
        await send(service, "b", *FIRST_EVENTS)
        assert not live_items._accepted


def test_process_on_an_empty_store_takes_events_and_goes_over_to_the_first_bundle(empty: Path) -> None:
    with ServiceProcess(empty, BUNDLE_POLL_SECONDS="0.05") as service:
        sent = httpx.post(f"{service.url}/events", json=body("a", did("purchase", "item-13")))
        assert sent.status_code == 202

        def answer() -> dict[str, Any]:
            response = httpx.post(f"{service.url}/recommend", json={**UNTOUCHED, "user_id": "user-1"})
            assert response.status_code == 200
            answer: dict[str, Any] = response.json()
            return answer

        assert answer()["tier"] == "no_model"
        tiny_bundle(empty)
        wait_until(lambda: answer()["tier"] == "student", "the first bundle")
        assert ids_of(answer()) == ["item-17", "item-21", "item-25"]
