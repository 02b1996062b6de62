"""Put one protocol's test questions to every model, once, and compute all metrics from the answers.

What `learning` made goes in; the protocol's part of a run's evaluation comes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.student import Student
from training.base.progress import Stages
from training.data.split import Split
from training.ensemble.calibration import Calibration, Reliability, brier_score, reliability
from training.ensemble.choice import StrategyChoice
from training.learning.fit import SHIPPED, STUDENTS, TUNED, Learned, Taught
from training.metrics.baselines import baselines
from training.metrics.comparison import (
    difference_intervals,
    metrics_table,
    ratio_interval,
    retention_by_people,
)
from training.metrics.protocols import (
    Candidates,
    Outcome,
    ScoreFunction,
    draw_candidates,
    measure,
    touched_shares,
)
from training.metrics.segments import segments
from training.quality.figures import Intervals
from training.quality.schema import (
    CalibrationFigures,
    CalibrationOnTest,
    LeftOutOfQuestions,
    ProtocolQuality,
    Quality,
    ReliabilityBin,
    SplitPortrait,
    Standings,
    StrategyStanding,
)
from training.recipe.settings import TrainingSettings

WITHOUT = "student_without_distillation"


@dataclass(frozen=True)
class Assessment:
    """The answered test.

    outcomes: per model, on the same questions and candidates. shipped: the name of the compressed student among them,
    `SHIPPED` or `TUNED`.
    """

    candidates: Candidates
    scores: dict[str, ScoreFunction]
    outcomes: dict[str, Outcome]
    shipped: str = SHIPPED


def ask_everybody(
    split: Split,
    taught: Taught,
    learned: Learned,
    settings: TrainingSettings,
    stages: Stages,
    others: Mapping[str, ScoreFunction],
    *,
    is_tuned: bool = False,
) -> Assessment:
    """Put the test questions to baselines, members, ensemble, students and others; candidates use the run's seed + 1.

    is_tuned: members had other settings than `train` uses, so nothing measured here is what it ships.
    """
    candidates = draw_candidates(split.test, len(split.dataset.items), seed=settings.seed + 1)
    ensemble, versions, shipped = taught.ensemble, learned.compressed.versions, TUNED if is_tuned else SHIPPED
    scores: dict[str, ScoreFunction] = {
        **baselines(split.past_and_validation, seed=settings.seed),
        **{member.name: member.score for member in (*ensemble.members, *taught.beside)},
        "ensemble": ensemble.score,
        **{
            shipped if name == SHIPPED else name: Student(versions[name]).catalogue_scores
            for name in STUDENTS
        },
        **others,
    }
    outcomes = {}
    with stages.stage("measure", f"Measuring {len(scores)} models on the test") as progress:
        for position, (name, score) in enumerate(scores.items()):
            progress(position / len(scores), name)
            outcomes[name] = measure(score, split.test, candidates)
    return Assessment(candidates, scores, outcomes, shipped)


def protocol_part(
    split: Split, taught: Taught, assessment: Assessment, settings: TrainingSettings
) -> Quality:
    """Compute everything that an evaluation says of one protocol without further learning."""
    outcomes, questions, seed = assessment.outcomes, split.test, settings.seed
    ours = outcomes[assessment.shipped]
    shares = touched_shares(split.past_and_validation)
    protocol = ProtocolQuality(
        metrics_table(outcomes, taught.thresholds, shares),
        describe_split(split),
        {
            name: segments(outcomes[name], questions, split)
            for name in ("popular", "als", "ensemble", assessment.shipped)
            if name in outcomes
        },
    )
    kept = retention_by_people(ours, outcomes["ensemble"], questions, split, seed=seed)
    return Quality(
        protocols={split.protocol: protocol},
        intervals={split.protocol: claims(taught, outcomes, seed, shipped=assessment.shipped)},
        retention={split.protocol: kept},
        strategies={split.protocol: standings(taught.choice, settings)},
        feature_weights={split.protocol: taught.ensemble.feature_weights()},
        calibration={split.protocol: calibration(taught.choice, outcomes["ensemble"])},
    )


def claims(
    taught: Taught, outcomes: Mapping[str, Outcome], seed: int, *, shipped: str = SHIPPED
) -> Intervals:
    """Compute intervals of claimed differences: over each member, over the best of each metric, and of students.

    Members beside the ensemble are included, because the best of all may be one that it does not have.
    """
    members = [member.name for member in (*taught.ensemble.members, *taught.beside)]
    thresholds = taught.thresholds
    intervals = difference_intervals(outcomes, thresholds, "ensemble", members, seed=seed)
    metrics = list(next(iter(intervals.values())))
    table = metrics_table({name: outcomes[name] for name in members}, thresholds)
    best = {metric: max(members, key=lambda name: table[name][metric]) for metric in metrics}
    over_best = {metric: intervals[f"ensemble_minus_{name}"][metric] for metric, name in best.items()}
    intervals["ensemble_minus_best_member"] = over_best
    intervals |= difference_intervals(outcomes, thresholds, "ensemble", [shipped], seed=seed)
    intervals |= difference_intervals(outcomes, thresholds, shipped, ["popular"], seed=seed)
    if WITHOUT in outcomes:
        intervals |= difference_intervals(outcomes, thresholds, "student", [WITHOUT], seed=seed)
    teacher = outcomes["ensemble"].of_people()
    for student in ("student", shipped):
        ours = outcomes[student].of_people()
        intervals[f"{student}_over_ensemble_retention"] = {
            metric: ratio_interval(ours[metric], teacher[metric], seed=seed)
            for metric in ("ndcg@10", "catalogue_ndcg@20")
        }
    return intervals


def standings(choice: StrategyChoice, settings: TrainingSettings) -> Standings:
    """Record how the strategies compared out of fold, and which was chosen."""
    table = {
        name: StrategyStanding(
            accuracy=row.accuracy,
            auc=row.auc,
            ndcg=row.ndcg,
            brier=row.brier,
            ece=row.ece,
            seconds=row.seconds,
            peak_memory_bytes=row.peak_memory_bytes,
            lead_of_best=row.lead_of_best,
            lead_interval=row.lead_interval,
        )
        for name, row in choice.standings.items()
    }
    return Standings(choice.name, choice.margin, choice.margin_interval, settings.n_folds, table)


def calibration(choice: StrategyChoice, ensemble: Outcome) -> CalibrationFigures:
    """Measure whether the ensemble's probability can be trusted: out of fold, and on the test's balanced pairs."""
    fitted: Calibration = choice.calibration
    standing = choice.standings[choice.name]
    probabilities = fitted.probability(ensemble.pair_scores)
    on_test = reliability(probabilities, ensemble.pair_labels)
    return CalibrationFigures(
        slope=fitted.slope,
        intercept=fitted.intercept,
        brier=standing.brier,
        ece=standing.ece,
        bins=bins(standing.reliability),
        test=CalibrationOnTest(brier_score(probabilities, ensemble.pair_labels), on_test.ece, bins(on_test)),
    )


def bins(found: Reliability) -> list[ReliabilityBin]:
    """Return the rows of a reliability plot."""
    columns = zip(found.predicted.tolist(), found.observed.tolist(), found.n_pairs.tolist(), strict=True)
    return [ReliabilityBin(*row) for row in columns]


def describe_split(split: Split) -> SplitPortrait:
    """Describe how much was evaluated, and where time was cut."""
    is_new = split.is_new[split.test.user_indices]
    return SplitPortrait(
        n_people=len(split.dataset.people),
        n_items=len(split.dataset.items),
        n_events=len(split.dataset.histories.item_indices),
        n_validation_people=len(np.unique(split.validation.user_indices)),
        n_validation_questions=len(split.validation),
        n_test_people=len(split.test),
        n_test_truth=sum(len(truth) for truth in split.test.truth),
        n_new_people=int(is_new.sum()),
        n_recommendable_items=int(split.dataset.catalogue.recommendable.sum()),
        left_out=LeftOutOfQuestions(split.validation.left_out, split.test.left_out),
        cuts=split.cuts,
    )
