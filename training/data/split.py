"""The split by time: one past for everybody, then the validation slice, then the test slice.

    ───────── past ─────────┤ validation ├── test ──►  time
    members fit here          ensemble       figures
                              fits here      come from here

A slice asks what a shop lives with: given all events before a moment, what new items does a person take next?
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.histories import Histories
from models.history import History
from training.data.dataset import Dataset, Interactions
from training.errors import TooLittleData

MIN_QUESTIONS = 20
"""Fewer people than this with something to predict make every figure noise."""


@dataclass(frozen=True)
class Questions:
    """What is asked of a model on one slice: from this history, which items come next?

    user_indices: (n_people,) int32. histories: events before the slice, not empty.
    truth: per person the item indices first touched in the slice, none of them in the history.
    """

    user_indices: npt.NDArray[np.int32]
    histories: list[History]
    truth: list[npt.NDArray[np.int32]]

    def __len__(self) -> int:
        return len(self.histories)

    def take(self, rows: npt.NDArray[np.int64]) -> Questions:
        """The questions of some rows."""
        return Questions(
            self.user_indices[rows],
            [self.histories[row] for row in rows],
            [self.truth[row] for row in rows],
        )

    def halves(self, rng: np.random.Generator, share: float) -> tuple[Questions, Questions]:
        """Split people at random: `share` of them, and the rest."""
        order = rng.permutation(len(self))
        n_first = round(share * len(self))
        return self.take(np.sort(order[:n_first])), self.take(np.sort(order[n_first:]))


@dataclass(frozen=True)
class Split:
    """The two moments that cut time. validation_start < test_start, Unix seconds."""

    dataset: Dataset
    validation_start: int
    test_start: int

    def past(self) -> Interactions:
        """Events before validation: what members see while the ensemble is fitted."""
        return interactions_before(self.dataset, self.validation_start)

    def past_and_validation(self) -> Interactions:
        """Events before the test slice: what the final members see."""
        return interactions_before(self.dataset, self.test_start)

    def validation(self) -> Questions:
        """Asked while fitting: choices, thresholds and the ensemble come from here."""
        return questions_between(self.dataset, self.validation_start, self.test_start)

    def test(self) -> Questions:
        """Asked once, at the end."""
        return questions_between(self.dataset, self.test_start, np.iinfo(np.int64).max)


def split_by_time(dataset: Dataset, *, validation_share: float, test_share: float) -> Split:
    """Cut time so that the last `test_share` of all events are test, `validation_share` before them validation.

    Raises TooLittleData where a slice would ask fewer than `MIN_QUESTIONS` people.
    """
    times = np.sort(dataset.histories.times)
    validation_start = int(times[int(len(times) * (1 - test_share - validation_share))])
    test_start = int(times[int(len(times) * (1 - test_share))])
    split = Split(dataset, validation_start, test_start)
    for name, questions in (("validation", split.validation()), ("test", split.test())):
        if len(questions) < MIN_QUESTIONS:
            raise TooLittleData(
                f"the {name} slice has {len(questions)} people who return for a new item, at least "
                f"{MIN_QUESTIONS} are needed; bring a longer period or enlarge the slice's share"
            )
    return split


def interactions_before(dataset: Dataset, moment: int) -> Interactions:
    """Everybody's events before a moment; the same rows of people as the data set."""
    histories = dataset.histories
    keep = histories.times < moment
    n_kept_before = np.concatenate([[0], np.cumsum(keep)])
    earlier = Histories(
        n_kept_before[histories.offsets].astype(np.int64),
        histories.item_indices[keep],
        histories.times[keep],
        histories.kinds[keep],
    )
    return Interactions(earlier, dataset.catalogue, moment)


def questions_between(dataset: Dataset, start: int, end: int) -> Questions:
    """Ask everybody who has a history before `start` and touches a new item in [start, end)."""
    user_indices, before, truth = [], [], []
    for user_index, history in enumerate(dataset.histories):
        first, last = np.searchsorted(history.times, [start, end])
        if first == 0 or first == last:
            continue
        past = History(history.item_indices[:first], history.times[:first], history.kinds[:first])
        new = np.setdiff1d(history.item_indices[first:last], past.item_indices)
        if len(new):
            user_indices.append(user_index)
            before.append(past)
            truth.append(new.astype(np.int32))
    return Questions(np.array(user_indices, np.int32), before, truth)
