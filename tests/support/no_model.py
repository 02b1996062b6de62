"""A shop's first events, and what is answered by them alone."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.support.events import body, did
from tests.support.service import Running, ids_of
from tests.support.waiting import eventually

FIRST_EVENTS = (
    did("view", "item-7", "anna"),
    did("purchase", "item-7", "anna"),
    did("view", "item-7", "ben"),
    did("view", "item-3", "ben"),
    did("view", "item-9", None, session_id="visit"),
)
"""item-7 has three, the others one each."""
POPULAR = ["item-7", "item-3", "item-9"]


async def send(service: Running, key: str, *events: dict[str, Any]) -> None:
    """POST /events, all accepted."""
    response = await service.client.post("/events", json=body(key, *events))
    assert response.status_code == 202, response.text
    assert response.json()["rejected"] == []


async def says(service: Running, wanted: list[str], **request: Any) -> bool:
    """Whether these items are the next answer."""
    return ids_of(await service.recommend(**request)) == wanted


async def are_counted(service: Running) -> None:
    """Wait until the first events are in the answers."""
    await eventually(partial(says, service, POPULAR))
