"""The stack on block data, where the right answer is the person's block."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.history import History
from tests.support.blocks import N_ITEMS, block_dataset, block_of_item
from training.data.split import Split, split_by_time
from training.ensemble.ensemble import Ensemble, fit_ensemble
from training.ensemble.stacking import Stacking
from training.members.content import Content
from training.members.factorization import Factorization
from training.members.member import Member
from training.members.popularity import Popularity


@pytest.fixture(scope="module")
def split() -> Split:
    return split_by_time(block_dataset(), validation_share=0.2, test_share=0.2)


def fitted_members(split: Split) -> list[Member]:
    members: list[Member] = [Popularity(), Content(), Factorization(n_factors=8, l2=1.0)]
    return [member.fit(split.past(), seed=0) for member in members]


@pytest.fixture(scope="module")
def ensemble(split: Split) -> Ensemble:
    return fit_ensemble(
        fitted_members(split), split.past(), split.validation(), Stacking(), n_negatives=30, seed=0
    )


def test_the_top_of_the_list_is_the_persons_block(ensemble: Ensemble, split: Split) -> None:
    questions = split.test()
    best = np.argmax(ensemble.score(questions.histories)[:, :N_ITEMS], axis=1)
    right = [block_of_item(item) == user % 4 for item, user in zip(best, questions.user_indices, strict=True)]
    assert np.mean(right) > 0.95


def test_items_of_the_history_are_masked(ensemble: Ensemble, split: Split) -> None:
    history = split.test().histories[0]
    scores = ensemble.score([history])[0]
    assert np.isneginf(scores[history.item_indices]).all()
    assert np.isfinite(np.delete(scores, history.item_indices)).all()


def test_strangers_and_new_items_get_finite_scores(ensemble: Ensemble) -> None:
    assert np.isfinite(ensemble.score([History.empty()])).all()


def test_no_people_give_no_rows(ensemble: Ensemble) -> None:
    assert ensemble.score([]).shape == (0, N_ITEMS + 1)


def test_logits_rank_as_probabilities_do(ensemble: Ensemble, split: Split) -> None:
    questions = split.validation()
    scores = ensemble.score(questions.histories)
    taken = np.concatenate([scores[row, truth] for row, truth in enumerate(questions.truth)])
    assert np.median(taken) > np.median(scores[np.isfinite(scores)])


def test_a_loaded_ensemble_scores_equally(ensemble: Ensemble, split: Split, tmp_path: Path) -> None:
    ensemble.save(tmp_path)
    histories = split.test().histories[:5]
    np.testing.assert_array_equal(Ensemble.load(tmp_path).score(histories), ensemble.score(histories))


def test_refitting_members_keeps_the_strategy(ensemble: Ensemble, split: Split) -> None:
    longer = split.past_and_validation()
    refitted = ensemble.refitted_on([member.fit(longer, seed=0) for member in fitted_members(split)], longer)
    assert refitted.strategy is ensemble.strategy
    assert refitted.item_features.until == split.test_start


def test_each_feature_has_a_weight(ensemble: Ensemble) -> None:
    weights = ensemble.feature_weights()
    assert weights["als_z"] + weights["als_rank"] + weights["content_z"] + weights["content_rank"] > 0


def test_stacking_logits_equal_scikit_learns(ensemble: Ensemble) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    features = rng.normal(3.0, 2.0, (200, 4)).astype(np.float32)
    labels = features[:, 0] + rng.normal(0, 1, 200) > 3.0
    scaler = StandardScaler().fit(features)
    reference = LogisticRegression(max_iter=1000).fit(scaler.transform(features), labels)
    ours = Stacking().fit(features, labels, seed=0).logit(features)
    np.testing.assert_allclose(
        ours, reference.decision_function(scaler.transform(features)), rtol=1e-3, atol=1e-3
    )
