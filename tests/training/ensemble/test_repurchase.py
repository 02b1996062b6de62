"""Intervals are learned from what was bought again, and an item with few is believed as far as its category says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.history import SECONDS_PER_DAY, Event, EventKind, History
from models.packed_histories import Histories
from models.vocabulary import Vocabulary
from tests.support.shops import interactions_of
from training.data.dataset import Dataset
from training.ensemble.repurchase import bought_again, fit_clock

MILK, BREAD, SOAP, FRIDGE, NEW = range(5)
FOOD, KITCHEN = 0, 1
CATEGORIES = np.array([FOOD, FOOD, FOOD, KITCHEN, FOOD], np.int32)


def bought(item: int, *days: int, kind: EventKind = EventKind.PURCHASE) -> list[Event]:
    return [Event(item, day * int(SECONDS_PER_DAY) + 3_600, kind) for day in days]


def shop() -> Histories:
    """Milk is bought every 7 days and bread every 3 or so, soap once a month by one person, a fridge by all, once."""
    people = []
    for number in range(30):
        events = [*bought(MILK, *range(number % 7, 100, 7)), *bought(FRIDGE, 50), *bought(BREAD, 10, 13, 17)]
        events += bought(MILK, 60, kind=EventKind.VIEW)
        people.append(events + (bought(SOAP, 5, 35) if number == 0 else []))
    return Histories.from_list(
        [History.from_events(sorted(own, key=lambda event: event.time)) for own in people]
    )


def dataset() -> Dataset:
    """The shop with its categories by name, and one item of none."""
    histories = shop()
    catalogue = interactions_of(*histories, n_items=5).catalogue
    categories = ["food", "food", "food", "kitchen", None]
    items = Vocabulary.from_ids(["milk", "bread", "soap", "fridge", "new"])
    people = Vocabulary.from_ids([f"u{number}" for number in range(len(histories))])
    return Dataset("by hand", items, people, replace(catalogue, categories=categories), histories)


def test_items_with_many_intervals_keep_their_own() -> None:
    clock = fit_clock(shop(), EventKind.PURCHASE, CATEGORIES, 5)
    assert np.exp(clock.log_days[[MILK, BREAD]]).round(1).tolist() == [7.0, 3.5]


def test_an_item_with_one_interval_lies_between_its_own_and_its_categorys() -> None:
    clock = fit_clock(shop(), EventKind.PURCHASE, CATEGORIES, 5)
    assert 7 < np.exp(clock.log_days[SOAP]) < 30


def test_an_item_without_any_has_its_categorys() -> None:
    clock = fit_clock(shop(), EventKind.PURCHASE, CATEGORIES, 5)
    assert 3 < np.exp(clock.log_days[NEW]) < 7.5


def test_what_nobody_buys_again_has_a_small_share_and_no_interval() -> None:
    clock = fit_clock(shop(), EventKind.PURCHASE, CATEGORIES, 5)
    assert np.isnan(clock.log_days[FRIDGE])
    assert clock.shares[FRIDGE] < 0.05 < 0.5 < clock.shares[MILK]


def test_a_shop_in_which_nothing_was_bought_twice_has_no_clock() -> None:
    once = Histories.from_list([History.from_events(bought(MILK, 3)), History.from_events([])])
    clock = fit_clock(once, EventKind.PURCHASE, CATEGORIES, 5)
    assert np.isnan(clock.log_days).all()
    assert np.isfinite(clock.shares).all()
    assert np.isfinite(clock.strength).all()


def test_the_report_tells_by_category_what_comes_back() -> None:
    table = bought_again(dataset())
    assert list(table) == ["food", "kitchen"]
    assert (table["food"].n_buyers, table["food"].days) == (61, 7.0)
    assert table["food"].share == 1.0
    assert (table["kitchen"].n_buyers, table["kitchen"].share, table["kitchen"].days) == (30, 0.0, None)
