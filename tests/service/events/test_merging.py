"""What a batch teaches of each person."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.history import EventKind
from models.removals import REMOVAL
from models.vocabulary import id_key
from service.events.merging import by_person, stored_events
from service.log.records import EventRecord, session_key
from service.people.stored import StoredEvents, short_keys
from tests.support.events import event


def taught(events: StoredEvents) -> list[tuple[int, int, int]]:
    """Key, time and kind of each event."""
    return list(zip(events.keys.tolist(), events.times.tolist(), events.kinds.tolist(), strict=True))


def key(item_id: str) -> int:
    """As histories hold it."""
    return int(short_keys(np.array([id_key(item_id)], np.uint64))[0])


def lessons_of(events: list[EventRecord]) -> dict[str, StoredEvents]:
    """By person."""
    return {key: stored_events(own, None) for key, own in by_person(events).items()}


def test_people_and_visits_merge_their_own() -> None:
    lessons = lessons_of(
        [
            event(user_id="a", item_id="x", time=5, kind="purchase"),
            event(user_id=None, session_id="s", item_id="y", time=6, kind="click"),
            event(user_id="a", session_id="s", item_id="z", time=4),
        ]
    )
    assert set(lessons) == {"a", session_key("s")}
    assert taught(lessons["a"]) == [(key("z"), 4, EventKind.VIEW), (key("x"), 5, EventKind.PURCHASE)]
    assert taught(lessons[session_key("s")]) == [(key("y"), 6, EventKind.CLICK)]


@pytest.mark.parametrize(
    ("said", "liked_from", "kind"),
    [
        ({"value": 2.0}, 3.0, EventKind.DISLIKE),
        ({"value": 3.0}, 3.0, EventKind.RATING),
        ({"value": 2.0}, None, EventKind.RATING),
        ({}, 3.0, EventKind.RATING),
        ({"kind": "purchase", "value": 2.0}, 3.0, EventKind.PURCHASE),
        ({"kind": "dislike"}, None, EventKind.DISLIKE),
    ],
)
def test_a_rating_is_merged_as_what_it_says(
    said: dict[str, Any], liked_from: float | None, kind: EventKind
) -> None:
    merged = stored_events([event(**{"kind": "rating"} | said)], liked_from)
    assert merged.kinds.tolist() == [kind]


def test_what_was_only_shown_teaches_nothing() -> None:
    assert lessons_of([event(kind="impression")]) == {}


def test_events_go_by_time_and_those_of_one_second_by_arrival() -> None:
    lesson = lessons_of(
        [
            event(kind="removal", item_id="x", time=7),
            event(kind="cart", item_id="x", time=6),
            event(kind="view", item_id="y", time=7),
            event(kind="view", item_id="x", time=7),
        ]
    )["user-1"]
    assert taught(lesson) == [
        (key("x"), 6, EventKind.CART),
        (key("x"), 7, REMOVAL),
        (key("y"), 7, EventKind.VIEW),
        (key("x"), 7, EventKind.VIEW),
    ]
