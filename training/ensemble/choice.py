"""Setting `ensemble: auto`: compare all strategies on the same out-of-fold questions, and fit the best on everybody.

The strategy that ranks the catalogue best for people it was not fitted on wins, by NDCG@20 of all their true items:
that is what a shop shows. Its lead over each rival has an interval, so that a reader sees where the choice may have
been luck; with few people to choose on, the simplest that is not surely worse than the best is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from training.base.callback import Progress, no_progress
from training.base.errors import TooLittleData
from training.ensemble.calibration import (
    Calibration,
    Doubles,
    Reliability,
    balanced_weights,
    brier_score,
    reliability,
)
from training.ensemble.catalogue_lists import CatalogueLists
from training.ensemble.cross_fits import Combination, CrossFits, Factory
from training.ensemble.evaluation_pairs import EvaluationPairs
from training.ensemble.strategy import Labels, People, Strategy, Weights
from training.members.member import Floats
from training.metrics import metrics

N_FOLDS = 5
FEW_QUESTIONS = 300
"""The number of questions below which the best is hard to tell from the lucky one."""
SIMPLEST_FIRST = (
    *("average", "stacking", "tree", "bagging", "boosting", "adaboost", "neural_stacking"),
    "super_stacking",
)


@dataclass(frozen=True)
class Standing:
    """The performance of one strategy on people that it was not fitted on.

    accuracy, auc, brier, ece: on balanced pairs, with threshold and calibration from the other folds. ndcg: NDCG@20
    over the catalogue's candidates or, if none were given, NDCG@10 among drawn negatives; mean over questions.
    reliability: of the calibrated probabilities. seconds: mean time of a fit on all folds but one. peak_memory_bytes:
    the largest that such a fit needed beside its input. lead_of_best: NDCG of the chosen one minus this one's, with
    its paired 95 % interval over questions; both are 0 for the chosen one.
    """

    accuracy: float
    auc: float
    ndcg: float
    brier: float
    ece: float
    reliability: Reliability
    seconds: float
    peak_memory_bytes: int
    lead_of_best: float
    lead_interval: tuple[float, float]


@dataclass(frozen=True)
class StrategyChoice:
    """The chosen strategy, ready to use, and the reasons for it.

    strategy: fitted on everybody. calibration: fitted to its logits. margin, margin_interval: its lead over the
    second best, None if there is no other. logits: out of fold, of every pair, (n_pairs,) float32.
    """

    name: str
    strategy: Strategy
    calibration: Calibration
    margin: float | None
    margin_interval: tuple[float, float] | None
    standings: dict[str, Standing]
    logits: Floats


def choose_strategy(
    candidates: Mapping[str, Factory],
    features: Floats,
    labels: Labels,
    people: People,
    *,
    seed: int,
    weights: Weights | None = None,
    catalogue: CatalogueLists | None = None,
    n_folds: int = N_FOLDS,
    progress: Progress = no_progress,
) -> StrategyChoice:
    """Cross-fit every candidate strategy in folds by person, compare them, and fit the best on everybody.

    candidates: factories of unfitted strategies by name; a combination's base that has the name of a candidate is
    that candidate. features, labels, people, weights: as in `Strategy.fit`. Raises TooLittleData if fewer people than
    there are folds have pairs of both labels.

    Comparing all six on 312,000 pairs of 30 features took 54 s on one core with three folds; five folds need 2.3
    times as many fits.
    """
    evaluation_pairs = EvaluationPairs.draw(labels, people, np.random.default_rng(seed), weights)
    if len(evaluation_pairs) < n_folds:
        raise TooLittleData(
            f"{len(evaluation_pairs)} people have both taken and other items to choose an ensemble on, and "
            f"{n_folds} folds need one each; name a strategy instead of auto, or give a longer validation slice"
        )
    fits = CrossFits(
        _with_bases(candidates), features, labels, people, n_folds=n_folds, seed=seed, weights=weights
    )
    steps = [(name, fold) for name in candidates for fold in range(n_folds)]
    for position, (name, fold) in enumerate(steps):
        progress(position / len(steps), f"{name}, fold {fold + 1} of {n_folds}")
        fits.without(name, fold)
    logits = {name: fits.logits(name) for name in candidates}
    if catalogue is None:
        ndcgs = {name: evaluation_pairs.ndcg(each) for name, each in logits.items()}
    else:
        ndcgs = {
            name: catalogue.ndcg(fits.logits_of(name, catalogue.features, catalogue.people))
            for name in candidates
        }
    best, *others = _by_merit(ndcgs, seed)
    standings = {
        name: _standing(fits, evaluation_pairs, name, logits[name], ndcgs[best], ndcgs[name], seed)
        for name in candidates
    }
    progress(1.0, f"{best} on everybody")
    return StrategyChoice(
        best,
        fits.without(best).strategy,
        Calibration.fitted_on(logits[best], labels, balanced_weights(labels, people, weights)),
        standings[others[0]].lead_of_best if others else None,
        standings[others[0]].lead_interval if others else None,
        standings,
        logits[best],
    )


def _by_merit(ndcgs: Mapping[str, Doubles], seed: int) -> list[str]:
    """Order strategies from the best on; the first given wins a tie.

    With fewer than `FEW_QUESTIONS`, the simplest comes first of those that are not surely worse than the best.
    """
    best, *others = sorted(ndcgs, key=lambda name: -ndcgs[name].mean())
    if len(ndcgs[best]) >= FEW_QUESTIONS:
        return [best, *others]
    near = [
        name
        for name in SIMPLEST_FIRST
        if name in ndcgs and metrics.bootstrap_interval(ndcgs[best] - ndcgs[name], seed=seed)[0] <= 0
    ]
    chosen = near[0] if near else best
    return [chosen, *(name for name in (best, *others) if name != chosen)]


def _with_bases(candidates: Mapping[str, Factory]) -> dict[str, Factory]:
    """Return the candidates and the bases of the combinations among them."""
    made = [make() for make in candidates.values()]
    combinations = [strategy for strategy in made if isinstance(strategy, Combination)]
    bases = {name: make for each in combinations for name, make in each.bases.items()}
    return {**bases, **candidates}


def _standing(
    fits: CrossFits,
    evaluation_pairs: EvaluationPairs,
    name: str,
    logits: Floats,
    best_ndcg: Doubles,
    ndcg: Doubles,
    seed: int,
) -> Standing:
    rows, labels = evaluation_pairs.balanced, fits.labels[evaluation_pairs.balanced]
    probabilities, is_right = _judged_by_other_folds(fits, evaluation_pairs, logits)
    bins = reliability(probabilities, labels)
    costs = [fits.without(name, fold).cost for fold in range(fits.n_folds)]
    lead = best_ndcg - ndcg
    return Standing(
        accuracy=float(is_right.mean()),
        auc=metrics.auc(logits[rows], labels),
        ndcg=float(ndcg.mean()),
        brier=brier_score(probabilities, labels),
        ece=bins.ece,
        reliability=bins,
        seconds=float(np.mean([cost.seconds for cost in costs])),
        peak_memory_bytes=max(cost.peak_memory_bytes for cost in costs),
        lead_of_best=float(lead.mean()),
        lead_interval=metrics.bootstrap_interval(lead, seed=seed),
    )


def _judged_by_other_folds(
    fits: CrossFits, evaluation_pairs: EvaluationPairs, logits: Floats
) -> tuple[Doubles, Doubles]:
    """Return each balanced pair's probability, and 1 where it is classified right, else 0; both (n_balanced,)."""
    weights = balanced_weights(fits.labels, fits.people, fits.weights)
    rows = evaluation_pairs.balanced
    labels, folds = fits.labels[rows], fits.folds[rows]
    probabilities, is_right = np.empty(len(rows)), np.empty(len(rows))
    for fold in np.unique(folds):
        elsewhere, inside = fits.folds != fold, folds == fold
        calibration = Calibration.fitted_on(logits[elsewhere], fits.labels[elsewhere], weights[elsewhere])
        threshold = metrics.best_threshold(logits[rows[~inside]], labels[~inside])
        probabilities[inside] = calibration.probability(logits[rows[inside]])
        is_right[inside] = metrics.accuracy(logits[rows[inside]], labels[inside], threshold)
    return probabilities, is_right
