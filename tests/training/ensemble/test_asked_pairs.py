from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from training.ensemble.asked_pairs import AskedPairs

LABELS = np.array([True, False, False, True, False, True, False])
PEOPLE = np.array([1, 1, 1, 1, 2, 3, 3])
LOGITS = np.array([5, 4, 1, 2, 9, 0, 1], np.float32)


@pytest.fixture
def asked() -> AskedPairs:
    return AskedPairs.draw(LABELS, PEOPLE, np.random.default_rng(0))


def test_people_with_one_label_are_not_asked(asked: AskedPairs) -> None:
    assert len(asked) == 2


def test_each_taken_pair_is_ranked_against_its_persons_others(asked: AskedPairs) -> None:
    # Person 1 took what stands first and, of the others' 4 and 1, second; person 3 what stands second.
    second = 1 / np.log2(3)
    np.testing.assert_allclose(asked.ndcg(LOGITS), [(1 + second) / 2, second])


def test_auc_is_scikit_learns_person_by_person(asked: AskedPairs) -> None:
    expected = [roc_auc_score(LABELS[person == PEOPLE], LOGITS[person == PEOPLE]) for person in (1, 3)]
    np.testing.assert_allclose(asked.auc(LOGITS), expected)


def test_balanced_pairs_are_half_taken_for_each_person(asked: AskedPairs) -> None:
    for person, n_pairs in ((1, 4), (2, 0), (3, 2)):
        labels = LABELS[asked.balanced[PEOPLE[asked.balanced] == person]]
        assert (len(labels), labels.sum()) == (n_pairs, n_pairs // 2)


def test_at_most_99_others_are_ranked_against() -> None:
    labels = np.arange(300) == 0
    asked = AskedPairs.draw(labels, np.zeros(300, np.int64), np.random.default_rng(0))
    assert len(np.unique(asked.others[0])) == 99
    assert len(asked.balanced) == 2


def test_balanced_pairs_are_as_few_as_the_rarer_label() -> None:
    labels = np.arange(10) < 7
    asked = AskedPairs.draw(labels, np.zeros(10, np.int64), np.random.default_rng(0))
    assert (len(asked.balanced), labels[asked.balanced].sum()) == (6, 3)
