"""What neural stacking is beside logistic stacking; what both owe as strategies is in test_strategies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from models.ensemble.meta_features import OWN_FEATURES, are_own
from tests.support.pairs import Pairs, linear_pairs, striped_pairs
from training.base.errors import NotFinite
from training.ensemble.evaluation_pairs import EvaluationPairs
from training.ensemble.neural_stacking import NeuralStacking
from training.ensemble.stacking import Stacking
from training.ensemble.strategy import Strategy


def fitted(strategy: Strategy, pairs: Pairs, *, seed: int = 0) -> Strategy:
    return strategy.fit(pairs.features, pairs.labels, pairs.people, seed=seed)


def ndcg(strategy: Strategy, pairs: Pairs) -> float:
    evaluation_pairs = EvaluationPairs.draw(pairs.labels, pairs.people, np.random.default_rng(0))
    return float(evaluation_pairs.ndcg(strategy.logit(pairs.features)).mean())


def test_lists_that_no_line_orders_are_ordered_better() -> None:
    pairs, others = striped_pairs(), striped_pairs(seed=1)
    neural, linear = fitted(NeuralStacking(n_hidden=16), pairs), fitted(Stacking(), pairs)
    assert ndcg(neural, others) > ndcg(linear, others) + 0.15


def test_where_a_line_is_the_truth_few_pairs_lead_little_astray() -> None:
    few, others = linear_pairs(n_people=12), linear_pairs(seed=1)
    assert ndcg(fitted(NeuralStacking(), few), others) > ndcg(fitted(Stacking(), few), others) - 0.03


def pairs_with_own_items(seed: int) -> tuple[Pairs, np.ndarray]:
    """Own items far from 0 are taken again, on either side; there are few of them among very many others.

    Returns the pairs, and what each of them stands for.
    """
    rng = np.random.default_rng(seed)
    n_people, n_own, n_others = 60, 20, 40
    is_own = np.tile(np.arange(n_own + n_others) < n_own, n_people)
    people = np.repeat(np.arange(n_people), n_own + n_others)
    features = np.zeros((len(people), 1 + len(OWN_FEATURES)), np.float32)
    features[:, 0] = rng.normal(size=len(people))
    features[:, 1] = is_own
    distances = np.where(is_own, np.abs(features[:, 0]), 0.0).reshape(n_people, -1)
    labels = (distances >= np.sort(distances, axis=1)[:, -3:-2]).ravel()
    weights = np.where(is_own & ~labels, 1e-4, 1.0)
    return Pairs(features, labels, people, np.zeros(len(labels))), weights


def test_own_items_are_ordered_among_themselves_however_few_they_are_among_all() -> None:
    def own_ndcg(own_weight: float) -> float:
        (pairs, weights), (others, _) = pairs_with_own_items(0), pairs_with_own_items(1)
        strategy = NeuralStacking(n_hidden=16, own_weight=own_weight)
        strategy.fit(pairs.features, pairs.labels, pairs.people, seed=0, weights=weights)
        own = are_own(others.features)
        among_own = Pairs(others.features[own], others.labels[own], others.people[own], others.log_odds[own])
        return ndcg(strategy, among_own)

    assert 1.0 - own_ndcg(3.0) < 0.5 * (1.0 - own_ndcg(0.0))


def test_a_network_that_has_not_moved_corrects_nothing() -> None:
    pairs = linear_pairs()
    neural = fitted(NeuralStacking(learning_rate=1e-12), pairs).logit(pairs.features)
    np.testing.assert_allclose(neural, fitted(Stacking(), pairs).logit(pairs.features), atol=1e-3)


def test_two_networks_are_averaged() -> None:
    pairs = striped_pairs(n_people=10)
    linear = fitted(Stacking(), pairs).logit(pairs.features)
    one, next_one, both = (
        fitted(NeuralStacking(n_hidden=4, n_networks=n), pairs, seed=seed).logit(pairs.features) - linear
        for n, seed in ((1, 0), (1, 1), (2, 0))
    )
    assert np.abs(one - next_one).max() > 0.1
    np.testing.assert_allclose(both - both.mean(), (one + next_one - (one + next_one).mean()) / 2, atol=0.05)


def test_people_of_whom_nothing_was_taken_teach_no_order_and_stand_in_no_way() -> None:
    pairs = linear_pairs(n_people=20)
    labels = pairs.labels & (pairs.people < 10)
    strategy = NeuralStacking(n_hidden=4).fit(pairs.features, labels, pairs.people, seed=0)
    assert np.isfinite(strategy.logit(pairs.features)).all()


def test_without_a_person_who_has_both_labels_the_line_is_all_there_is() -> None:
    pairs = linear_pairs(n_people=20)
    labels = pairs.people < 10
    neural, linear = (
        strategy.fit(pairs.features, labels, pairs.people, seed=0).logit(pairs.features)
        for strategy in (NeuralStacking(n_hidden=4), Stacking())
    )
    np.testing.assert_allclose(neural, linear, atol=1e-3)


def test_progress_counts_networks() -> None:
    pairs, shares = linear_pairs(n_people=5), []
    NeuralStacking(n_hidden=4, n_networks=2).fit(
        pairs.features,
        pairs.labels,
        pairs.people,
        seed=0,
        progress=lambda share, words: shares.append(share),
    )
    assert shares == [0.5, 1.0]


def test_a_loss_that_is_no_number_names_the_setting_to_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = NeuralStacking._loss

    def diverged(*arguments: Any) -> torch.Tensor:
        return honest(*arguments) * torch.inf

    monkeypatch.setattr(NeuralStacking, "_loss", diverged)
    with pytest.raises(NotFinite, match=r"neural_stacking: the loss is .*lower learning_rate \(0\.003\)"):
        fitted(NeuralStacking(n_hidden=4), linear_pairs(n_people=5))
