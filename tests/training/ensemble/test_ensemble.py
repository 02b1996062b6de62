"""The stack on block data, where the right answer is the person's block."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from models.ensemble import ensemble as ensemble_module
from models.ensemble.meta_features import consensus
from models.history import History
from models.repeats import RepeatModel
from tests.support.blocks import N_ITEMS, block_dataset, block_of_item
from tests.support.pairs import linear_pairs
from training.data.split import Split, split_by_time
from training.ensemble.ensemble import MAX_OWN, Ensemble
from training.ensemble.item_timeline import ItemTimeline
from training.ensemble.pairs import describe_pairs
from training.ensemble.repeats import RepeatSettings, fit_repeats
from training.ensemble.stacking import Stacking
from training.learning.fit import OfAnswers
from training.members.content import Content
from training.members.ease import EASE, VisitEASE
from training.members.factorization import Factorization
from training.members.knn import ItemKNN
from training.members.member import Member
from training.members.popularity import Popularity

N = N_ITEMS + 1


@pytest.fixture(scope="module")
def split() -> Split:
    return split_by_time(block_dataset(), validation_share=0.2, test_share=0.2)


def fitted_members(split: Split) -> list[Member]:
    members: list[Member] = [Popularity(), Content(), Factorization(n_factors=8, l2=1.0)]
    return [member.fit(split.past, seed=0) for member in members]


@pytest.fixture(scope="module")
def ensemble(split: Split) -> Ensemble:
    members, repeats = fitted_members(split), fit_repeats(split.past, RepeatSettings(), seed=0)
    pairs = describe_pairs(members, repeats, split.validation, n_negatives=30, seed=0)
    strategy = Stacking().fit(pairs.features, pairs.labels, pairs.people, seed=0)
    return Ensemble(members, repeats, strategy)


def test_the_top_of_the_list_is_the_persons_block(ensemble: Ensemble, split: Split) -> None:
    questions = split.test
    best = np.argmax(ensemble.score(questions.histories)[:, :N_ITEMS], axis=1)
    right = [block_of_item(item) == user % 4 for item, user in zip(best, questions.user_indices, strict=True)]
    assert np.mean(right) > 0.95


def test_items_of_the_history_have_scores_like_all_others(ensemble: Ensemble, split: Split) -> None:
    assert np.isfinite(ensemble.score(split.test.histories[:1])).all()


def test_strangers_and_new_items_get_finite_scores(ensemble: Ensemble) -> None:
    assert np.isfinite(ensemble.score([History.empty()])).all()


def test_no_people_give_no_rows(ensemble: Ensemble) -> None:
    assert ensemble.score([]).shape == (0, N)


def test_logits_rank_as_probabilities_do(ensemble: Ensemble, split: Split) -> None:
    questions = split.validation
    scores = ensemble.score(questions.histories)
    taken = np.concatenate([scores[row, truth] for row, truth in enumerate(questions.truth)])
    assert np.median(taken) > np.median(scores[np.isfinite(scores)])


def test_a_loaded_ensemble_scores_equally(ensemble: Ensemble, split: Split, tmp_path: Path) -> None:
    ensemble.save(tmp_path)
    histories = split.test.histories[:5]
    np.testing.assert_array_equal(Ensemble.load(tmp_path).score(histories), ensemble.score(histories))


def test_each_feature_has_a_weight(ensemble: Ensemble) -> None:
    weights = ensemble.feature_weights()
    assert weights["als_z"] + weights["als_rank"] + weights["content_z"] + weights["content_rank"] > 0


def test_people_scored_in_parts_are_scored_alike(
    ensemble: Ensemble, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    histories = split.test.histories[:7]
    whole = ensemble.score(histories)
    monkeypatch.setattr(ensemble_module, "PAIRS_AT_ONCE", 3 * N)
    np.testing.assert_allclose(ensemble.score(histories), whole, rtol=1e-4, atol=1e-4)


def test_candidates_have_the_logits_of_their_items(ensemble: Ensemble, split: Split) -> None:
    histories = split.test.histories[:9]
    items, logits = ensemble.score_candidates(histories, 5, 20, np.random.default_rng(0))
    assert items.shape == logits.shape == (9, 25 + MAX_OWN)
    expected = np.take_along_axis(ensemble.score(histories), items, axis=1)
    is_candidate = np.isfinite(logits)
    np.testing.assert_allclose(logits[is_candidate], expected[is_candidate], rtol=1e-4, atol=1e-4)


def test_own_items_are_candidates_in_any_case(ensemble: Ensemble, split: Split) -> None:
    histories = [History.empty(), *split.test.histories[:9]]
    items, logits = ensemble.score_candidates(histories, 5, 20, np.random.default_rng(0))
    own, is_own = items[:, 5:-20], np.isfinite(logits[:, 5:-20])
    for row, history in enumerate(histories):
        assert set(own[row, is_own[row]]) == set(history.distinct().last(MAX_OWN).item_indices)
    assert np.isfinite(np.delete(logits, np.arange(5, 5 + MAX_OWN), axis=1)).all()


def test_where_new_items_are_asked_about_own_ones_are_no_candidates(ensemble: Ensemble, split: Split) -> None:
    histories = split.test.histories[:9]
    items, logits = OfAnswers(ensemble, "leave_out_touched", split.dataset.target).score_candidates(
        histories, 5, 20, np.random.default_rng(0)
    )
    same, of_all = ensemble.score_candidates(histories, 5, 20, np.random.default_rng(0))
    is_seen = np.stack(
        [np.isin(own, history.item_indices) for own, history in zip(items, histories, strict=True)]
    )
    np.testing.assert_array_equal(items, same)
    assert np.isneginf(logits[is_seen]).all()
    np.testing.assert_array_equal(logits[~is_seen], of_all[~is_seen])
    every = OfAnswers(ensemble, "rank", split.dataset.target)
    _, logits = every.score_candidates(histories, 5, 20, np.random.default_rng(0))
    np.testing.assert_array_equal(logits, of_all)


def test_the_first_candidates_are_the_favourites_of_the_members(ensemble: Ensemble, split: Split) -> None:
    histories = split.test.histories[:9]
    n_top = 50  # of 61 items, so that the least liked of them are not far
    items, logits = ensemble.score_candidates(histories, n_top, 20, np.random.default_rng(0))
    opinion = consensus(ensemble.opinions(histories))
    for row in range(len(histories)):
        assert set(items[row, :n_top]) == set(np.argsort(-opinion[row])[:n_top])
    assert np.isfinite(logits[:, :n_top]).all()


def test_the_other_candidates_are_any_items(ensemble: Ensemble, split: Split) -> None:
    items, logits = ensemble.score_candidates(split.test.histories[:40], 0, N, np.random.default_rng(0))
    assert set(items[:, MAX_OWN:].ravel()) == set(range(N))
    assert np.isfinite(logits[:, MAX_OWN:]).all()


def test_a_small_catalogue_is_a_candidate_as_a_whole(ensemble: Ensemble, split: Split) -> None:
    items, _ = ensemble.score_candidates(split.test.histories[:1], 1_000, 1_000, np.random.default_rng(0))
    assert set(items[0, :N]) == set(range(N))
    assert items.shape == (1, 2 * N + MAX_OWN)


def test_the_generator_draws_the_other_candidates(ensemble: Ensemble, split: Split) -> None:
    def drawn(seed: int) -> list[int]:
        items, _ = ensemble.score_candidates(split.test.histories[:1], 3, 20, np.random.default_rng(seed))
        return items[0, 3:].tolist()

    assert drawn(1) == drawn(1) != drawn(2)


def test_visits_say_best_what_goes_with_what_then_ease_then_neighbours(split: Split) -> None:
    knn, ease, visits = (member.fit(split.past, seed=0) for member in (ItemKNN(), EASE(), VisitEASE()))

    def item_items(*members: Member) -> object:
        return Ensemble(
            [*members], RepeatModel.unlearned(ItemTimeline.of(split.past)), Stacking()
        ).item_items()

    assert item_items(ease, visits, knn) is visits.item_items
    assert item_items(knn, ease) is ease.item_items
    assert item_items(Popularity(), knn) is knn.item_items


def test_without_such_a_member_nothing_goes_with_anything(ensemble: Ensemble) -> None:
    nothing = ensemble.item_items()
    assert nothing.shape == (N, N)
    assert not sparse.csr_matrix(nothing).count_nonzero()


def test_stacking_logits_equal_scikit_learns() -> None:
    pairs = linear_pairs()
    scaler = StandardScaler().fit(pairs.features)
    reference = LogisticRegression(max_iter=1000).fit(scaler.transform(pairs.features), pairs.labels)
    ours = Stacking().fit(pairs.features, pairs.labels, pairs.people, seed=0).logit(pairs.features)
    expected = reference.decision_function(scaler.transform(pairs.features))
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-3)
