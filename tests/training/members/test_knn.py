from __future__ import annotations

import numpy as np

from models.history import SECONDS_PER_DAY, Event, History
from tests.support.shops import interactions_of
from training.members.knn import ItemKNN


def history(*items: int) -> History:
    return History.from_events(Event(item, 1_000 + step) for step, item in enumerate(items))


def days_apart(*items: int) -> History:
    """One visit an item."""
    return History.from_events(Event(item, step * int(SECONDS_PER_DAY)) for step, item in enumerate(items))


def test_what_is_taken_together_is_recommended() -> None:
    member = ItemKNN().fit(interactions_of(history(0, 1), history(1, 0), history(2, 3), n_items=4), seed=0)
    scores = member.score([history(0)])[0]
    assert scores[1] > scores[2] == scores[3] == 0.0


def test_a_history_counts_by_its_own_half_life() -> None:
    past = interactions_of(history(0, 1), history(2, 3), n_items=4)
    member = ItemKNN(fold_half_life=1.0).fit(past, seed=0)
    both, first, second = member.score([history(0, 2), history(0), history(2)])
    np.testing.assert_allclose(both, 0.5 * first + second, rtol=1e-6)


def test_a_persons_items_count_together_by_the_half_life_of_the_fit() -> None:
    past = interactions_of(history(0, 1, 2), n_items=3)  # a visit of ones, a person of 1/4, 1/2, 1
    member = ItemKNN(fit_half_life=1.0, person_weight=1.0, popularity_power=0.0, shrinkage=1.0)
    scores = member.fit(past, seed=0).score([history(2)])[0]
    np.testing.assert_allclose(scores, [(1 + 1 / 4) / 3, (1 + 1 / 2) / 3, 0.0])


def test_one_visit_says_more_than_one_history() -> None:
    past = interactions_of(*[history(0, 1)] * 3, *[days_apart(0, 2)] * 3, n_items=3)
    scores = ItemKNN().fit(past, seed=0).score([history(0)])[0]
    assert scores[1] > scores[2] > 0.0


def test_without_weight_of_people_visits_count_alone() -> None:
    past = interactions_of(*[history(0, 1)] * 3, *[days_apart(0, 2)] * 3, n_items=3)
    scores = ItemKNN(person_weight=0.0).fit(past, seed=0).score([history(0)])[0]
    assert scores[1] > scores[2] == 0.0


def test_an_older_visit_counts_by_the_visit_decay() -> None:
    past = interactions_of(history(0, 1), history(2, 3), n_items=4)
    member = ItemKNN(fold_half_life=1e6, visit_decay=0.25).fit(past, seed=0)
    both, first, second = member.score([days_apart(0, 2), history(0), history(2)])
    np.testing.assert_allclose(both, 0.25 * first + second, rtol=1e-5)


def test_shrinkage_prefers_the_pair_with_more_evidence() -> None:
    often = [history(0, 1)] * 10 + [history(0)] * 3
    past = interactions_of(*often, history(0, 2), n_items=3)
    trusting = ItemKNN(shrinkage=0.0, popularity_power=1.0).fit(past, seed=0).score([history(0)])[0]
    careful = ItemKNN(shrinkage=20.0, popularity_power=1.0).fit(past, seed=0).score([history(0)])[0]
    assert trusting[2] >= trusting[1]
    assert careful[2] < careful[1]


def test_a_higher_popularity_power_holds_popular_items_down() -> None:
    past = interactions_of(
        *[history(0, 1)] * 3, *[history(1)] * 20, *[history(0, 2)] * 2, history(2), n_items=3
    )
    following = ItemKNN(popularity_power=0.0, shrinkage=0.0).fit(past, seed=0).score([history(0)])[0]
    holding = ItemKNN(popularity_power=1.0, shrinkage=0.0).fit(past, seed=0).score([history(0)])[0]
    assert following[1] > following[2]
    assert holding[1] < holding[2]


def test_beyond_the_nearest_neighbours_nothing_is_said() -> None:
    past = interactions_of(*[history(0, 1)] * 3, history(0, 2), n_items=3)
    scores = ItemKNN(n_neighbours=1).fit(past, seed=0).score([history(0)])[0]
    assert scores[1] > 0.0
    assert scores[2] == 0.0
