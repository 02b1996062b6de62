"""Cold start of people: quality for the same people and questions as more of their history is known.

The people are new ones, in no fit, with at least as many distinct items as the longest history that is measured. Each
history is cut to its last n items. True items, negatives and masks stay those of the whole history: an item that the
person already has is no candidate at any length, so no point of the curve has easier candidates than another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from models.history import History
from training.data.split import Questions
from training.members.member import Floats
from training.metrics.metrics import Doubles
from training.metrics.protocols import Candidates, ScoreFunction, measure
from training.quality.figures import ColdPoint
from training.quality.schema import ColdPeople, ColdStart
from training.studies.bootstrapped import mean_of_people, ratio_of_means

LENGTHS = (0, 1, 2, 5, 10, 20)
METRICS = ("ndcg@10", "catalogue_ndcg@20")


def people_curve(
    scores: Mapping[str, ScoreFunction],
    questions: Questions,
    candidates: Candidates,
    *,
    lengths: Sequence[int] = LENGTHS,
    seed: int,
) -> ColdStart:
    """Measure each model's quality by number of known items of a new person.

    questions, candidates: of new people only, with their whole histories. The answer is empty if nobody has a history
    that is long enough.
    """
    n_known = np.array([len(history.distinct()) for history in questions.histories])
    rows = np.flatnonzero(n_known >= max(lengths))
    if not len(rows):
        return ColdStart()
    evaluated = questions.take(rows)
    shared = Candidates(
        [candidates.target_items[row] for row in rows], [candidates.negatives[row] for row in rows]
    )
    curves = {
        model: _curve(
            {length: _of_people(told_the_last(score, length), evaluated, shared) for length in lengths}, seed
        )
        for model, score in scores.items()
    }
    return ColdStart(ColdPeople(curves), len(rows))


def told_the_last(score: ScoreFunction, n_items: int) -> ScoreFunction:
    """Give the model only the events with the last `n_items` distinct items of each person."""

    def score_cut(histories: Sequence[History]) -> Floats:
        return score([_of_last_items(history, n_items) for history in histories])

    return score_cut


def _of_last_items(history: History, n_items: int) -> History:
    keep = np.isin(history.item_indices, history.distinct().last(n_items).item_indices)
    return History(history.item_indices[keep], history.times[keep], history.kinds[keep])


def _of_people(score: ScoreFunction, questions: Questions, candidates: Candidates) -> dict[str, Doubles]:
    measured = measure(score, questions, candidates).of_people()
    return {metric: measured[metric] for metric in METRICS}


def _curve(points: Mapping[int, dict[str, Doubles]], seed: int) -> dict[str, ColdPoint]:
    longest = points[max(points)]
    return {str(length): _cell(values, longest, seed) for length, values in points.items()}


def _cell(values: dict[str, Doubles], longest: dict[str, Doubles], seed: int) -> ColdPoint:
    ndcg, catalogue = (mean_of_people(values[metric], seed=seed) for metric in METRICS)
    of_longest = {
        metric: ratio_of_means(values[metric], longest[metric], seed=seed)
        for metric in METRICS
        if longest[metric].any()
    }
    return ColdPoint(ndcg.value, catalogue.value, *ndcg.interval, *catalogue.interval, of_longest)
