"""Explains a recommendation by the person's own items ("because you bought …"), through the student itself.

A service names them in its answers; training removes what was named and checks whether the recommendation weakens.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.history import EventKind, History
from models.student import Floats, Student

MAX_EXPLAINING_ITEMS = 20
MAX_REASONS = 3

Indices = npt.NDArray[np.int32]


class Reason(NamedTuple):
    """One of the person's items, and by how much a score falls without it."""

    item_index: int
    contribution: float


Reasons = list[Reason]


def explain(student: Student, history: History, item_indices: Indices) -> list[Reasons]:
    """Find which of the person's own items speak most for each recommended one, by leaving out each in turn.

    The tower runs once for the whole history and once without each of the last 20 distinct items, as one
    batch. Returns, for each of item_indices (n_items,), up to three reasons that speak for it, strongest first. An
    item that the person owns and is recommended again is never its own reason, and what they disliked or sent back is
    none for anything.
    """
    latest = history.distinct().last(MAX_EXPLAINING_ITEMS)
    own = latest.item_indices[latest.kinds != EventKind.DISLIKE][::-1]
    if not len(own) or not len(item_indices):
        return [[] for _ in item_indices]
    without = [history.without_item(int(item_index)) for item_index in own]
    asked = [history, *without]
    scores = student.score_items(student.user_vectors(asked), student.boosts(asked), item_indices)
    drops = scores[0] - scores[1:]  # (n_own, n_items)
    drops[own[:, None] == item_indices[None, :]] = 0.0
    return [_strongest(own, drops[:, column]) for column in range(len(item_indices))]


def _strongest(own: Indices, drops: Floats) -> Reasons:
    order = np.argsort(-drops, kind="stable")[:MAX_REASONS]
    return [Reason(int(own[row]), float(drops[row])) for row in order if drops[row] > 0]
