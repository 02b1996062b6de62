from __future__ import annotations

import numpy as np
import pytest

from models.history import Event, History
from training.ensemble.meta_features import ItemFeatures, feature_names, meta_features, seen_mask
from training.members.member import Floats

ITEMS = ItemFeatures(np.arange(20, dtype=np.float32).reshape(4, 5), until=100)
STRANGER = History.empty()


def features_of(scores: list[float], history: History = STRANGER) -> dict[str, Floats]:
    described = meta_features({"one": np.array([scores], np.float32)}, [history], ITEMS)[0]
    return dict(zip(feature_names(["one"]), described.T, strict=True))


def test_scores_are_standardised_over_the_person() -> None:
    z = features_of([1.0, 2.0, 3.0, 6.0])["one_z"]
    assert z.mean() == pytest.approx(0.0, abs=1e-6)
    assert z.std() == pytest.approx(1.0)


def test_the_best_item_has_the_highest_rank_feature() -> None:
    ranks = features_of([1.0, 2.0, 3.0, 6.0])["one_rank"]
    np.testing.assert_allclose(ranks, -np.log1p([4, 3, 2, 1]), rtol=1e-6)


def test_no_opinion_is_the_mean_and_says_so() -> None:
    found = features_of([1.0, np.nan, 3.0, 5.0])
    assert found["one_z"][1] == 0.0
    np.testing.assert_array_equal(found["one_missing"], [0, 1, 0, 0])


def test_a_member_without_any_opinion_leaves_no_nan() -> None:
    described = meta_features({"one": np.full((1, 4), np.nan, np.float32)}, [STRANGER], ITEMS)
    assert np.isfinite(described).all()


def test_a_member_that_scores_all_alike_leaves_no_nan() -> None:
    assert np.isfinite(features_of([2.0] * 4)["one_z"]).all()


def test_seen_items_do_not_shift_the_others() -> None:
    history = History.from_events([Event(3, 50)])
    low, high = features_of([1.0, 2.0, 3.0, 4.0], history), features_of([1.0, 2.0, 3.0, 400.0], history)
    np.testing.assert_array_equal(low["one_z"][:3], high["one_z"][:3])
    np.testing.assert_array_equal(low["one_rank"][:3], high["one_rank"][:3])


def test_plain_features_follow_the_item_and_the_history() -> None:
    history = History.from_events([Event(0, 10), Event(1, 20)])
    found = features_of([0.0, 1.0, 2.0, 3.0], history)
    np.testing.assert_array_equal(found["log_popularity_7d"], [0, 5, 10, 15])
    np.testing.assert_allclose(found["history_log_length"], np.log1p(2))


def test_the_mask_marks_what_each_person_touched() -> None:
    mask = seen_mask([History.from_events([Event(2, 1)]), STRANGER], 3)
    np.testing.assert_array_equal(mask, [[False, False, True], [False, False, False]])
