"""Labelled pairs from events that the members have not seen; strategies are fitted and compared on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.ensemble.meta_features import meta_features
from models.ensemble.opinions import Indices, Opinions
from models.history import History
from models.repeats import RepeatModel
from training.base.callback import Progress, no_progress
from training.data.split import Questions
from training.ensemble.strategy import Labels, People, Weights
from training.members.member import Floats, Member
from training.metrics.protocols import recommendable_items

MOST_AT_ONCE = 128
"""The most people described together."""
SCORES_AT_ONCE = 4_000_000
"""The most scores of one member at once: above 31,250 items, fewer people fit. Eight members take 130 MB."""


LEAST_WEIGHT = 1e-6
"""What an own item stands for at least, so that a logarithm of it is finite."""


@dataclass(frozen=True)
class Pairs:
    """Described pairs.

    features: (n_pairs, n_features) float32. labels, people: (n_pairs,); one number per person. weights: (n_pairs,),
    how many pairs each stands for; None for 1 each.
    """

    features: Floats
    labels: Labels
    people: People
    weights: Weights | None = None

    def __len__(self) -> int:
        return len(self.labels)


def people_at_once(n_items: int) -> int:
    """Return how many people are described together in a catalogue of this size."""
    return max(1, min(MOST_AT_ONCE, SCORES_AT_ONCE // max(n_items, 1)))


def describe_pairs(
    members: Sequence[Member],
    repeats: RepeatModel,
    questions: Questions,
    *,
    n_negatives: int,
    seed: int,
    progress: Progress = no_progress,
) -> Pairs:
    """Describe and label pairs of one question and one item: its true items and `n_negatives` drawn negatives.

    Negatives are drawn uniformly from what else may be recommended and was not touched. Where own items are answers
    too, up to as many of a person's others are added: they are few in the catalogue and decide the head of a list.
    They are weighed back to the rate at which the rest was drawn, because harder negatives that are not make the
    logit a worse ranking of the whole catalogue.
    """
    rng = np.random.default_rng(seed)
    features, labels, people, weights = [], [], [], []
    n_at_once = people_at_once(repeats.n_items)
    for start in range(0, len(questions), n_at_once):
        chunk = questions.take(np.arange(start, min(start + n_at_once, len(questions))))
        opinions = [Opinions.of(member.score(chunk.histories), chunk.histories) for member in members]
        drawn = [
            _drawn_negatives(
                truth,
                history,
                recommendable_items(questions, repeats.n_items),
                n_negatives,
                rng,
                left_out=chunk.left_out_of(row),
            )
            for row, (truth, history) in enumerate(zip(chunk.truth, chunk.histories, strict=True))
        ]
        n_pairs = [len(truth) + len(each.items) for truth, each in zip(chunk.truth, drawn, strict=True)]
        is_pair = np.arange(max(n_pairs)) < np.array(n_pairs)[:, None]
        items = np.zeros(is_pair.shape, np.int32)  # (n_people, the largest n_pairs)
        items[is_pair] = np.concatenate(
            [part for truth, each in zip(chunk.truth, drawn, strict=True) for part in (truth, each.items)]
        )
        features.append(meta_features(opinions, chunk.histories, repeats, items)[is_pair])
        n_true = np.array([len(truth) for truth in chunk.truth])
        labels.append((np.arange(is_pair.shape[1]) < n_true[:, None])[is_pair])
        people.append(np.repeat(chunk.user_indices.astype(np.int64), n_pairs))
        for truth, each in zip(chunk.truth, drawn, strict=True):
            weights += [np.ones(len(truth)), each.weights]
        progress(min(1.0, (start + n_at_once) / len(questions)), f"{start + len(chunk):,} questions")
    all_weights = np.concatenate(weights)
    return Pairs(
        np.concatenate(features),
        np.concatenate(labels),
        np.concatenate(people),
        None if (all_weights == 1.0).all() else all_weights,
    )


class _Negatives(NamedTuple):
    """Items and how many pairs each stands for, beside those drawn from all; (n_drawn,) both."""

    items: Indices
    weights: Weights


def _drawn_negatives(
    truth: Indices,
    history: History,
    is_other: npt.NDArray[np.bool_],
    n_drawn: int,
    rng: np.random.Generator,
    *,
    left_out: Indices,
) -> _Negatives:
    """Draw at most `n_drawn` distinct items that are neither true nor in the history, and as many that are.

    is_other: (n_items,), the items to draw from; it is written into. left_out: items of the history that are no
    answers, so that they are not drawn.
    """
    is_other[truth] = False
    is_other[left_out] = False
    own = np.unique(history.item_indices)
    own = own[is_other[own]]
    is_other[history.item_indices] = False
    others = np.flatnonzero(is_other)
    drawn = rng.choice(others, min(n_drawn, len(others)), replace=False)
    drawn_own = rng.choice(own, min(n_drawn, len(own)), replace=False)
    rate = len(drawn) / max(len(others), 1)
    of_own = rate * len(own) / max(len(drawn_own), 1)
    weights = np.concatenate([np.ones(len(drawn)), np.full(len(drawn_own), max(of_own, LEAST_WEIGHT))])
    return _Negatives(np.concatenate([drawn, drawn_own]), weights)
