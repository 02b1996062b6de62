from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from training.ensemble.evaluation_pairs import EvaluationPairs

LABELS = np.array([True, False, False, True, False, True, False])
PEOPLE = np.array([1, 1, 1, 1, 2, 3, 3])
LOGITS = np.array([5, 4, 1, 2, 9, 0, 1], np.float32)


@pytest.fixture
def evaluation_pairs() -> EvaluationPairs:
    return EvaluationPairs.draw(LABELS, PEOPLE, np.random.default_rng(0))


def test_people_with_one_label_are_not_evaluated(evaluation_pairs: EvaluationPairs) -> None:
    assert len(evaluation_pairs) == 2


def test_each_positive_is_ranked_against_its_persons_negatives(evaluation_pairs: EvaluationPairs) -> None:
    # Person 1's positives rank first and, against the negatives' 4 and 1, second; person 3's ranks second.
    second = 1 / np.log2(3)
    np.testing.assert_allclose(evaluation_pairs.ndcg(LOGITS), [(1 + second) / 2, second])


def test_auc_is_scikit_learns_person_by_person(evaluation_pairs: EvaluationPairs) -> None:
    expected = [roc_auc_score(LABELS[person == PEOPLE], LOGITS[person == PEOPLE]) for person in (1, 3)]
    np.testing.assert_allclose(evaluation_pairs.auc(LOGITS), expected)


def test_balanced_pairs_are_half_positive_for_each_person(evaluation_pairs: EvaluationPairs) -> None:
    for person, n_pairs in ((1, 4), (2, 0), (3, 2)):
        labels = LABELS[evaluation_pairs.balanced[PEOPLE[evaluation_pairs.balanced] == person]]
        assert (len(labels), labels.sum()) == (n_pairs, n_pairs // 2)


def test_at_most_99_negatives_are_ranked_against() -> None:
    labels = np.arange(300) == 0
    evaluation_pairs = EvaluationPairs.draw(labels, np.zeros(300, np.int64), np.random.default_rng(0))
    assert len(np.unique(evaluation_pairs.negatives[0])) == 99
    assert len(evaluation_pairs.balanced) == 2


def test_balanced_pairs_are_as_few_as_the_rarer_label() -> None:
    labels = np.arange(10) < 7
    evaluation_pairs = EvaluationPairs.draw(labels, np.zeros(10, np.int64), np.random.default_rng(0))
    assert (len(evaluation_pairs.balanced), labels[evaluation_pairs.balanced].sum()) == (6, 3)
