"""Flattened trees send every pair to the leaf that scikit-learn sends it to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.tree import DecisionTreeClassifier

from tests.support.pairs import Pairs, linear_pairs
from training.ensemble.flattening import flatten_boosting, flatten_classifiers, rounded_down
from training.ensemble.trees import LEAF, Trees


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    return linear_pairs()


@pytest.fixture(scope="module")
def boosted(pairs: Pairs) -> HistGradientBoostingClassifier:
    model = HistGradientBoostingClassifier(max_iter=20, min_samples_leaf=5, early_stopping=False)
    return model.fit(pairs.features, pairs.labels)


def stump() -> Trees:
    """Column 1 <= 0.5 gives 10, else 20; and 1 for everybody."""
    return Trees(
        n_nodes=np.array([3], np.int32),
        feature=np.array([1, LEAF, LEAF], np.int32),
        threshold=np.array([0.5, 0, 0], np.float32),
        left=np.array([1, LEAF, LEAF], np.int32),
        right=np.array([2, LEAF, LEAF], np.int32),
        value=np.array([99, 10, 20], np.float32),
        base=np.array(1, np.float32),
        importance=np.array([0.0, 1.0]),
    )


def test_a_pair_on_the_threshold_goes_left() -> None:
    features = np.array([[9, 0.5], [-9, np.nextafter(np.float32(0.5), np.float32(1))]], np.float32)
    np.testing.assert_array_equal(stump().sum(features), [11, 21])


def test_leading_axes_are_kept() -> None:
    features = np.zeros((2, 3, 2), np.float32)
    features[1, 2, 1] = 1
    np.testing.assert_array_equal(stump().sum(features), [[11, 11, 11], [11, 11, 21]])


def test_no_pairs_give_no_sums() -> None:
    assert stump().sum(np.zeros((0, 2), np.float32)).shape == (0,)


def test_the_sum_of_classifiers_equals_scikit_learns(pairs: Pairs) -> None:
    trees = [
        DecisionTreeClassifier(max_depth=depth, random_state=depth).fit(pairs.features, pairs.labels)
        for depth in (1, 4, None)
    ]
    flat = flatten_classifiers(trees, [lambda share, _: share] * 3, base=0.25)
    unseen = linear_pairs(seed=1).features
    expected = 0.25 + sum(tree.predict_proba(unseen)[:, 1] for tree in trees)
    np.testing.assert_allclose(flat.sum(unseen), expected, rtol=1e-6)


def test_the_sum_of_boosting_equals_its_decision_function(
    pairs: Pairs, boosted: HistGradientBoostingClassifier
) -> None:
    unseen = linear_pairs(seed=1).features
    flat = flatten_boosting(boosted)
    for features in (unseen, pairs.features):
        np.testing.assert_allclose(flat.sum(features), boosted.decision_function(features), atol=1e-5)


def test_pairs_next_to_a_threshold_go_where_scikit_learn_sends_them() -> None:
    # Halfway between two neighbours in float32 lies a threshold that only float64 can hold.
    # It is as far from both, and rounds to the one with the even mantissa: the upper one.
    low = np.nextafter(np.float32(1024), np.float32(2000))
    high = np.nextafter(low, np.float32(2000))
    features = np.array([[low], [high]] * 30, np.float32)
    tree = DecisionTreeClassifier(max_depth=1).fit(features, features[:, 0] == high)
    flat = flatten_classifiers([tree], [lambda share, _: share])
    assert np.float32(tree.tree_.threshold[0]) == high
    np.testing.assert_array_equal(flat.sum(features), tree.predict_proba(features)[:, 1])


def test_thresholds_are_never_rounded_up() -> None:
    exact = np.array([0.5, 0.1, -0.1, 1.0 + 2**-24 + 2**-40])
    rounded = rounded_down(exact)
    assert (rounded <= exact).all()
    assert (np.nextafter(rounded, np.float32(np.inf)) > exact).all()


def test_importance_falls_on_the_columns_that_tell(boosted: HistGradientBoostingClassifier) -> None:
    importance = flatten_boosting(boosted).importance
    assert importance.argmax() == 0
    assert importance[:2].sum() > 2 * importance[2:].sum()


def test_loaded_trees_sum_equally(boosted: HistGradientBoostingClassifier, tmp_path: Path) -> None:
    flat = flatten_boosting(boosted)
    flat.save(tmp_path / "trees.npz")
    unseen = linear_pairs(seed=1).features
    np.testing.assert_array_equal(Trees.load(tmp_path / "trees.npz").sum(unseen), flat.sum(unseen))
