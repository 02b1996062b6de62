"""What is popular and what is new, counted from events."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from models.history import SECONDS_PER_DAY
from service.answers.no_model.popularity import HALF_LIFE_DAYS, NEW_DAYS, LivePopularity, Ranked
from service.log.records import EventRecord
from tests.support.events import RECEIVED_MS, event

NOW = RECEIVED_MS // 1000
DAY = int(SECONDS_PER_DAY)


def counted(*events: EventRecord, **bounds: int) -> Ranked:
    """What these events come to."""
    popularity = LivePopularity(NOW, **bounds)
    popularity.count(events)
    return popularity.ranked(NOW)


def by(user: int, item: str, days_ago: float = 0, kind: str = "view", **more: Any) -> EventRecord:
    """An event of user-N."""
    return event(item_id=item, user_id=f"user-{user}", time=NOW - int(days_ago * DAY), kind=kind, **more)


def popular_ids(ranked: Ranked) -> list[str]:
    return [item.item_id for item in ranked.popular]


def new_ids(ranked: Ranked) -> list[str]:
    return [item.item_id for item in ranked.new]


def test_nothing_is_popular_where_nothing_happened() -> None:
    assert counted() == Ranked([], [])


def test_what_more_people_took_comes_first() -> None:
    assert popular_ids(counted(by(1, "a"), by(1, "b"), by(2, "b"))) == ["b", "a"]


def test_an_event_counts_half_after_the_half_life() -> None:
    longer, shorter = HALF_LIFE_DAYS + 0.1, HALF_LIFE_DAYS - 0.1
    others = (by(1, "new"), by(3, "old", days_ago=HALF_LIFE_DAYS))
    assert popular_ids(counted(*others, by(2, "old", days_ago=longer))) == ["new", "old"]
    assert popular_ids(counted(*others, by(2, "old", days_ago=shorter))) == ["old", "new"]


def test_what_was_sent_back_is_not_popular_for_that() -> None:
    sent_back = [by(person, "sent back", kind="return") for person in (1, 2, 3)]
    assert popular_ids(counted(*sent_back, by(1, "looked at"))) == ["looked at"]


def test_who_does_the_same_again_and_again_counts_once() -> None:
    reloading = [by(1, "reloaded", number=number) for number in range(50)]
    assert popular_ids(counted(*reloading, by(2, "bought"), by(3, "bought"))) == ["bought", "reloaded"]


def test_what_was_only_shown_or_taken_out_of_the_cart_is_not_popular() -> None:
    assert counted(by(1, "a", kind="impression"), by(1, "b", kind="removal")) == Ranked([], [])


def test_ties_go_by_id_whatever_came_first() -> None:
    assert popular_ids(counted(by(1, "b"), by(2, "a"))) == ["a", "b"]


def test_new_is_by_first_event_and_by_two_people_at_least() -> None:
    two_people = [by(user, item, days) for user in (1, 2) for item, days in (("a", 3), ("b", 1), ("c", 2))]
    assert new_ids(counted(*two_people, by(1, "mistyped"))) == ["b", "c", "a"]


def test_the_earliest_event_decides_when_an_item_was_new_whenever_it_arrives() -> None:
    ranked = counted(by(1, "a", 1), by(2, "a", NEW_DAYS + 1), by(1, "b", 2), by(2, "b", 1))
    assert new_ids(ranked) == ["b"]


def test_visits_of_nobody_in_particular_count_each() -> None:
    visits = [event(user_id=None, session_id=f"visit-{number}", item_id="a") for number in range(2)]
    assert popular_ids(counted(*visits, by(1, "b"))) == ["a", "b"]


def test_items_are_bounded_and_those_that_count_least_leave() -> None:
    popularity = LivePopularity(NOW, max_items=10)
    popularity.count([by(user, "popular") for user in range(3)])
    popularity.count([by(1, f"once-{number:03}", days_ago=1) for number in range(100)])
    popularity.count([by(1, "lately")])
    found = popular_ids(popularity.ranked(NOW))
    assert len(found) <= 10
    assert found[:2] == ["popular", "lately"]


def test_pairs_are_bounded() -> None:
    popularity = LivePopularity(NOW, max_pairs=10)
    popularity.count([by(user, "a") for user in range(1000)])
    assert len(popularity._pairs) == 10


PEOPLE, ITEMS = st.integers(0, 4), st.sampled_from(["a", "b", "c", "d"])


@given(st.lists(st.tuples(PEOPLE, ITEMS, st.sampled_from(["view", "purchase"]), st.integers(0, 60))))
def test_any_events_are_ranked_as_the_definition_says(happened: list[tuple[int, str, str, int]]) -> None:
    weights: dict[str, float] = defaultdict(float)
    first_of: dict[tuple[int, str, str], int] = {}
    for user, item, kind, days in happened:
        first_of.setdefault((user, item, kind), days)
    for (_, item, _), days in first_of.items():
        weights[item] += 0.5 ** (days / HALF_LIFE_DAYS)
    ranked = counted(*(by(user, item, days, kind) for user, item, kind, days in happened))
    assert set(popular_ids(ranked)) == set(weights)
    scores = [weights[item] for item in popular_ids(ranked)]
    assert all(before >= after - 1e-9 for before, after in pairwise(scores))
