from __future__ import annotations

import numpy as np
import pytest

from tests.support.pairs import Pairs, linear_pairs, striped_pairs
from training.base.errors import TooLittleData
from training.ensemble.catalogue_lists import CatalogueLists
from training.ensemble.choice import StrategyChoice, _by_merit, choose_strategy
from training.ensemble.cross_fits import CrossFits, Factory
from training.ensemble.decision_tree import DecisionTree
from training.ensemble.stacking import Stacking
from training.ensemble.super_stacking import SuperStacking

CANDIDATES: dict[str, Factory] = {"tree": lambda: DecisionTree(min_leaf_pairs=20), "stacking": Stacking}
LINEAR, STRIPED = linear_pairs(), striped_pairs()


def chosen(pairs: Pairs, candidates: dict[str, Factory] = CANDIDATES) -> StrategyChoice:
    return choose_strategy(candidates, pairs.features, pairs.labels, pairs.people, seed=0)


@pytest.fixture(scope="module")
def linear() -> StrategyChoice:
    return chosen(LINEAR)


def test_a_line_is_chosen_where_the_truth_is_one(linear: StrategyChoice) -> None:
    assert linear.name == "stacking"


def test_a_tree_is_chosen_where_no_line_tells_them_apart() -> None:
    assert chosen(STRIPED).name == "tree"


def test_the_chosen_one_is_fitted_on_everybody(linear: StrategyChoice) -> None:
    everybody = Stacking().fit(LINEAR.features, LINEAR.labels, LINEAR.people, seed=0)
    np.testing.assert_array_equal(linear.strategy.logit(LINEAR.features), everybody.logit(LINEAR.features))


def test_the_margin_is_the_lead_over_the_second_best(linear: StrategyChoice) -> None:
    standings = linear.standings
    assert linear.margin == pytest.approx(standings["stacking"].ndcg - standings["tree"].ndcg)
    assert linear.margin_interval == standings["tree"].lead_interval
    low, high = standings["tree"].lead_interval
    assert 0 < low < standings["tree"].lead_of_best < high


def test_one_candidate_has_no_margin() -> None:
    only = chosen(LINEAR, {"stacking": Stacking})
    assert (only.name, only.margin, only.margin_interval) == ("stacking", None, None)


def test_figures_are_of_people_not_seen() -> None:
    # A tree that learns every pair by heart would have an AUC of 1 with its own people.
    by_heart: Factory = lambda: DecisionTree(max_depth=30, min_leaf_pairs=1)  # noqa: E731
    standing = chosen(LINEAR, {"tree": by_heart}).standings["tree"]
    assert standing.auc < 0.95
    assert standing.accuracy < 0.9


def test_calibrated_probabilities_are_of_balanced_pairs(linear: StrategyChoice) -> None:
    standing = linear.standings["stacking"]
    n_pairs = standing.reliability.n_pairs
    assert np.average(standing.reliability.observed, weights=n_pairs) == pytest.approx(0.5)
    assert np.average(standing.reliability.predicted, weights=n_pairs) == pytest.approx(0.5, abs=0.02)
    assert standing.ece < 0.06
    assert standing.brier < 0.16


def test_the_calibration_undoes_the_rate_of_the_pairs(linear: StrategyChoice) -> None:
    rate = LINEAR.labels.mean()
    assert linear.calibration.slope == pytest.approx(1.0, abs=0.15)
    assert linear.calibration.intercept == pytest.approx(np.log((1 - rate) / rate), abs=0.3)


def test_a_combination_of_the_candidates_is_a_candidate() -> None:
    stack: Factory = lambda: SuperStacking().over(CANDIDATES)  # noqa: E731
    choice = chosen(STRIPED, {**CANDIDATES, "super_stacking": stack})
    standings = choice.standings
    assert standings["super_stacking"].auc > standings["stacking"].auc + 0.2
    assert standings["super_stacking"].seconds > standings["tree"].seconds


def test_too_few_people_are_refused() -> None:
    few = linear_pairs(n_people=4)
    with pytest.raises(TooLittleData, match="4 people"):
        chosen(few)


def test_with_few_questions_the_simplest_that_is_not_surely_worse_is_taken() -> None:
    rng = np.random.default_rng(0)
    simple = rng.random(100)
    noise = rng.normal(0.0, 0.1, 100)
    near, far = simple + noise - noise.mean() + 0.001, simple + 0.2
    assert _by_merit({"stacking": simple, "boosting": near}, seed=0)[0] == "stacking"
    assert _by_merit({"stacking": simple, "boosting": far}, seed=0) == ["boosting", "stacking"]
    many = {"stacking": np.tile(simple, 5), "boosting": np.tile(simple, 5) + 1e-6}
    assert _by_merit(many, seed=0)[0] == "boosting"


def test_the_catalogue_decides_where_it_is_given() -> None:
    """Of the catalogue's candidates, only what the tree does not see is true."""
    is_true = np.tile([True, False], 60)
    features = np.tile(LINEAR.features[:1], (120, 1))
    features[:, 1] = np.where(is_true, 5.0, -5.0)
    people = np.repeat(np.unique(LINEAR.people)[:60], 2)
    lists = CatalogueLists(features, is_true, people, np.full(60, 2))
    found = choose_strategy(
        CANDIDATES, LINEAR.features, LINEAR.labels, LINEAR.people, seed=0, catalogue=lists
    )
    fits = CrossFits(CANDIDATES, LINEAR.features, LINEAR.labels, LINEAR.people, n_folds=5, seed=0)
    expected = lists.ndcg(fits.logits_of("stacking", features, people)).mean()
    assert found.standings["stacking"].ndcg == pytest.approx(expected)


def test_logits_of_other_pairs_are_of_fits_without_their_people() -> None:
    fits = CrossFits(CANDIDATES, LINEAR.features, LINEAR.labels, LINEAR.people, n_folds=3, seed=0)
    again = fits.logits_of("tree", LINEAR.features, LINEAR.people)
    np.testing.assert_array_equal(again, fits.logits("tree"))
    with pytest.raises(KeyError):
        fits.logits_of("tree", LINEAR.features[:1], np.array([10**6]))
