"""Which candidates are described, where an item's features are its own number and a strategy's logit is that."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.history import Event, History
from training.data.split import Questions
from training.ensemble.stacking import Stacking
from training.members.member import Floats
from training.metrics.protocols import Candidates
from training.studies.candidate_features import CHUNK, CandidateFeatures, describe_candidates

N_ITEMS = 20


class Largest(Stacking):
    """Prefers the item of the largest number."""

    def logit(self, features: Floats) -> Floats:
        return features[..., 0].copy()


def numbered(histories: Sequence[History]) -> Floats:
    return np.tile(np.arange(N_ITEMS, dtype=np.float32)[:, None], (len(histories), 1, 1))


def described(
    truth: list[int], seen: list[int], n_top: int, recommendable: npt.NDArray[np.bool_] | None = None
) -> tuple[CandidateFeatures, CandidateFeatures]:
    history = History.from_events(Event(item, 1) for item in seen)
    taken = np.array(truth, np.int32)
    questions = Questions(np.zeros(1, np.int32), [history], [taken], recommendable=recommendable)
    negatives = np.array([[7, 8, 9]], np.int32)
    return describe_candidates(
        numbered,
        Largest(),
        questions,
        Candidates([taken[:1]], [negatives]),
        n_top=n_top,
    )


def test_sampled_candidates_are_those_of_the_metric() -> None:
    sampled, _ = described(truth=[3, 4], seen=[0], n_top=2)
    assert sampled.features.ravel().tolist() == [3, 7, 8, 9]
    assert sampled.is_true.tolist() == [True, False, False, False]


def test_the_catalogue_is_the_top_of_what_is_unseen_and_the_truth() -> None:
    _, catalogue = described(truth=[3, 18], seen=[19, 16], n_top=3)
    assert catalogue.features.ravel().tolist() == [3, 15, 17, 18]
    assert catalogue.is_true.tolist() == [True, False, False, True]


def test_a_top_longer_than_the_catalogue_is_all_that_is_unseen() -> None:
    _, catalogue = described(truth=[3], seen=[0, 1], n_top=50)
    assert catalogue.features.ravel().tolist() == list(range(2, N_ITEMS))


def test_each_person_is_described_by_their_own_truth_across_chunks() -> None:
    truth = [np.array([row % N_ITEMS], np.int32) for row in range(CHUNK + 2)]
    questions = Questions(np.arange(CHUNK + 2, dtype=np.int32), [History.empty()] * (CHUNK + 2), truth)
    negatives = [np.zeros((1, 1), np.int32)] * (CHUNK + 2)
    for found in describe_candidates(numbered, Largest(), questions, Candidates(truth, negatives), n_top=2):
        assert len(found.n_of_person) == CHUNK + 2
        assert found.features[found.is_true].ravel().tolist() == [row % N_ITEMS for row in range(CHUNK + 2)]


def test_candidates_stay_with_their_person() -> None:
    packed = CandidateFeatures.from_list(
        [
            (np.zeros((2, 1), np.float32), np.array([True, False])),
            (np.zeros((3, 1), np.float32), np.array([False, False, True])),
        ]
    )
    logits = np.array([2, 1, 3, 2, 1], np.float32)
    assert packed.measure(logits, lambda true, others: float((others > true).sum())).tolist() == [0.0, 2.0]


def test_the_top_holds_what_may_be_recommended() -> None:
    _, catalogue = described(truth=[4], seen=[18], n_top=3, recommendable=np.arange(N_ITEMS) % 2 == 0)
    assert catalogue.features.ravel().tolist() == [4, 12, 14, 16]
