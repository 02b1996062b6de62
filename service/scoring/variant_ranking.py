"""Answers from the ensemble or one member, for arms of an experiment: scores the whole catalogue, then masks it.

The student searches an index; these variants have none, so an answer takes milliseconds, growing with the catalogue.
A bundle carries them only up to a number of items (`max_variant_items` of training's settings).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from models.bundles.variants import best_items
from models.history import History
from models.scan import Ranked
from models.student import Floats
from service.bundles.serving import ServingBundle
from service.contract.errors import NoOpinion, StageFailed, VariantFailed
from service.scoring.masks import Masks

logger = logging.getLogger(__name__)


def rank_by_variant(
    serving: ServingBundle, variant: str, queries: Sequence[tuple[History, Masks, int]]
) -> list[Ranked | StageFailed]:
    """Return the best items of each (history, masks, limit), (1, limit) both, or why there are none.

    A failure concerns its own question only: others of the batch are answered. A score of NaN is no opinion, and an
    item without an opinion is never answered.
    """
    variants = serving.variants
    if variants is None:
        failure = VariantFailed(f"the ensemble of bundle {serving.version} is not loaded; see the log")
        return [failure] * len(queries)
    try:
        scores = variants.score(variant, [history for history, _, _ in queries])
    except Exception as error:  # onnxruntime's errors have no common base class
        logger.exception("bundle %s could not answer as %s", serving.version, variant)
        failure = VariantFailed(f"{variant} of bundle {serving.version} could not score")
        failure.__cause__ = error
        return [failure] * len(queries)
    return [_best(variant, own, masks, limit) for own, (_, masks, limit) in zip(scores, queries, strict=True)]


def _best(variant: str, scores: Floats, masks: Masks, limit: int) -> Ranked | StageFailed:
    if not np.isfinite(scores).any():
        return NoOpinion(f"{variant} has no opinion for this person")
    return best_items(scores, limit, (masks.own, masks.excluded), masks.allowed)
