"""Soft labels: what the ensemble thinks of candidate lists, written to disk once, read by every epoch.

An example is a history: everybody's whole one, and sub-histories of it (prefixes, and prefixes with holes), so
that short histories and people the student never saw are learned too. Its candidates are the ensemble's top
unseen items and uniform ones. Written by chunk, so memory does not grow with the number of examples.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import Field
from pydantic.dataclasses import dataclass as settings_dataclass

from models.histories import Histories
from models.history import History
from training.ensemble.ensemble import CHUNK, Ensemble
from training.members.member import Progress
from training.strict import STRICT


@settings_dataclass(config=STRICT, frozen=True)
class LabelSettings:
    """How many examples are labelled, and how many candidates of each."""

    n_copies: int = Field(
        default=7, ge=0, le=100, description="Sub-histories a person, beside the whole one."
    )
    n_top: int = Field(default=256, ge=1, le=10_000, description="Candidates from the ensemble's top.")
    n_uniform: int = Field(default=256, ge=1, le=10_000, description="Candidates drawn uniformly.")
    max_examples: int = Field(
        default=60_000, ge=100, le=10**8, description="Examples at most; beyond, people are sampled."
    )


@dataclass(frozen=True)
class SoftLabels:
    """Examples and the ensemble's opinion of their candidates.

    histories: (n_examples) rows. next_items: per example what the person touched next, -1 padded, (n_examples, 5).
    candidates: (n_examples, n_candidates) int32. logits: the same shape, float16; -inf where the item was seen.
    """

    histories: list[History]
    next_items: npt.NDArray[np.int32]
    candidates: npt.NDArray[np.int32]
    logits: npt.NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.histories)


N_NEXT = 5


def label_examples(
    ensemble: Ensemble,
    histories: Histories,
    settings: LabelSettings,
    folder: Path,
    *,
    seed: int,
    progress: Progress,
) -> SoftLabels:
    """Cut examples out of everybody's history and let the ensemble score their candidates."""
    rng = np.random.default_rng(seed)
    examples, next_items = cut_examples(histories, settings, rng)
    n_items = len(ensemble.item_features.values)
    n_top, n_uniform = min(settings.n_top, n_items), min(settings.n_uniform, n_items)
    shape = (len(examples), n_top + n_uniform)
    folder.mkdir(parents=True, exist_ok=True)
    candidates = np.lib.format.open_memmap(folder / "candidates.npy", "w+", np.int32, shape)
    logits = np.lib.format.open_memmap(folder / "logits.npy", "w+", np.float16, shape)
    for start in range(0, len(examples), CHUNK):
        chunk = slice(start, start + CHUNK)
        scores = ensemble.score(examples[chunk])
        top = np.argpartition(-scores, n_top - 1, axis=1)[:, :n_top]
        uniform = rng.integers(0, n_items, (len(scores), n_uniform))
        candidates[chunk] = np.concatenate([top, uniform], axis=1)
        logits[chunk] = np.take_along_axis(scores, candidates[chunk], axis=1)
        progress(
            min(1.0, (start + CHUNK) / len(examples)), f"{min(start + CHUNK, len(examples)):,} histories"
        )
    return SoftLabels(examples, next_items, candidates, logits)


def cut_examples(
    histories: Histories, settings: LabelSettings, rng: np.random.Generator
) -> tuple[list[History], npt.NDArray[np.int32]]:
    """Everybody's whole history, and `n_copies` sub-histories of people with two or more items.

    Half of the copies are plain prefixes, half also lose a third of their events. The next items are known for
    sub-histories only. Returns the examples and (n_examples, N_NEXT) int32, -1 padded.
    """
    people = [row for row, history in enumerate(histories) if len(history)]
    n_people = max(1, settings.max_examples // (1 + settings.n_copies))
    if len(people) > n_people:
        people = sorted(rng.choice(people, n_people, replace=False).tolist())
    examples: list[History] = []
    next_items: list[list[int]] = []
    for row in people:
        history = histories[row].distinct()
        examples.append(history)
        next_items.append([])
        for copy in range(settings.n_copies if len(history) > 1 else 0):
            end = _prefix_length(len(history), rng)
            keep = np.arange(end)
            if copy % 2 and end > 2:
                keep = np.flatnonzero(rng.random(end) > 1 / 3)
            examples.append(_events(history, keep))
            next_items.append(history.item_indices[end : end + N_NEXT].tolist())
    padded = np.full((len(examples), N_NEXT), -1, np.int32)
    for row, items in enumerate(next_items):
        padded[row, : len(items)] = items
    return examples, padded


def _prefix_length(n_events: int, rng: np.random.Generator) -> int:
    """Between 1 and n_events - 1, log-uniform: short histories are as frequent as long ones."""
    return int(np.clip(np.exp(rng.uniform(0.0, np.log(n_events))), 1, n_events - 1))


def _events(history: History, keep: npt.NDArray[np.int64]) -> History:
    return History(history.item_indices[keep], history.times[keep], history.kinds[keep])
