"""What a batch teaches of each person."""

from __future__ import annotations

import numpy as np

from models.history import EventKind
from models.vocabulary import id_key
from service.events.learning import Lesson, by_person, lesson_of
from service.histories.lookup import session_key
from service.histories.stored import short_keys
from service.log.records import EventRecord
from tests.support.events import event


def taught(lesson: Lesson) -> list[tuple[int, int, int]]:
    """Key, time and kind of each event."""
    events = lesson.events
    return list(zip(events.keys.tolist(), events.times.tolist(), events.kinds.tolist(), strict=True))


def key(item_id: str) -> int:
    """As histories hold it."""
    return int(short_keys(np.array([id_key(item_id)], np.uint64))[0])


def lessons_of(events: list[EventRecord]) -> dict[str, Lesson]:
    """By person."""
    return {key: lesson_of(own) for key, own in by_person(events).items()}


def test_people_and_visits_learn_their_own() -> None:
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


def test_what_was_only_shown_teaches_nothing() -> None:
    assert lessons_of([event(kind="impression")]) == {}


def test_removal_undoes_what_went_into_the_cart_before_it_and_nothing_else() -> None:
    lesson = lessons_of(
        [
            event(kind="removal", item_id="x", time=7),
            event(kind="cart", item_id="x", time=6),
            event(kind="view", item_id="x", time=5),
            event(kind="cart", item_id="y", time=6),
            event(kind="cart", item_id="z", time=9),
            event(kind="removal", item_id="z", time=8),
        ]
    )["user-1"]
    assert taught(lesson) == [
        (key("x"), 5, EventKind.VIEW),
        (key("y"), 6, EventKind.CART),
        (key("z"), 9, EventKind.CART),
    ]
    assert lesson.removed.item_keys.tolist() == [id_key("x"), id_key("z")]
    assert lesson.removed.times.tolist() == [7, 8]


def test_events_of_one_second_keep_their_order() -> None:
    lesson = lessons_of(
        [event(kind="cart", item_id="x", time=5), event(kind="removal", item_id="x", time=5)]
    )["user-1"]
    assert taught(lesson) == []
