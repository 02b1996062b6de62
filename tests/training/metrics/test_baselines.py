from __future__ import annotations

import numpy as np
import pytest

from models.history import Event, EventKind, History
from models.members.neighbours import DECAY_IN_GROUP, DECAY_OF_GROUPS
from tests.support.shops import interactions_of
from training.data.dataset import Interactions
from training.metrics.baselines import (
    OWN_SHARE,
    TifuKnn,
    baselines,
    frequencies,
)

DAY = 86_400
NOW = 100 * DAY
PURCHASE, VIEW = EventKind.PURCHASE, EventKind.VIEW


def person(*events: tuple[int, float, EventKind]) -> History:
    """From (item_index, days, kind)."""
    return History.from_events(Event(item, int(day * DAY), kind) for item, day, kind in events)


ONE = person((0, 1, PURCHASE), (1, 1, PURCHASE), (0, 50, PURCHASE), (2, 60, VIEW), (3, 95, VIEW))
OTHER = person((1, 98, PURCHASE), (4, 99, VIEW))


@pytest.fixture(scope="module")
def shop() -> Interactions:
    return interactions_of(ONE, OTHER, n_items=6, until=NOW)


def top(shop: Interactions, name: str, history: History, k: int) -> list[int]:
    scores = baselines(shop, seed=0)[name]([history])[0]
    return np.argsort(-scores, kind="stable")[:k].tolist()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("popular", [0, 1, 2]),
        ("popular_week", [1, 0, 2]),
        ("most_taken", [0, 1, 2]),
        ("most_taken_then_popular", [0, 1, 2]),
        ("last_looked_at", [3, 2, 0, 1]),
    ],
)
def test_each_ranks_by_what_its_name_says(shop: Interactions, name: str, expected: list[int]) -> None:
    assert top(shop, name, ONE, len(expected)) == expected


def test_only_targets_count_as_taken(shop: Interactions) -> None:
    scores = baselines(shop, seed=0)
    assert scores["most_taken"]([ONE])[0].tolist() == [2, 1, 0, 0, 0, 0]
    assert scores["popular"]([ONE])[0].tolist() == [2, 2, 0, 0, 0, 0]
    behind = scores["most_taken_then_popular"]([OTHER])[0]
    assert behind[1] > 1 > behind[0] > behind[2] == 0


def test_frequencies_fade_by_basket_and_by_group() -> None:
    often = person(*((0, day, PURCHASE) for day in range(14)), (1, 13.1, PURCHASE), (2, 0.2, PURCHASE))
    found = frequencies([often, History.empty()], 3, PURCHASE).toarray()
    of_group = (1 + DECAY_IN_GROUP) / 2
    expected: list[float] = [
        sum(DECAY_OF_GROUPS**group * of_group for group in range(7)) / 7,
        1 / 2 / 7,
        DECAY_OF_GROUPS**6 * DECAY_IN_GROUP / 2 / 7,
    ]
    np.testing.assert_allclose(found, [expected, [0.0, 0.0, 0.0]], rtol=1e-5)


def test_neighbours_fill_up_what_a_person_has_not_taken(shop: Interactions) -> None:
    found = TifuKnn.of(shop).score([person((1, 1, PURCHASE))])[0]
    everybody = frequencies([ONE, OTHER], 6, PURCHASE).toarray().mean(axis=0)
    own = np.array([0, 1, 0, 0, 0, 0])
    np.testing.assert_allclose(found, OWN_SHARE * own + (1 - OWN_SHARE) * everybody, rtol=1e-5)


def test_nobody_with_a_target_gives_nothing(shop: Interactions) -> None:
    nobody = interactions_of(person((0, 1, VIEW)), n_items=3, until=NOW)
    for name, score in baselines(nobody, seed=0).items():
        found = score([ONE.last(0), person((2, 3, VIEW))])
        assert np.isfinite(found).all(), name
