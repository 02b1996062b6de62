"""A model of repeats with random weights: everything it reads moves what it says."""

from __future__ import annotations

import numpy as np

from models.history import EventKind
from models.item_timeline import ITEM_FEATURES, ItemTimeline
from models.repeats import N_FEATURES, RepeatModel
from models.repurchase import RepurchaseClock


def a_repeat_model(
    n_items: int, *, n_moments: int = 1, seed: int = 0, target: int = EventKind.PURCHASE
) -> RepeatModel:
    """Of as many items, whose last moment is 1,000 days after 1970, and one every 10 days before it."""
    rng = np.random.default_rng(seed)
    values = rng.random((n_moments, n_items, len(ITEM_FEATURES))).astype(np.float16)
    timeline = ItemTimeline(values, 1_000 * 86_400, 10 * 86_400 if n_moments > 1 else 0)
    log_days = rng.normal(2, 1, n_items).astype(np.float32)
    log_days[::3] = np.nan
    clock = RepurchaseClock(log_days, rng.random(n_items).astype(np.float32), np.ones(1, np.float32))
    first, second, last = (
        rng.normal(0, 0.3, shape).astype(np.float32) for shape in ((N_FEATURES, 8), (8, 4), (4, 1))
    )
    biases = [rng.normal(0, 0.1, width).astype(np.float32) for width in (8, 4, 1)]
    layers = first, biases[0], second, biases[1], last, biases[2]
    return RepeatModel(timeline, clock, int(target), layers)
