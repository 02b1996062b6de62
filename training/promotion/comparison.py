"""Compare a candidate and the bundle in service on the same fresh questions, in pairs, to decide on promotion.

Both answer as in service, each by its own student, with histories up to the slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.bundles.bundle import Bundle
from models.history import History
from training.data.dataset import Dataset
from training.data.split import Questions
from training.members.member import Floats
from training.metrics.metrics import bootstrap_interval
from training.metrics.protocols import draw_candidates, measure

MEASURE = "catalogue_ndcg@20"
"""The metric compared: how near the top of the whole catalogue's ranking the next items of a person are."""


@dataclass(frozen=True)
class Comparison:
    """The comparison of two bundles. candidate, in_service: mean metrics by name.

    difference: of `MEASURE`, candidate minus the one in service, mean over people, with its paired 95 % interval.
    allowed_loss: absolute; the interval must lie above its negative.
    """

    candidate: dict[str, float]
    in_service: dict[str, float]
    difference: float
    interval: tuple[float, float]
    allowed_loss: float
    n_people: int

    @property
    def is_not_worse(self) -> bool:
        """Whether a loss greater than allowed can be excluded."""
        return self.interval[0] >= -self.allowed_loss

    def verdict(self) -> str:
        """Return the verdict in one sentence."""
        low, high = self.interval
        said = (
            f"{MEASURE} differs by {self.difference:+.4f} [{low:+.4f}, {high:+.4f}] on {self.n_people:,} people; "
            f"a loss of {self.allowed_loss:.4f} is allowed"
        )
        if self.is_not_worse:
            return f"not worse: {said}"
        if high < 0:
            return f"worse: {said}"
        return (
            f"not shown to be not worse: {said}, and the interval reaches below; more fresh events narrow it"
        )

    def record(self) -> dict[str, Any]:
        """Return the comparison for promotion.json."""
        return {
            "measure": MEASURE,
            "n_people": self.n_people,
            "candidate": self.candidate,
            "in_service": self.in_service,
            "difference": self.difference,
            "interval": list(self.interval),
            "allowed_loss": self.allowed_loss,
            "is_not_worse": self.is_not_worse,
            "verdict": self.verdict(),
        }


class BundleScores:
    """A bundle's student, scoring in the rows of a data set.

    Items that it does not know have no score, nor have those that it may not recommend, whatever the data set says of
    them now.
    """

    def __init__(self, bundle: Bundle, dataset: Dataset) -> None:
        self._student = bundle.load_student()
        item_ids = dataset.items.ids_of(range(len(dataset.items)))
        self._rows = bundle.items.vocabulary.indices_of(item_ids, unknown="mark")
        self._answered = np.flatnonzero((self._rows >= 0) & bundle.items.available[self._rows])

    def __call__(self, histories: Sequence[History]) -> Floats:
        """Return scores (n_people, n_items) of histories in the data set's rows, NaN for items without a score."""
        own = self._student.catalogue_scores([self._translated(history) for history in histories])
        scores = np.full((len(histories), len(self._rows)), np.nan, np.float32)
        scores[:, self._answered] = own[:, self._rows[self._answered]]
        return scores

    def _translated(self, history: History) -> History:
        rows = self._rows[history.item_indices]
        is_known = rows >= 0
        return History(rows[is_known], history.times[is_known], history.kinds[is_known])


def compare(
    candidate: Bundle, in_service: Bundle, dataset: Dataset, fresh: Questions, *, max_loss: float, seed: int
) -> Comparison:
    """Put the fresh questions to both. max_loss: relative to the quality of the one in service."""
    candidates = draw_candidates(fresh, len(dataset.items), seed=seed)
    ours, theirs = (
        measure(BundleScores(bundle, dataset), fresh, candidates).of_people()
        for bundle in (candidate, in_service)
    )
    differences = ours[MEASURE] - theirs[MEASURE]
    return Comparison(
        _means(ours),
        _means(theirs),
        float(differences.mean()),
        bootstrap_interval(differences, seed=seed),
        max_loss * float(theirs[MEASURE].mean()),
        len(fresh),
    )


def _means(of_people: dict[str, Any]) -> dict[str, float]:
    return {name: float(values.mean()) for name, values in of_people.items()}
