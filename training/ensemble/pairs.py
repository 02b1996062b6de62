"""Labelled pairs from events that the members have not seen; strategies are fitted and compared on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.ensemble.meta_features import meta_features
from models.ensemble.opinions import Indices, Opinions
from models.history import History
from training.base.callback import Progress, no_progress
from training.data.split import Questions
from training.ensemble.item_timeline import ItemTimeline
from training.ensemble.strategy import Labels, People
from training.members.member import Floats, Member
from training.metrics.protocols import recommendable_items

MOST_AT_ONCE = 128
"""The most people described together."""
SCORES_AT_ONCE = 4_000_000
"""The most scores of one member at once: above 31,250 items, fewer people fit. Eight members take 130 MB."""


@dataclass(frozen=True)
class Pairs:
    """Described pairs. features: (n_pairs, n_features) float32. labels, people: (n_pairs,); one number per person."""

    features: Floats
    labels: Labels
    people: People

    def __len__(self) -> int:
        return len(self.labels)


def people_at_once(n_items: int) -> int:
    """Return how many people are described together in a catalogue of this size."""
    return max(1, min(MOST_AT_ONCE, SCORES_AT_ONCE // max(n_items, 1)))


def describe_pairs(
    members: Sequence[Member],
    timeline: ItemTimeline,
    questions: Questions,
    *,
    n_negatives: int,
    seed: int,
    progress: Progress = no_progress,
) -> Pairs:
    """Describe and label pairs of one question and one unseen item: its true items and `n_negatives` drawn negatives.

    Negatives are drawn uniformly from what else may be recommended. Harder negatives, unless weighed back, make the
    logit a worse ranking of the whole catalogue.
    """
    rng = np.random.default_rng(seed)
    features, labels, people = [], [], []
    n_at_once = people_at_once(timeline.n_items)
    for start in range(0, len(questions), n_at_once):
        chunk = questions.take(np.arange(start, min(start + n_at_once, len(questions))))
        opinions = [Opinions.of(member.score(chunk.histories), chunk.histories) for member in members]
        drawn = [
            _drawn_negatives(
                truth, history, recommendable_items(questions, timeline.n_items), n_negatives, rng
            )
            for truth, history in zip(chunk.truth, chunk.histories, strict=True)
        ]
        n_pairs = [len(truth) + len(negatives) for truth, negatives in zip(chunk.truth, drawn, strict=True)]
        is_pair = np.arange(max(n_pairs)) < np.array(n_pairs)[:, None]
        items = np.zeros(is_pair.shape, np.int32)  # (n_people, the largest n_pairs)
        items[is_pair] = np.concatenate(
            [part for pair in zip(chunk.truth, drawn, strict=True) for part in pair]
        )
        features.append(meta_features(opinions, chunk.histories, timeline, items)[is_pair])
        n_true = np.array([len(truth) for truth in chunk.truth])
        labels.append((np.arange(is_pair.shape[1]) < n_true[:, None])[is_pair])
        people.append(np.repeat(chunk.user_indices.astype(np.int64), n_pairs))
        progress(min(1.0, (start + n_at_once) / len(questions)), f"{start + len(chunk):,} questions")
    return Pairs(np.concatenate(features), np.concatenate(labels), np.concatenate(people))


def _drawn_negatives(
    truth: Indices,
    history: History,
    is_other: npt.NDArray[np.bool_],
    n_drawn: int,
    rng: np.random.Generator,
) -> Indices:
    """Draw at most `n_drawn` distinct items that are neither true nor in the history.

    is_other: (n_items,), the items to draw from; it is written into.
    """
    is_other[truth] = is_other[history.item_indices] = False
    others = np.flatnonzero(is_other)
    return rng.choice(others, min(n_drawn, len(others)), replace=False)
