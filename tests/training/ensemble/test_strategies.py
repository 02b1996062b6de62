"""What every strategy must hold, whatever it learns with; then what each is for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit
from sklearn.ensemble import AdaBoostClassifier
from sklearn.tree import DecisionTreeClassifier

from models.ensemble.strategies import from_parts, parts_of
from tests.support.pairs import Pairs, linear_pairs, striped_pairs
from training.ensemble.adaboost import AdaBoost
from training.ensemble.bagging import Bagging
from training.ensemble.boosting import Boosting
from training.ensemble.decision_tree import DecisionTree
from training.ensemble.neural_stacking import NeuralStacking
from training.ensemble.stacking import Stacking
from training.ensemble.strategy import Strategy
from training.ensemble.super_stacking import SuperStacking
from training.metrics.metrics import auc

Make = Callable[[], Strategy]
SMALL: dict[str, Make] = {
    "tree": lambda: DecisionTree(min_leaf_pairs=20),
    "bagging": lambda: Bagging(n_trees=10, min_leaf_pairs=10),
    "adaboost": lambda: AdaBoost(n_trees=15),
    "boosting": lambda: Boosting(min_leaf_pairs=20, max_trees=50),
    "stacking": Stacking,
    "neural_stacking": lambda: NeuralStacking(n_hidden=16, n_networks=1, n_epochs=60, learning_rate=1e-2),
}
NON_LINEAR = ("tree", "bagging", "adaboost", "boosting", "neural_stacking")


def small_super_stacking() -> SuperStacking:
    bases: dict[str, Make] = {name: SMALL[name] for name in ("tree", "boosting", "stacking")}
    return SuperStacking(n_folds=3).over(bases)


MAKERS: dict[str, Make] = {**SMALL, "super_stacking": small_super_stacking}


def fitted(make: Make, pairs: Pairs, *, seed: int = 0) -> Strategy:
    return make().fit(pairs.features, pairs.labels, pairs.people, seed=seed)


@pytest.fixture(scope="module", params=MAKERS)
def strategy(request: pytest.FixtureRequest) -> Strategy:
    return fitted(MAKERS[request.param], linear_pairs())


def test_what_was_learned_holds_for_other_people(strategy: Strategy) -> None:
    others = linear_pairs(seed=1)
    best_possible = auc(others.log_odds.astype(np.float32), others.labels)
    assert auc(strategy.logit(others.features), others.labels) > best_possible - 0.04


def test_logits_average_to_the_rate_of_the_pairs(strategy: Strategy) -> None:
    others = linear_pairs(seed=1)
    assert expit(strategy.logit(others.features)).mean() == pytest.approx(others.labels.mean(), abs=0.05)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_pairs_that_were_drawn_more_often_are_weighed_back(make: Make) -> None:
    """Negatives with a high first feature come five times over, and weigh a fifth."""
    pairs, others = linear_pairs(), linear_pairs(seed=1)
    is_often = ~pairs.labels & (pairs.features[:, 0] > 0)
    rows = np.concatenate([np.arange(len(pairs.labels)), *[np.flatnonzero(is_often)] * 4])
    weights = np.where(is_often, 0.2, 1.0)[rows]
    plain, weighed, not_weighed = (
        make().fit(pairs.features[own], pairs.labels[own], pairs.people[own], seed=0, weights=given)
        for own, given in ((slice(None), None), (rows, weights), (rows, None))
    )
    is_high = others.features[:, 0] > 0
    of_plain, of_weighed, of_others = (
        expit(each.logit(others.features[is_high])).mean() for each in (plain, weighed, not_weighed)
    )
    assert of_weighed == pytest.approx(of_plain, abs=0.05)
    assert of_others < of_plain - 0.1


def test_logits_are_finite_float32_of_the_leading_axes(strategy: Strategy) -> None:
    logits = strategy.logit(linear_pairs(seed=1).features.reshape(60, 30, 4))
    assert logits.shape == (60, 30)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()


def test_a_block_of_pairs_scores_as_each_pair_alone(strategy: Strategy) -> None:
    features = linear_pairs(seed=1).features[:7]
    alone = np.concatenate([strategy.logit(features[row : row + 1]) for row in range(7)])
    np.testing.assert_allclose(strategy.logit(features), alone, rtol=1e-5, atol=1e-6)


def test_the_column_that_tells_most_weighs_most(strategy: Strategy) -> None:
    weights = strategy.weights()
    assert weights.shape == (4,)
    assert np.abs(weights).argmax() == 0


def test_a_loaded_strategy_scores_equally(strategy: Strategy, tmp_path: Path) -> None:
    strategy.save(tmp_path)
    features = linear_pairs(seed=1).features
    np.testing.assert_array_equal(type(strategy).load(tmp_path).logit(features), strategy.logit(features))


def test_what_a_bundle_carries_scores_as_the_strategy_does(strategy: Strategy) -> None:
    parts = parts_of(strategy.fitted())
    assert all(len(name) <= 16 for part in parts for name in part.arrays())
    running = from_parts([part.name for part in parts], [part.arrays() for part in parts])
    features = linear_pairs(seed=1).features
    assert (running.name, running.n_features) == (strategy.name, 4)
    np.testing.assert_allclose(running.logit(features), strategy.logit(features), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", MAKERS)
def test_the_same_seed_gives_the_same_logits(name: str) -> None:
    pairs = linear_pairs()
    first, second = fitted(MAKERS[name], pairs), fitted(MAKERS[name], pairs)
    np.testing.assert_array_equal(first.logit(pairs.features), second.logit(pairs.features))


@pytest.mark.parametrize("name", [*NON_LINEAR, "super_stacking"])
def test_what_no_line_tells_apart_is_learned(name: str) -> None:
    others = striped_pairs(seed=1)
    logits = fitted(MAKERS[name], striped_pairs()).logit(others.features)
    linear = fitted(Stacking, striped_pairs()).logit(others.features)
    assert auc(logits, others.labels) > 0.85 > 0.6 > auc(linear, others.labels)


def test_bagging_is_steadier_than_one_tree() -> None:
    others = linear_pairs(seed=1)
    bagged, single = (
        auc(fitted(make, linear_pairs()).logit(others.features), others.labels)
        for make in (
            lambda: Bagging(n_trees=20, min_leaf_pairs=2),
            lambda: DecisionTree(min_leaf_pairs=2, max_depth=30),
        )
    )
    assert bagged > single + 0.03


def test_a_pure_leaf_is_not_certain() -> None:
    labels = np.arange(400) >= 200
    features = labels[:, None].astype(np.float32)
    logits = DecisionTree(min_leaf_pairs=1).fit(features, labels, np.arange(400), seed=0).logit(features)
    # Two imagined pairs at the overall rate of one half: 1 of 202 and 201 of 202.
    np.testing.assert_allclose(np.unique(logits), [-np.log(201), np.log(201)], rtol=1e-5)


def test_adaboost_votes_as_scikit_learns() -> None:
    labels = linear_pairs().log_odds > -2.0
    features, rate = linear_pairs().features, labels.mean()
    even = np.where(labels, 0.5 / labels.sum(), 0.5 / (~labels).sum())
    reference = AdaBoostClassifier(
        DecisionTreeClassifier(max_depth=3), n_estimators=10, learning_rate=0.5, random_state=3
    ).fit(features, labels, even)
    # Its decision function is normalised by the weights, and counts each vote for one label and against the other.
    votes = reference.decision_function(features) * reference.estimator_weights_.sum() / 2
    ours = AdaBoost(n_trees=10).fit(features, labels, np.zeros(len(labels), np.int64), seed=3).logit(features)
    np.testing.assert_allclose(ours, votes + np.log(rate / (1 - rate)), rtol=1e-4, atol=1e-4)


def test_boosting_stops_where_other_people_gain_nothing() -> None:
    pairs = linear_pairs()
    noise = np.random.default_rng(0).permutation(pairs.labels)
    boosting = Boosting(min_leaf_pairs=5).fit(pairs.features, noise, pairs.people, seed=0)
    assert boosting._trees.n_trees < 10


def test_super_stacking_leans_on_the_base_that_is_right() -> None:
    bases: dict[str, Make] = {"tree": lambda: DecisionTree(max_depth=1), "stacking": Stacking}
    pairs = linear_pairs()
    strategy = SuperStacking().over(bases).fit(pairs.features, pairs.labels, pairs.people, seed=0)
    tree_weight, stacking_weight = strategy._combination.weights()
    assert stacking_weight > 3 * abs(tree_weight)
