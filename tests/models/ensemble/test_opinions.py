from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import rankdata

from models.ensemble.opinions import Opinions
from models.history import Event, History

STRANGER = History.empty()
SEEN_BY_ONE = [History.from_events([Event(2, 1), Event(2, 5)]), STRANGER]


def some_scores(n_people: int, n_items: int) -> npt.NDArray[np.float32]:
    """With ties, and one in five unknown."""
    rng = np.random.default_rng(0)
    scores = rng.integers(0, n_items // 2, (n_people, n_items)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.2] = np.nan
    return scores


def test_ranks_are_mean_ranks_as_scipy_has_them() -> None:
    scores = some_scores(3, 50)
    found = Opinions.of(scores, [STRANGER] * 3).ranks()
    is_known = ~np.isnan(scores)
    for own, ranks, known in zip(scores, found, is_known, strict=True):
        np.testing.assert_array_equal(ranks[known], rankdata(-own[known]))


def test_what_has_no_opinion_shares_the_places_behind_all_others() -> None:
    scores = np.array([[np.nan, 1, 2, np.nan, np.nan]], np.float32)
    np.testing.assert_array_equal(Opinions.of(scores, [STRANGER]).ranks(), [[4, 2, 1, 4, 4]])


def test_items_of_the_history_take_no_place() -> None:
    scores = np.array([[1, 5, 9, np.nan], [1, 5, 9, np.nan]], np.float32)
    opinions = Opinions.of(scores, SEEN_BY_ONE)
    np.testing.assert_array_equal(opinions.ranks()[:, [0, 1, 3]], [[2, 1, 3], [3, 2, 4]])
    assert opinions.standardised()[0, :2].tolist() == [-1, 1]


def test_an_item_of_the_history_has_the_place_that_it_would_have_if_it_were_unseen() -> None:
    scores = np.array([[1, 5, 4, 7], [1, 5, 4, 7]], np.float32)
    opinions = Opinions.of(scores, SEEN_BY_ONE)
    assert opinions.ranks()[0].tolist() == [3, 2, 3, 1]
    items = np.array([[2, 3], [2, 3]])
    assert opinions.ranks(items)[0].tolist() == [3, 1]
    mean, deviation = np.mean([1, 5, 7]), np.std([1, 5, 7])
    assert opinions.standardised(items)[0, 0] == pytest.approx((4 - mean) / deviation)
    assert not opinions.is_missing()[0, 2]


def test_scores_that_were_given_stay_as_they_are() -> None:
    scores = np.ones((2, 4), np.float32)
    Opinions.of(scores, SEEN_BY_ONE)
    assert (scores == 1).all()


@pytest.mark.parametrize("figure", ["standardised", "ranks", "is_missing"])
def test_some_items_get_what_they_get_among_all(figure: str) -> None:
    opinions = Opinions.of(some_scores(4, 30), [STRANGER] * 4)
    items = np.random.default_rng(1).integers(0, 30, (4, 12))
    of_all, of_some = getattr(opinions, figure)(), getattr(opinions, figure)(items)
    np.testing.assert_array_equal(of_some, np.take_along_axis(of_all, items, axis=1))


def test_a_member_without_any_opinion_leaves_no_nan() -> None:
    opinions = Opinions.of(np.full((1, 4), np.nan, np.float32), [STRANGER])
    assert (opinions.standardised() == 0).all()
    assert (opinions.ranks() == 2.5).all()
