"""More requests than allowed: refused at once, or answered from a lower tier."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from models.scan import Ranked
from service.answers import recommender
from service.limits import deadline
from service.limits.permits import LEAST
from service.scoring import turns
from tests.faults.test_student import stuck_student
from tests.support.service import Running, running
from tests.support.waiting import eventually


async def started(service: Running, n_requests: int) -> list[asyncio.Task[dict[str, object]]]:
    """Requests that have taken their permits."""
    n_before = service.parts.permits.n_taken
    tasks = [asyncio.create_task(service.recommend(user_id="user-1")) for _ in range(n_requests)]

    async def are_started() -> bool:
        return service.parts.permits.n_taken >= n_before + n_requests

    await eventually(are_started)
    return tasks


async def test_one_request_too_many_is_refused_at_once(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(store, max_in_flight=2) as service:
        with stuck_student(service, monkeypatch):
            tasks = await started(service, 2)
            response = await service.client.post("/recommend", json={})
            assert response.status_code == 429
            assert response.headers["retry-after"] == "1"
            assert response.headers["content-type"] == "application/problem+json"
            assert (await service.client.get("/health/live")).status_code == 200
        await asyncio.gather(*tasks)
        assert (await service.client.post("/recommend", json={})).status_code == 200
        assert service.metric("stillroom_requests_total", route="recommend", tier="none", status="429") == 1


async def test_full_service_refuses_without_reading_the_body(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal n_read
        n_read += 1
        yield b"{}"

    async with running(store, max_in_flight=1) as service:
        with stuck_student(service, monkeypatch):
            tasks = await started(service, 1)
            headers = {"content-type": "application/json"}
            response = await service.client.post("/recommend", content=body(), headers=headers)
        await asyncio.gather(*tasks)
    assert (response.status_code, n_read) == (429, 0)


async def test_batch_weighs_as_much_as_its_requests(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(store, max_batched_in_flight=4) as service:
        with stuck_student(service, monkeypatch):
            body = {
                "requests": [{"user_id": "user-1"}] * 2
            }  # a new vector: the scoring thread is stuck, not the loop
            batch = asyncio.create_task(service.post("/recommend/batch", body))

            async def is_at_work() -> bool:
                return service.parts.batch_permits.n_taken == 2

            await eventually(is_at_work)
            response = await service.client.post("/recommend/batch", json={"requests": [{}] * 3})
            assert response.status_code == 429
        await batch
        assert service.parts.batch_permits.n_taken == 0


async def test_batches_that_fill_their_lane_refuse_no_shopper(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(store, max_in_flight=2, max_batched_in_flight=128) as service:
        with stuck_student(service, monkeypatch):
            full = {"requests": [{"user_id": "user-1"}] * 64}
            batches = [asyncio.create_task(service.post("/recommend/batch", full)) for _ in range(2)]

            async def are_full() -> bool:
                return service.parts.batch_permits.n_taken == 128

            await eventually(are_full)
            shoppers = await started(service, 2)
            assert (await service.client.post("/recommend/batch", json=full)).status_code == 429
        await asyncio.gather(*batches, *shoppers)


async def test_batch_larger_than_the_limit_is_served_when_it_is_alone(store: Path) -> None:
    async with running(store, max_batched_in_flight=2) as service:
        answer = await service.post("/recommend/batch", {"requests": [{}] * 5})
        assert len(answer["replies"]) == 5
        assert service.parts.batch_permits.n_taken == 0


async def test_full_scoring_queue_is_answered_from_a_lower_tier(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(store, max_waiting=1) as service:
        with stuck_student(service, monkeypatch) as entered:
            tasks = await started(service, 1)
            await asyncio.to_thread(entered.wait, 30)
            tasks += await started(service, 1)
            answer = await service.recommend(user_id="user-1", limit=3)
            assert (answer["tier"], answer["degraded"]) == ("popular_segment", "overloaded")
        await asyncio.gather(*tasks)


class SlowSearch:
    """Each search of the catalogue takes 5 ms, on a clock of its own."""

    def __init__(self, service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = perf_counter()
        student = service.parts.bundles.serving().student
        top_k = student.top_k

        def search(*args: Any, **options: Any) -> Ranked:
            self.now += 0.005 * len(args[0])
            return top_k(*args, **options)

        monkeypatch.setattr(student, "top_k", search)
        for module in (deadline, recommender, turns):
            monkeypatch.setattr(module, "perf_counter", lambda: self.now)


async def ask_for_many(service: Running, **request: Any) -> None:
    for _ in range(20):
        await asyncio.gather(
            *(service.client.post("/recommend", json={"user_id": "user-1", **request}) for _ in range(64))
        )


async def test_fewer_are_let_in_while_answers_take_too_long(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 a second are answered, of which 2.5 in the quarter of the deadline that is aimed at."""
    async with running(store, deadline_ms=50) as service:
        await service.recommend(user_id="user-1", deadline_ms=1000)
        SlowSearch(service, monkeypatch)
        await ask_for_many(service)
        assert service.parts.permits.limit == LEAST


async def test_scoring_thread_that_is_slow_refuses_nobody(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whom it cannot answer in time a lower tier answers, and that is quick."""
    async with running(store, deadline_ms=50) as service:
        await service.recommend(user_id="user-1", deadline_ms=1000)
        SlowSearch(service, monkeypatch)
        await ask_for_many(service, explain=True)
        assert service.parts.permits.limit == 128
