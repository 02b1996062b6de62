"""Two replicas as processes and a real Redis: what was accepted is in every answer, whoever is killed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import httpx

from tests.support.events import body, did
from tests.support.redis import RedisServer
from tests.support.service import ServiceProcess, ids_of
from tests.support.waiting import wait_until


def recommended(service: ServiceProcess, **request: Any) -> list[str]:
    """The next answer without what they touched, so that it shows what the service knows of them."""
    asked = {"limit": 3, "known_items": "leave_out_touched", **request}
    response = httpx.post(f"{service.url}/recommend", json=asked)
    assert response.status_code == 200
    return ids_of(response.json())


def send(service: ServiceProcess, sent: dict[str, Any]) -> None:
    """POST /events, accepted."""
    response = httpx.post(f"{service.url}/events", json=sent)
    assert response.status_code == 202, response.text


def is_recommended(service: ServiceProcess, wanted: list[str], **request: Any) -> bool:
    """Whether that is the next answer."""
    return recommended(service, **request) == wanted


def test_accepted_event_is_in_the_next_answer_of_every_replica_and_outlives_kills(
    store: Path, redis_server: RedisServer
) -> None:
    settings = {
        "REDIS_URL": redis_server.url,
        "REDIS_READ_TIMEOUT_MS": "5000",
        "REDIS_CONNECT_TIMEOUT_MS": "5000",
        "CIRCUIT_OPEN_SECONDS": "0.01",
    }
    with ServiceProcess(store, **settings) as one, ServiceProcess(store, **settings) as other:
        assert recommended(other, user_id="user-1") == ["item-13", "item-17", "item-21"]
        send(one, body("a", did("purchase", "item-13"), did("click", "item-2", None, session_id="visit")))
        assert recommended(other, user_id="user-1") == ["item-17", "item-21", "item-25"]
        assert recommended(other, session_id="visit") == ["item-6", "item-10", "item-14"]
        redis_server.kill()
        send(one, body("b", did("purchase", "item-17")))
        assert one.process is not None
        one.process.kill()
        one.process.wait()
        redis_server.start()  # empty: all it had is gone
        one.start()
        for service in (one, other):
            wait_until(
                partial(is_recommended, service, ["item-21", "item-25", "item-29"], user_id="user-1"),
                "both purchases",
            )
