"""What neural stacking is beside logistic stacking; what both owe as strategies is in test_strategies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

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
