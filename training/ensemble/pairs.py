"""Labelled pairs of a slice that the members have not seen: what strategies are fitted and compared on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.data.split import Questions
from training.ensemble.item_timeline import ItemTimeline
from training.ensemble.meta_features import meta_features
from training.ensemble.strategy import Labels, People
from training.members.member import Floats, Member, Progress, no_progress

CHUNK = 128
"""People described together: 128 x 4,000 items x 40 features are 82 MB."""


@dataclass(frozen=True)
class Pairs:
    """features: (n_pairs, n_features) float32. labels, people: (n_pairs,); a person's pairs share a number."""

    features: Floats
    labels: Labels
    people: People

    def __len__(self) -> int:
        return len(self.labels)


def describe_pairs(
    members: Sequence[Member],
    timeline: ItemTimeline,
    questions: Questions,
    *,
    n_negatives: int,
    seed: int,
    progress: Progress = no_progress,
) -> Pairs:
    """A pair is one question and one item unseen there: all of its truth, and `n_negatives` drawn from the rest.

    The draw is uniform. Harder negatives, not weighed back, make the logit a worse ranking of the whole catalogue.
    """
    rng = np.random.default_rng(seed)
    features, labels, people = [], [], []
    for start in range(0, len(questions), CHUNK):
        chunk = questions.take(np.arange(start, min(start + CHUNK, len(questions))))
        scores = {member.name: member.score(chunk.histories) for member in members}
        described = meta_features(scores, chunk.histories, timeline)
        for row, (truth, history) in enumerate(zip(chunk.truth, chunk.histories, strict=True)):
            is_other = np.ones(timeline.n_items, np.bool_)
            is_other[truth] = is_other[history.item_indices] = False
            others = np.flatnonzero(is_other)
            drawn = rng.choice(others, min(n_negatives, len(others)), replace=False)
            features.append(described[row, np.concatenate([truth, drawn])])
            labels.append(np.arange(len(truth) + len(drawn)) < len(truth))
            people.append(np.full(len(truth) + len(drawn), chunk.user_indices[row], np.int64))
        progress(min(1.0, (start + CHUNK) / len(questions)), f"{start + len(chunk):,} questions")
    return Pairs(np.concatenate(features), np.concatenate(labels), np.concatenate(people))
