"""What breaks a rule is rejected by its index; everything else of the batch is kept."""

from __future__ import annotations

from typing import Any

import pytest

from service.contract.schemas import EventBatch, ShopEvent
from service.events.validating import EARLIEST_SECONDS, batch_id_of, validate
from tests.support.events import RECEIVED_MS

NOW = RECEIVED_MS // 1000


def batch(*events: dict[str, Any], key: str = "key") -> EventBatch:
    """Views of item-1 by user-1, with changes."""
    usual = {"kind": "view", "item_id": "item-1", "user_id": "user-1"}
    return EventBatch(key, [ShopEvent(**{**usual, **changes}) for changes in events])


@pytest.mark.parametrize(
    ("changes", "reason", "said"),
    [
        ({"time": EARLIEST_SECONDS - 1}, "time_before_1990", "631151999 is before 1990"),
        ({"time": -1}, "time_before_1990", "-1 is before 1990"),
        ({"time": NOW + 301}, "time_in_future", "301 seconds ahead, at most 300"),
        ({"time": 10**25}, "time_in_future", "seconds ahead"),
        ({"time": 1000 * NOW}, "time_in_future", "not milliseconds"),
        ({"time": 10**400}, "time_in_future", "… (a longer number) is"),
        ({"time": -(10**400)}, "time_before_1990", "… (a longer number) is before 1990"),
        ({"user_id": None}, "nobody", "send one of them"),
        ({"item_id": ""}, "item_id_invalid", "item_id has 0 characters"),
        ({"item_id": "x" * 257}, "item_id_invalid", "257 characters"),
        ({"user_id": "x" * 257}, "user_id_invalid", "1 to 256"),
        ({"user_id": "a\n"}, "user_id_invalid", "control characters"),
        ({"session_id": "\0"}, "session_id_invalid", "control characters"),
        ({"request_id": "x" * 129}, "request_id_invalid", "1 to 128"),
    ],
)
async def test_faulty_event_is_rejected_by_index_and_the_others_are_kept(
    changes: dict[str, Any], reason: str, said: str
) -> None:
    validated = await validate(batch({}, changes, {"kind": "purchase"}), "b" * 32, RECEIVED_MS)
    assert [event.kind for event in validated.events] == ["view", "purchase"]
    [rejected] = validated.rejected
    assert (rejected.index, rejected.reason) == (1, reason)
    assert said in rejected.message
    assert len(rejected.message) < 250


async def test_bounds_themselves_are_accepted() -> None:
    edges = batch(
        {"time": EARLIEST_SECONDS}, {"time": NOW + 300}, {"item_id": "x" * 256}, {"user_id": "ü" * 256}
    )
    assert not (await validate(edges, "b" * 32, RECEIVED_MS)).rejected


async def test_event_keeps_its_place_and_what_was_said_of_it() -> None:
    given = batch({"time": 0}, {"request_id": "r", "session_id": "s", "value": 2.5}, {"time": NOW - 5})
    first, second = (await validate(given, "b" * 32, RECEIVED_MS)).events
    assert (first.event_id, first.time, first.received_ms) == (f"{'b' * 32}-1", NOW, RECEIVED_MS)
    assert (first.request_id, first.session_id, first.value) == ("r", "s", 2.5)
    assert (second.event_id, second.time, second.request_id) == (f"{'b' * 32}-2", NOW - 5, "")


def test_batch_is_known_by_key_and_content() -> None:
    contents: list[list[dict[str, Any]]] = [[{}], [{}, {}], [{"value": 1.0}]]
    ids = [batch_id_of(batch(*events, key=key)) for key in "ab" for events in contents]
    assert len(set(ids)) == 6
    assert batch_id_of(batch({}, key="a")) == ids[0]
    assert all(len(batch_id) == 32 for batch_id in ids)
    assert batch_id_of(batch({"time": 10**25})) != batch_id_of(batch({"time": 10**25 + 1}))
