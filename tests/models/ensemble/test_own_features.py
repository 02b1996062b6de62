from __future__ import annotations

import numpy as np
import pytest

from models.ensemble.meta_features import OWN_FEATURES, RECENT_DAYS, own_features
from models.history import MAX_COUNT, Event, EventKind, History
from tests.support.repeats import a_repeat_model

DAY = 86_400
REPEATS = a_repeat_model(10)
VIEW, CART, PURCHASE = EventKind.VIEW, EventKind.CART, EventKind.PURCHASE


def person(*events: tuple[int, float, EventKind]) -> History:
    """From (item_index, days, kind)."""
    return History.from_events(Event(item, int(day * DAY), kind) for item, day, kind in events)


def described(history: History, item: int) -> dict[str, float]:
    places, features = own_features(history, REPEATS)
    return dict(zip(OWN_FEATURES, features[places.tolist().index(item)].tolist(), strict=True))


OWN = person(
    (7, 0, PURCHASE), (3, 10, PURCHASE), (7, 30, PURCHASE), (7, 50, VIEW), (5, 60, VIEW), (5, 60.1, VIEW)
)


def test_an_item_is_described_by_its_strongest_events() -> None:
    found = described(OWN, 7)
    age = 60.1 - 30
    assert found["own_purchase"] == 1.0
    assert found["own_view"] == found["own_in_last_visit"] == 0.0
    assert found["own_log_count"] == pytest.approx(np.log(2))
    assert found["own_log_days"] == pytest.approx(np.log1p(age), rel=1e-4)
    recent = 0.5 ** (age / RECENT_DAYS) + 0.5 ** (60.1 / RECENT_DAYS)
    assert found["own_log_recent"] == pytest.approx(np.log1p(recent), rel=1e-4)
    assert found["own_log_visits"] == pytest.approx(np.log1p(2))  # on day 50, and on day 60
    assert found["own_items_later"] == pytest.approx(1 / 3)


def test_what_was_only_looked_at_in_this_visit_is_told() -> None:
    found = described(OWN, 5)
    assert [found["own_view"], found["own_in_last_visit"], found["own_log_visits"]] == [1.0, 1.0, 0.0]
    assert found["own_log_count"] == pytest.approx(np.log(2))


def test_items_asked_about_get_their_own_and_others_nothing() -> None:
    places, features = own_features(OWN, REPEATS, np.array([5, 1, 7, 9, 5]))
    assert places.tolist() == [0, 2, 4]
    every, by_item = own_features(OWN, REPEATS)
    for place, item in ((0, 5), (1, 7), (2, 5)):
        np.testing.assert_array_equal(features[place], by_item[every.tolist().index(item)])


def test_nobody_has_nothing() -> None:
    for items in (None, np.array([0, 1])):
        places, features = own_features(History.empty(), REPEATS, items)
        assert len(places) == len(features) == 0


def test_moments_that_are_not_kept_of_a_person_do_not_count() -> None:
    often = [(1, day, PURCHASE) for day in range(30)]
    whole, kept = person(*often), person(*often[-MAX_COUNT:])
    for one, other in zip(own_features(whole, REPEATS), own_features(kept, REPEATS), strict=True):
        np.testing.assert_array_equal(one, other)
