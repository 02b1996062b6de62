"""All models on the same questions: a table, and an interval for every difference that is claimed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from training.evaluation.metrics import Doubles, bootstrap_interval
from training.evaluation.protocols import Outcome

Table = dict[str, dict[str, float]]
STUDENTS = ("student", "student_int8")


def thresholds_from(validation: Mapping[str, Outcome]) -> dict[str, float]:
    """Thresholds for accuracy per model; the student speaks the ensemble's language and shares its threshold."""
    thresholds = {name: outcome.threshold() for name, outcome in validation.items()}
    return thresholds | dict.fromkeys(STUDENTS, thresholds["ensemble"])


def metrics_table(outcomes: Mapping[str, Outcome], thresholds: Mapping[str, float]) -> Table:
    """model -> metric -> value."""
    return {name: outcome.summary(thresholds[name]) for name, outcome in outcomes.items()}


def claimed_intervals(
    outcomes: Mapping[str, Outcome], thresholds: Mapping[str, float], members: list[str], *, seed: int
) -> dict[str, dict[str, list[float]]]:
    """Paired 95 % bootstrap intervals over people: ensemble minus each member, and what the student retains.

    Differences are absolute; `*_retention` entries are ratios of means, resampled together.
    """
    intervals = {}
    for member in members:
        intervals[f"ensemble_minus_{member}"] = {
            metric: list(bootstrap_interval(ours - theirs, seed=seed))
            for metric, ours, theirs in _paired(outcomes, thresholds, "ensemble", member)
        }
    for student, teacher in (("student", "ensemble"), ("student_int8", "student")):
        intervals[f"{student}_over_{teacher}_retention"] = {
            metric: list(_ratio_interval(ours, theirs, seed=seed))
            for metric, ours, theirs in _paired(outcomes, thresholds, student, teacher)
        }
    return intervals


def _paired(
    outcomes: Mapping[str, Outcome], thresholds: Mapping[str, float], ours: str, theirs: str
) -> list[tuple[str, Doubles, Doubles]]:
    one, other = outcomes[ours], outcomes[theirs]
    return [
        ("ndcg@10", one.ndcg, other.ndcg),
        ("catalogue_ndcg@20", one.catalogue_ndcg, other.catalogue_ndcg),
        ("accuracy", one.accuracy_of_people(thresholds[ours]), other.accuracy_of_people(thresholds[theirs])),
    ]


def _ratio_interval(
    ours: Doubles, theirs: Doubles, *, seed: int, n_resamples: int = 2000
) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    rows = (rng.integers(0, len(ours), len(ours)) for _ in range(n_resamples))
    ratios = [ours[sample].mean() / max(theirs[sample].mean(), 1e-12) for sample in rows]
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(low), float(high)
