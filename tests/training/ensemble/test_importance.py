from __future__ import annotations

import numpy as np

from tests.support.pairs import linear_pairs
from training.ensemble.importance import member_importance, permutation_within
from training.ensemble.stacking import Stacking

PAIRS = linear_pairs()
STACKING = Stacking().fit(PAIRS.features, PAIRS.labels, PAIRS.people, seed=0)
GROUPS = {"strong": [0, 1], "weak": [1], "noise": [2], "person": [3]}


def test_members_count_by_what_they_tell() -> None:
    found = member_importance(STACKING, PAIRS.features, PAIRS.labels, PAIRS.people, GROUPS, seed=0)
    for loss in ("ndcg_loss", "auc_loss"):
        strong, weak, noise = (getattr(found[name], loss) for name in ("strong", "weak", "noise"))
        assert strong > 2 * weak > 0
        assert weak > 4 * abs(noise)


def test_the_interval_of_what_tells_excludes_zero_and_holds_the_loss() -> None:
    found = member_importance(STACKING, PAIRS.features, PAIRS.labels, PAIRS.people, GROUPS, seed=0)["strong"]
    assert 0 < found.ndcg_interval[0] < found.ndcg_loss < found.ndcg_interval[1]
    assert 0 < found.auc_interval[0] < found.auc_loss < found.auc_interval[1]


def test_what_is_the_same_for_all_items_of_a_person_counts_nothing() -> None:
    found = member_importance(STACKING, PAIRS.features, PAIRS.labels, PAIRS.people, GROUPS, seed=0)["person"]
    assert (found.ndcg_loss, found.auc_loss) == (0.0, 0.0)


def test_opinions_stay_with_their_person() -> None:
    people = np.array([4, 2, 4, 2, 4, 9, 2, 9] * 10)
    dealt = permutation_within(people, np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(dealt), np.arange(80))
    np.testing.assert_array_equal(people[dealt], people)
    assert (dealt != np.arange(80)).mean() > 0.8


def test_the_features_given_are_left_as_they_were() -> None:
    features = PAIRS.features.copy()
    member_importance(STACKING, features, PAIRS.labels, PAIRS.people, GROUPS, seed=0)
    np.testing.assert_array_equal(features, PAIRS.features)
