"""Learn how likely an own item is in the next basket (models/repeats.py), from everybody's earlier baskets.

A question is a person's history before a day on which they took something, and its answers are what they took: every
basket but a person's first asks one. Nothing is held out for it and no member is read, so it learns from the very
events that members learn from, and from all of them.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn
from torch.nn import functional as F

from models.history import SECONDS_PER_DAY, History
from models.repeats import N_FEATURES, Layers, RepeatModel, describe_items
from training.base.callback import Progress, no_progress
from training.base.errors import NotFinite
from training.base.strict import STRICT
from training.data.dataset import Interactions
from training.ensemble.item_timeline import ItemTimeline
from training.ensemble.repurchase import fit_clock
from training.members.member import Floats

MIN_POSITIVES = 50
"""The fewest items that came back from which anything is learned; with fewer, all own items are alike."""
TARGETS_ALONE_SHARE = 0.25
"""The share of questions that tell nothing but earlier targets: of some people a shop sends purchases alone."""
MIN_STEPS = 800
"""The least number of training steps: after fewer, the network has not read what tells one item from another."""
SMALLEST_DEVIATION = 1e-3
REPEATS_FILE = "repeats.npz"


@dataclass(config=STRICT, frozen=True)
class RepeatSettings:
    """How much is asked about baskets that came again, and of how large a network."""

    n_hidden: int = Field(
        default=32, ge=1, le=512, description="Units of the first layer; the second has half."
    )
    n_epochs: int = Field(default=6, ge=1, le=100, description="Passes over all questions.")
    batch_size: int = Field(default=1_024, ge=1, le=100_000, description="Own items per step.")
    learning_rate: float = Field(default=3e-3, gt=0, le=1, description="Peak learning rate.")
    l2: float = Field(default=1e-2, ge=0, le=1, description="Weight decay.")
    max_baskets: int = Field(
        default=6, ge=1, le=1_000, description="Baskets of a person that are asked about."
    )
    max_items: int = Field(
        default=1_000_000,
        ge=1_000,
        le=10**8,
        description="Own items that are learned from in all, of people drawn by seed; each takes 130 bytes.",
    )


def fit_repeats(
    interactions: Interactions, settings: RepeatSettings, *, seed: int, progress: Progress = no_progress
) -> RepeatModel:
    """Ask about everybody's earlier baskets, and learn. Raises NotFinite if training diverges."""
    target = int(interactions.evidence.target)
    clock = fit_clock(
        interactions.histories, target, interactions.catalogue.category_codes(), interactions.n_items
    )
    # Whatever moment a model is asked at later, earlier baskets were taken at moments of their own.
    timeline = ItemTimeline.of(replace(interactions, prediction_time="last_event"))
    asked = timeline.latest() if interactions.prediction_time == "now" else timeline
    features, labels = [np.zeros((0, N_FEATURES), np.float32)], [np.zeros(0, np.bool_)]
    n_items = 0
    rng = np.random.default_rng(seed)
    people = rng.permutation(len(interactions.histories))
    for position, person in enumerate(people.tolist()):
        for history, moment, truth in earlier_baskets(
            interactions.histories[person], target, settings.max_baskets
        ):
            if rng.random() < TARGETS_ALONE_SHARE:
                history = _targets_alone(history, target)
            distinct = history.distinct()
            at = timeline.row_at(moment)
            features.append(describe_items(history, distinct, target, clock, timeline.values[at]))
            labels.append(np.isin(distinct.item_indices, truth))
            n_items += len(distinct)
        if n_items >= settings.max_items:
            break
        if position % 1_000 == 0:
            progress(0.5 * position / len(people), f"{n_items:,} own items")
    all_features, all_labels = np.concatenate(features), np.concatenate(labels)
    if min(all_labels.sum(), (~all_labels).sum()) < MIN_POSITIVES:
        return RepeatModel.unlearned(asked)
    with torch.random.fork_rng(devices=[]):
        layers = _learn(all_features, all_labels, settings, seed, progress)
    return RepeatModel(asked, clock, target, layers)


def earlier_baskets(
    history: History, target: int, max_baskets: int
) -> list[tuple[History, int, npt.NDArray[np.int32]]]:
    """Return the history before some of a person's baskets, its moment, and what the basket held.

    A basket is what was taken on one day (UTC); the moment is the day's first second. Of more than max_baskets the
    latest half are asked about, and early ones, ever further apart: else nobody who buys often would tell of short
    histories, and new people have no others. The first basket of all has nothing before it.
    """
    seconds_per_day = int(SECONDS_PER_DAY)
    is_target = history.kinds == target
    days = np.unique(history.times[is_target] // seconds_per_day)
    found = []
    for day in _asked(days[1:], max_baskets).tolist():
        begin, end = np.searchsorted(history.times, [day * seconds_per_day, (day + 1) * seconds_per_day])
        before = History(history.item_indices[:begin], history.times[:begin], history.kinds[:begin])
        truth = history.item_indices[begin:end][is_target[begin:end]]
        found.append((before, day * seconds_per_day, truth))
    return found


def _targets_alone(history: History, target: int) -> History:
    kept = history.kinds == target
    return History(history.item_indices[kept], history.times[kept], history.kinds[kept])


def _asked(days: npt.NDArray[np.int64], n_asked: int) -> npt.NDArray[np.int64]:
    """Return at most n_asked of these days, rising: the latest half, and the 1st, 2nd, 4th, 8th, … of the others."""
    if len(days) <= n_asked:
        return days
    n_early = n_asked // 2
    others, latest = np.split(days, [len(days) - (n_asked - n_early)])
    places = np.unique(np.minimum(2 ** np.arange(min(n_early, 40)) - 1, len(others) - 1))
    return np.append(others[places], latest)


def _learn(
    features: Floats,
    labels: npt.NDArray[np.bool_],
    settings: RepeatSettings,
    seed: int,
    progress: Progress,
) -> Layers:
    """Return the layers of `RepeatModel`, whose first has the standardisation in it."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    mean = features.mean(axis=0)
    scale = (1 / np.maximum(features.std(axis=0), SMALLEST_DEVIATION)).astype(np.float32)
    inputs, truth = torch.from_numpy((features - mean) * scale), torch.from_numpy(labels.astype(np.float32))
    widths = (N_FEATURES, settings.n_hidden, max(1, settings.n_hidden // 2), 1)
    linear = [nn.Linear(*pair) for pair in pairwise(widths)]
    network = nn.Sequential(linear[0], nn.ReLU(), linear[1], nn.ReLU(), linear[2])
    optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.l2)
    n_batches = -(-len(labels) // settings.batch_size)
    n_epochs = max(settings.n_epochs, -(-MIN_STEPS // n_batches))
    n_steps = max(2, n_epochs * n_batches)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=n_steps)
    for epoch in range(n_epochs):
        order = torch.from_numpy(rng.permutation(len(labels)))
        for rows in order.split(settings.batch_size):
            loss = F.binary_cross_entropy_with_logits(network(inputs[rows])[:, 0], truth[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
        progress(0.5 + 0.5 * (epoch + 1) / n_epochs, f"loss {loss.item():.4f}")
    if not torch.isfinite(loss):
        raise NotFinite(f"repeats: the loss is {loss.item()}; lower learning_rate ({settings.learning_rate})")
    arrays = [part.detach().numpy() for layer in linear for part in (layer.weight.T, layer.bias)]
    first, first_bias = arrays[:2]
    arrays[0] = first * scale[:, None]
    arrays[1] = first_bias - (mean * scale) @ first
    first, first_bias, second, second_bias, last, last_bias = (
        np.ascontiguousarray(array, np.float32) for array in arrays
    )
    return first, first_bias, second, second_bias, last, last_bias


def save_repeats(repeats: RepeatModel, folder: Path) -> None:
    """Write the model as one file."""
    arrays: dict[str, Any] = repeats.arrays()
    np.savez(folder / REPEATS_FILE, **arrays)


def load_repeats(folder: Path) -> RepeatModel:
    """Read what `save_repeats` wrote."""
    with np.load(folder / REPEATS_FILE) as arrays:
        return RepeatModel.from_arrays({name: arrays[name] for name in arrays.files})
