"""Posts events to a service and looks what became of them."""

from __future__ import annotations

from typing import Any

from tests.support.events import streamed
from tests.support.redis import RedisServer
from tests.support.service import Running, ids_of

RIGHT = ["item-13", "item-17", "item-21"]
"""Of user-1, who knows item-1, item-5 and item-9."""


async def post(service: Running, sent: dict[str, Any], status: int = 202) -> dict[str, Any]:
    """POST /events; the decoded reply, which must have this status."""
    response = await service.client.post("/events", json=sent)
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def recommended(service: Running, **asked: Any) -> list[str]:
    """The next answer without what they touched, so that it shows what the service knows of them."""
    return ids_of(await service.recommend(limit=3, known_items="leave_out_touched", **asked))


async def has_streamed(redis: RedisServer, n_events: int) -> bool:
    """Whether the stream has exactly so many events, none of them twice."""
    found = [event.event_id for event in await streamed(redis.url)]
    assert len(set(found)) == len(found)
    return len(found) == n_events


async def is_answer(service: Running, wanted: list[str]) -> bool:
    """Whether user-1 is recommended these now."""
    return await recommended(service, user_id="user-1") == wanted


async def is_no_more(service: Running, name: str) -> bool:
    """Of a metric."""
    return service.metric(name) == 0
