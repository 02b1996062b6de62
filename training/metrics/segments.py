"""Metrics by segment, to see where a model is good: by history length, and by how known person and item are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.data.split import Questions, Split
from training.metrics import metrics
from training.metrics.protocols import Outcome
from training.metrics.ranks import ndcg_of_one
from training.quality.figures import Segment, Segments

Mask = npt.NDArray[np.bool_]

HISTORY_LENGTHS = {"1-4": (1, 4), "5-19": (5, 19), "20-49": (20, 49), "50+": (50, np.inf)}
"""Segments by number of known events of a person; both ends are included."""
HEAD_SHARE = 0.2
"""Share of the catalogue, by number of events, that counts as popular; all other items are the long tail."""


def segments(outcome: Outcome, questions: Questions, split: Split) -> Segments:
    """Return dimension -> segment -> n, ndcg@10 and catalogue_ndcg@20, without segments that are empty.

    For history_length and person, n counts people. For item_popularity and item, it counts target items, each judged
    by its own rank. For history, target items are told apart by what the person did with them before. A new person is
    in no fit; a new item has no event before the test.
    """
    lengths = np.array([len(history) for history in questions.histories])
    is_new_person = split.is_new[questions.user_indices]
    counts = split.past_and_validation.item_counts()
    is_head = head_items(counts)[outcome.target_items]
    is_new_item = counts[outcome.target_items] == 0
    return {
        "history_length": _of_people(
            outcome,
            {name: (lengths >= low) & (lengths <= high) for name, (low, high) in HISTORY_LENGTHS.items()},
        ),
        "person": _of_people(outcome, {"known": ~is_new_person, "new": is_new_person}),
        "item_popularity": _of_items(outcome, {"head": is_head, "long_tail": ~is_head}),
        "item": _of_items(outcome, {"known": ~is_new_item, "new": is_new_item}),
        "history": _of_items(outcome, _what_was_done(outcome, questions, split.dataset.target)),
    }


def _what_was_done(outcome: Outcome, questions: Questions, target: int) -> dict[str, Mask]:
    """Return which target items the person had taken before, had only looked at, or never touched."""
    known = [np.zeros((2, 0), np.int64)]
    for row, history in enumerate(questions.histories):
        is_target = history.kinds == target
        known.append(np.stack([np.full(len(history), 2 * row) + is_target, history.item_indices]))
    keys, items = np.concatenate(known, axis=1)
    n_items = int(max(items.max(initial=0), outcome.target_items.max(initial=0))) + 1
    done = np.unique(keys * n_items + items)
    looked, taken = (
        np.isin((2 * outcome.target_people + is_target) * n_items + outcome.target_items, done)
        for is_target in (0, 1)
    )
    return {"taken_before": taken, "looked_at_before": looked & ~taken, "new": ~looked & ~taken}


def head_items(counts: npt.NDArray[np.int64]) -> Mask:
    """Return which items are among the most popular `HEAD_SHARE` of the catalogue, ties by index; (n_items,)."""
    is_head = np.zeros(len(counts), np.bool_)
    is_head[np.argsort(-counts, kind="stable")[: round(HEAD_SHARE * len(counts))]] = True
    return is_head


def _of_people(outcome: Outcome, masks: dict[str, Mask]) -> dict[str, Segment]:
    return _table(masks, outcome.ndcg, outcome.catalogue_ndcg)


def _of_items(outcome: Outcome, masks: dict[str, Mask]) -> dict[str, Segment]:
    return _table(
        masks,
        ndcg_of_one(outcome.target_ranks, 10),
        ndcg_of_one(outcome.target_catalogue_ranks, 20),
    )


def _table(
    masks: dict[str, Mask], ndcg: metrics.Doubles, catalogue_ndcg: metrics.Doubles
) -> dict[str, Segment]:
    return {
        name: Segment(int(mask.sum()), float(ndcg[mask].mean()), float(catalogue_ndcg[mask].mean()))
        for name, mask in masks.items()
        if mask.any()
    }
