"""Compare all models on the same questions: a table, and a confidence interval for every difference claimed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from training.data.split import Questions, Split
from training.metrics.metrics import Doubles, bootstrap_interval, bootstrap_means, quantile_interval
from training.metrics.protocols import Outcome
from training.quality.figures import Intervals, Metrics, Retained

RETAINED = ("ndcg@10", "catalogue_ndcg@20", "hr@10")


def metrics_table(
    outcomes: Mapping[str, Outcome], thresholds: Mapping[str, float], touched_shares: Doubles | None = None
) -> dict[str, Metrics]:
    """Return model -> metric -> value; with `touched_shares`, novelty and popularity bias are included."""
    return {name: outcome.summary(thresholds[name], touched_shares) for name, outcome in outcomes.items()}


def difference_intervals(
    outcomes: Mapping[str, Outcome],
    thresholds: Mapping[str, float],
    ours: str,
    others: Iterable[str],
    *,
    seed: int,
) -> Intervals:
    """Return `ours_minus_other` -> metric -> interval of the absolute difference, paired over people."""
    return {
        f"{ours}_minus_{other}": {
            metric: bootstrap_interval(one - another, seed=seed)
            for metric, one, another in _paired(outcomes, thresholds, ours, other)
        }
        for other in others
    }


def retention_by_people(
    student: Outcome, teacher: Outcome, questions: Questions, split: Split, *, seed: int
) -> dict[str, dict[str, Retained]]:
    """Return `retention` of known_people and of new_people; a group with nobody in it is left out."""
    is_new = split.is_new[questions.user_indices]
    groups = {"known_people": ~is_new, "new_people": is_new}
    return {name: retention(student, teacher, rows, seed=seed) for name, rows in groups.items() if rows.any()}


def retention(
    student: Outcome, teacher: Outcome, rows: npt.NDArray[np.bool_], *, seed: int
) -> dict[str, Retained]:
    """Measure, by metric, the share of its teacher's quality that the student keeps on some people.

    rows: (n_people,), which questions count. The value is a ratio of means; low and high are its 95 % interval over
    people.
    """
    ours, theirs = student.of_people(), teacher.of_people()
    table = {}
    for metric in RETAINED:
        kept, whole = ours[metric][rows], theirs[metric][rows]
        low, high = ratio_interval(kept, whole, seed=seed)
        value = float(_ratio(kept.mean(), whole.mean()))
        table[metric] = Retained(value, low, high, int(rows.sum()))
    return table


def ratio_interval(ours: Doubles, theirs: Doubles, *, seed: int) -> tuple[float, float]:
    """Return the 95 % interval of the ratio of two means over the same people; (n_people,) each."""
    our_means, their_means = bootstrap_means(np.stack([ours, theirs]), seed=seed)
    return quantile_interval(_ratio(our_means, their_means))


def _ratio(ours: Doubles, theirs: Doubles) -> Doubles:
    """Divide, treating a teacher that scores 0 as one that scores next to 0, so that nothing is divided by zero."""
    return ours / np.maximum(theirs, 1e-12)


def _paired(
    outcomes: Mapping[str, Outcome], thresholds: Mapping[str, float], ours: str, theirs: str
) -> list[tuple[str, Doubles, Doubles]]:
    one, other = outcomes[ours], outcomes[theirs]
    return [
        ("ndcg@10", one.ndcg, other.ndcg),
        ("catalogue_ndcg@20", one.catalogue_ndcg, other.catalogue_ndcg),
        ("accuracy", one.accuracy_of_people(thresholds[ours]), other.accuracy_of_people(thresholds[theirs])),
    ]
