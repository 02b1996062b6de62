from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from models.history import History
from tests.support.blocks import N_ITEMS, block_dataset
from training.data.split import Questions, split_by_time
from training.evaluation.protocols import (
    MAX_ASKED,
    Candidates,
    draw_candidates,
    measure,
    opinion_or_last,
    popular_scores,
    random_scores,
)
from training.members.member import Floats

N = N_ITEMS + 1


@pytest.fixture(scope="module")
def questions() -> Questions:
    return split_by_time(block_dataset(), validation_share=0.2, test_share=0.2).test()


@pytest.fixture(scope="module")
def candidates(questions: Questions) -> Candidates:
    return draw_candidates(questions, N, seed=0)


def oracle(questions: Questions, sign: float = 1.0) -> dict[bytes, Floats]:
    """Scores that know the truth, by history."""
    known = {}
    for history, truth in zip(questions.histories, questions.truth, strict=True):
        scores = np.zeros(N, np.float32)
        scores[truth] = sign * np.arange(2, 2 + len(truth))  # distinct: ties among true items cost NDCG
        known[history.item_indices.tobytes()] = scores
    return known


def test_knowing_the_truth_is_perfect(questions: Questions, candidates: Candidates) -> None:
    known = oracle(questions)
    outcome = measure(lambda histories: _look_up(known, histories), questions, candidates)
    figures = outcome.summary(threshold=0.5)
    assert {name: value for name, value in figures.items() if name != "coverage"} == pytest.approx(
        dict.fromkeys(
            ("accuracy", "auc", "hr@10", "ndcg@10", "catalogue_recall@20", "catalogue_ndcg@20"), 1.0
        )
    )


def test_knowing_it_the_wrong_way_round_is_the_worst(questions: Questions, candidates: Candidates) -> None:
    known = oracle(questions, sign=-1.0)
    figures = measure(lambda histories: _look_up(known, histories), questions, candidates).summary(-0.5)
    assert figures["auc"] == figures["hr@10"] == figures["accuracy"] == 0.0


def test_random_scores_get_what_chance_gives(questions: Questions, candidates: Candidates) -> None:
    figures = measure(random_scores(N, seed=1), questions, candidates).summary(0.5)
    assert figures["auc"] == pytest.approx(0.5, abs=0.08)
    assert figures["accuracy"] == pytest.approx(0.5, abs=0.08)
    assert figures["hr@10"] == pytest.approx(0.1, abs=0.06)


def test_a_model_without_opinion_gets_chance_and_not_the_sort_order(
    questions: Questions, candidates: Candidates
) -> None:
    silent = measure(
        lambda histories: np.full((len(histories), N), np.nan, np.float32), questions, candidates
    )
    assert silent.summary(0.0)["auc"] == 0.5
    assert silent.hit.max() == 0.0


def test_candidates_were_never_touched(questions: Questions, candidates: Candidates) -> None:
    for row in range(len(questions)):
        touched = np.concatenate([questions.truth[row], questions.histories[row].item_indices])
        assert not np.isin(candidates.negatives[row], touched).any()
        assert np.isin(candidates.asked[row], questions.truth[row]).all()
        assert len(candidates.asked[row]) <= MAX_ASKED


def test_the_same_seed_asks_the_same(questions: Questions, candidates: Candidates) -> None:
    again = draw_candidates(questions, N, seed=0)
    np.testing.assert_array_equal(again.negatives, candidates.negatives)
    assert not np.array_equal(draw_candidates(questions, N, seed=1).negatives, candidates.negatives)


def test_items_of_the_history_are_no_candidates(questions: Questions, candidates: Candidates) -> None:
    """A model that adores what a person has already is judged on the rest alone."""

    def score(histories: Sequence[History]) -> Floats:
        scores = np.tile(np.arange(N, 0, -1, dtype=np.float32), (len(histories), 1))
        for row, history in enumerate(histories):
            scores[row, history.item_indices] += 1_000
        return scores

    plain = measure(popular_scores(np.arange(N, 0, -1, dtype=np.float32)), questions, candidates)
    np.testing.assert_array_equal(measure(score, questions, candidates).catalogue_ndcg, plain.catalogue_ndcg)


def test_no_opinion_ranks_below_every_opinion() -> None:
    np.testing.assert_array_equal(
        opinion_or_last(np.array([2.0, np.nan, -5.0], np.float32)), [2.0, -6.0, -5.0]
    )


def test_accuracy_of_people_averages_to_accuracy_when_all_are_asked_alike(
    questions: Questions, candidates: Candidates
) -> None:
    outcome = measure(random_scores(N, seed=1), questions, candidates)
    of_people = outcome.accuracy_of_people(0.5)
    weights = np.bincount(outcome.pair_people)
    assert np.average(of_people, weights=weights) == pytest.approx(outcome.summary(0.5)["accuracy"])


def _look_up(known: dict[bytes, Floats], histories: Sequence[History]) -> Floats:
    return np.stack([known[history.item_indices.tobytes()] for history in histories])
