from __future__ import annotations

import numpy as np
import pytest

from models.history import MAX_COUNT, SECONDS_PER_DAY, Event, EventKind, History
from models.members.neighbours import DECAY_IN_GROUP, DECAY_OF_GROUPS, FittedNeighbours, frequencies
from tests.support.shops import interactions_of
from training.members.neighbours import Neighbours

DAY = int(SECONDS_PER_DAY)
PURCHASE, VIEW = EventKind.PURCHASE, EventKind.VIEW


def person(*baskets: tuple[int, ...], kind: EventKind = PURCHASE) -> History:
    """One basket a day."""
    return History.from_events(
        Event(item, day * DAY, kind) for day, basket in enumerate(baskets) for item in basket
    )


def fitted(*people: History, n_nearest: int = 2, **settings: int) -> FittedNeighbours:
    shop = interactions_of(*people, n_items=8, until=99 * DAY)
    return Neighbours(n_nearest=n_nearest, **settings).fit(shop, seed=0).fitted()


def test_frequencies_are_those_of_the_paper() -> None:
    """Eight baskets in groups of two, of which the last two baskets are the last group."""
    found = frequencies(person((0, 1), (0,), (0,), (0,), (0,), (0,), (0,), (1, 2)), PURCHASE)
    last = 1 / 2 / 4  # the newest basket: its share of its group, and the group's of all four
    assert found.items.tolist() == [0, 1, 2]
    assert found.values[2] == pytest.approx(last)
    assert found.values[1] == pytest.approx(last * (1 + DECAY_IN_GROUP * DECAY_OF_GROUPS**3))
    others = [DECAY_IN_GROUP**place * DECAY_OF_GROUPS**group for group in range(4) for place in range(2)]
    assert found.values[0] == pytest.approx(last * sum(others[1:]))


def test_the_nearest_people_are_asked() -> None:
    alike, other = person((0, 1, 4)), person((5, 6))
    scores = fitted(alike, alike, other, other).score([person((0, 1))])[0]
    np.testing.assert_allclose(scores, [1, 1, np.nan, np.nan, 1, 0, 0, np.nan], atol=1e-6)


def test_an_independent_computation_gives_the_same() -> None:
    rng = np.random.default_rng(3)
    people = [
        person(*(tuple(rng.choice(8, rng.integers(1, 4), replace=False)) for _ in range(rng.integers(1, 20))))
        for _ in range(30)
    ]

    def dense(history: History) -> np.ndarray:
        row = np.zeros(8)
        found = frequencies(history, PURCHASE)
        row[found.items] = found.values
        return row

    short = [each for each in people if np.bincount(each.item_indices).max() <= MAX_COUNT]
    rows = np.stack([dense(each) for each in short])
    asked = short[4]
    cosines = rows @ dense(asked) / np.linalg.norm(rows, axis=1)
    nearest = np.argsort(-cosines, kind="stable")[:5]
    found = fitted(*short, n_nearest=5).score([asked])[0]
    np.testing.assert_allclose(found, rows[nearest].mean(axis=0), rtol=1e-4, atol=1e-6)


def test_what_was_only_looked_at_counts_for_nobody() -> None:
    shop = interactions_of(person((0,)), person((1,), kind=VIEW), n_items=8, until=9 * DAY)
    model = Neighbours().fit(shop, seed=0).fitted()
    assert len(model.people) == 1
    assert np.isnan(model.score([person((1,), kind=VIEW), History.empty()])).all()


def test_people_are_drawn_by_seed_where_there_are_too_many() -> None:
    assert len(fitted(*(person((seed % 8,)) for seed in range(20)), max_people=7).people) == 7
