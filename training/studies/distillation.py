"""Measure what each part of distillation is worth, by short trainings of the student that differ in one thing.

    no_distillation                       what came next alone; nothing of the ensemble
    pointwise                             what came next, and the ensemble's probability item by item
    listwise_T1, _T2, _T4                 the whole loss at several temperatures of the KL
    listwise_alone                        KL and what came next, without the errors of centred scores and level
    own_not_apart                         the whole loss but the KL over own items alone
    candidates_top, _uniform, _mixed_256  lists of equal length from the ensemble's top, from chance, half of each
    candidates_mixed_128, _mixed_512      shorter and longer lists, half of each
    no_subhistories                       whole histories alone, for as many steps

(The numbers are those of 256 + 256 labelled candidates.) All that a variant does not change is as in the settings.
All variants learn from one labelled set: lists are chosen among its columns, so the ensemble scores them once.
Everything is measured on the test questions, and nothing is chosen by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass as plain_dataclass
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from pydantic import Field
from pydantic.dataclasses import dataclass

from models.history import History
from training.base.callback import Progress, no_progress
from training.base.strict import STRICT
from training.data.split import Questions
from training.metrics.protocols import Candidates, Outcome, ScoreFunction, measure
from training.student.distill import DistillSettings
from training.student.soft_labels import SoftLabels
from training.studies.bootstrapped import ratio_of_means

TEMPERATURES = (1.0, 2.0, 4.0)
POINTWISE_WEIGHT = 50.0
"""Weight of the pointwise term, a mean over hundreds of candidates: makes its gradient about as large as the KL's."""
Train = Callable[[SoftLabels, DistillSettings], ScoreFunction]
"""A function that trains a student on labels with these settings, all else fixed, and returns its scores."""


@dataclass(config=STRICT, frozen=True)
class AblationSettings:
    """How short the trainings of the distillation table are; all are equally short."""

    n_epochs: int = Field(
        default=4,
        ge=1,
        le=1000,
        description="Passes over the examples for each variant of the distillation table.",
    )
    max_examples: int = Field(
        default=12_000,
        ge=100,
        le=10**8,
        description="Maximum number of examples per variant, drawn from the labelled ones.",
    )


@plain_dataclass(frozen=True)
class Variant:
    """One row of the table: the labels that the student learns from, and the settings."""

    labels: SoftLabels
    distill: DistillSettings

    def is_same(self, other: Variant) -> bool:
        """Whether training the other variant gives the same student."""
        return self.labels is other.labels and self.distill == other.distill


def ablation(
    variants: Mapping[str, Variant],
    train: Train,
    ensemble: Outcome,
    questions: Questions,
    candidates: Candidates,
    *,
    seed: int,
    progress: Progress = no_progress,
) -> dict[str, dict[str, float]]:
    """Train each variant and measure it on the same questions as the ensemble.

    Returns variant -> ndcg@10, catalogue_ndcg@20; retention_ndcg@10, retention_catalogue_ndcg@20: ratios to the
    ensemble; low, high: the 95 % interval of the latter; ndcg_low, ndcg_high: of the former; seconds: of training.
    """
    table: dict[str, dict[str, float]] = {}
    for position, (name, variant) in enumerate(variants.items()):
        progress(position / len(variants), name)
        twin = next((done for done in table if variants[done].is_same(variant)), None)
        if twin is not None:
            table[name] = dict(table[twin])
            continue
        started = time.perf_counter()
        score = train(variant.labels, variant.distill)
        seconds = time.perf_counter() - started
        table[name] = _row(measure(score, questions, candidates), ensemble, seed) | {"seconds": seconds}
    return table


def variants(
    labels: SoftLabels,
    n_top: int,
    people: Iterable[History],
    distill: DistillSettings,
    settings: AblationSettings,
    *,
    seed: int,
) -> dict[str, Variant]:
    """Return the variants that the labelled set allows, in the order of the report.

    n_top: number of its first columns that are the ensemble's top, in any order. people: the whole histories from
    which its examples were cut.
    """
    rng = np.random.default_rng(seed)
    short = replace(distill, n_epochs=settings.n_epochs)
    some = rows_of(labels, rng.permutation(len(labels))[: settings.max_examples])
    whole_rows = rng.permutation(whole_examples(labels, people))[: settings.max_examples]
    all_losses = {name: Variant(some, loss) for name, loss in losses(short).items()}
    all_lists = {name: Variant(each, short) for name, each in lists(some, n_top).items()}
    if not len(whole_rows):
        return all_losses | all_lists
    # Fewer examples must not mean fewer steps.
    n_passes = round(short.n_epochs * len(some) / len(whole_rows))
    whole = Variant(rows_of(labels, whole_rows), replace(short, n_epochs=n_passes))
    return all_losses | all_lists | {"no_subhistories": whole}


def losses(distill: DistillSettings) -> dict[str, DistillSettings]:
    """Return settings with other terms of the loss, or another temperature."""
    hard_alone = replace(
        distill,
        kl_weight=0.0,
        centred_weight=0.0,
        level_weight=0.0,
        pointwise_weight=0.0,
        own_weight=0.0,
        hard_weight=1.0,
    )
    return {
        "no_distillation": hard_alone,
        "pointwise": replace(hard_alone, hard_weight=distill.hard_weight, pointwise_weight=POINTWISE_WEIGHT),
        **{f"listwise_T{value:g}": replace(distill, temperature=value) for value in TEMPERATURES},
        "listwise_alone": replace(
            distill, centred_weight=0.0, level_weight=0.0, pointwise_weight=0.0, own_weight=0.0
        ),
        "own_not_apart": replace(distill, own_weight=0.0),
    }


def lists(labels: SoftLabels, n_top: int) -> dict[str, SoftLabels]:
    """Return labels with other candidate lists, each a choice of columns, without repetitions."""
    n_uniform = labels.candidates.shape[1] - n_top
    size = min(n_top, n_uniform)
    if size < 2:
        return {}
    return {
        "candidates_top": columns_of(labels, n_top, size, 0),
        "candidates_uniform": columns_of(labels, n_top, 0, size),
        **{
            f"candidates_mixed_{2 * half}": columns_of(labels, n_top, half, half)
            for half in (size // 4, size // 2, size)
            if half
        },
    }


def columns_of(labels: SoftLabels, n_top: int, n_best: int, n_uniform: int) -> SoftLabels:
    """Choose the best `n_best` of each example's first n_top columns, and the first `n_uniform` of the others.

    A shorter list from the ensemble's top is the top of a longer one. For all columns, the labels given are returned.
    """
    if (n_best, n_uniform) == (n_top, labels.candidates.shape[1] - n_top):
        return labels
    best = np.argsort(-labels.logits[:, :n_top].astype(np.float32), axis=1, kind="stable")[:, :n_best]
    uniform = np.broadcast_to(n_top + np.arange(n_uniform), (len(labels), n_uniform))
    columns = np.concatenate([best, uniform], axis=1)
    return replace(
        labels,
        candidates=np.take_along_axis(labels.candidates, columns, axis=1),
        logits=np.take_along_axis(labels.logits, columns, axis=1),
    )


def rows_of(labels: SoftLabels, rows: npt.NDArray[np.int64]) -> SoftLabels:
    """Copy some of the examples into memory."""
    return SoftLabels(
        [labels.histories[row] for row in rows],
        labels.next_items[rows],
        np.asarray(labels.candidates[rows]),
        np.asarray(labels.logits[rows]),
    )


def whole_examples(labels: SoftLabels, people: Iterable[History]) -> npt.NDArray[np.int64]:
    """Return the examples that are a person's whole history, not a sub-history; (n_whole,) rows."""
    whole = {_key(history.distinct()) for history in people if len(history)}
    return np.flatnonzero([_key(history) in whole for history in labels.histories])


def _key(history: History) -> tuple[bytes, bytes]:
    return history.item_indices.tobytes(), history.times.tobytes()


def _row(student: Outcome, ensemble: Outcome, seed: int) -> dict[str, float]:
    ours, theirs = student.of_people(), ensemble.of_people()
    kept = {
        metric: ratio_of_means(ours[metric], theirs[metric], seed=seed)
        for metric in ("ndcg@10", "catalogue_ndcg@20")
    }
    return {
        **{metric: float(ours[metric].mean()) for metric in kept},
        **{f"retention_{metric}": figure.value for metric, figure in kept.items()},
        "low": kept["catalogue_ndcg@20"].low,
        "high": kept["catalogue_ndcg@20"].high,
        "ndcg_low": kept["ndcg@10"].low,
        "ndcg_high": kept["ndcg@10"].high,
    }
