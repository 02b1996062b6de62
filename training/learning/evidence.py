"""How much each kind of event says about the target: tuned on validation, with the cheapest member that knows pairs.

Item-kNN is fitted on the past with one weight changed at a time; what ranks validation's targets best stays. Nothing
is searched where there are only target events.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.history import EventKind
from training.base.progress import Stages
from training.data.dataset import Interactions
from training.data.evidence import Evidence
from training.data.split import Questions, Split
from training.metrics.protocols import draw_candidates, measure
from training.quality.figures import EvidenceFigures
from training.recipe.settings import TrainingSettings

WEIGHTS = (0.0, 0.03, 0.1, 0.3, 1.0)
"""The weights tried of each kind of event; the first one that is best stays, so nothing counts without a gain."""
WEIGHTS_OF_DISLIKES = (0.0, -0.3, -1.0, 0.3, 1.0)
MAX_QUESTIONS = 1_000
"""The most validation questions on which a weight is tried."""


def with_tuned_evidence(
    split: Split, settings: TrainingSettings, stages: Stages
) -> tuple[Split, EvidenceFigures]:
    """Tune the weights of kinds of events, and give them to both pasts of a split."""
    target = split.dataset.target
    kinds, counts = np.unique(split.past.histories.kinds, return_counts=True)
    others = [EventKind(kind) for kind in kinds[np.argsort(-counts)].tolist() if kind != target]
    tried: dict[str, dict[str, float]] = {}
    weights: dict[EventKind, float] = {}
    if others:
        questions = split.validation.some(MAX_QUESTIONS, settings.seed)
        with stages.stage("evidence", "What kinds of events say") as progress:
            best = _quality(split.past, Evidence.of(target, weights), questions, settings)
            for position, kind in enumerate(others):
                grid = WEIGHTS_OF_DISLIKES if kind == EventKind.DISLIKE else WEIGHTS
                row = {f"{grid[0]:g}": best}
                chosen = grid[0]
                for step, weight in enumerate(grid[1:], 1):
                    progress(
                        (position + step / len(grid)) / len(others), f"{kind.name.lower()} at {weight:g}"
                    )
                    found = _quality(
                        split.past, Evidence.of(target, weights | {kind: weight}), questions, settings
                    )
                    row[f"{weight:g}"] = found
                    if found > best:
                        best, chosen = found, weight
                weights[kind] = chosen
                tried[kind.name.lower()] = row
    evidence = Evidence.of(target, weights)
    if others:
        said = ", ".join(f"{kind.name.lower()} {weight:g}" for kind, weight in weights.items())
        stages.note(f"a {target.name.lower()} is predicted; beside 1 for it, events weigh: {said}")
    tuned = replace(
        split,
        past=replace(split.past, evidence=evidence),
        past_and_validation=replace(split.past_and_validation, evidence=evidence),
    )
    said_weights = {kind.name.lower(): weight for kind, weight in weights.items()}
    return tuned, EvidenceFigures(target.name.lower(), said_weights, tried)


def _quality(
    past: Interactions, evidence: Evidence, questions: Questions, settings: TrainingSettings
) -> float:
    """Return the whole-catalogue NDCG@20 of item-kNN with this evidence."""
    member = replace(settings.knn).fit(replace(past, evidence=evidence), seed=settings.seed)
    candidates = draw_candidates(questions, past.n_items, seed=settings.seed)
    return float(measure(member.score, questions, candidates).catalogue_ndcg.mean())
