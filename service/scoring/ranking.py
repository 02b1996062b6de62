"""What happens to a ranked list before it is sent: diversity and explanations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.history import History
from models.student import Floats, Student
from service.serving import Indices

POOL_PER_ITEM = 5
MIN_POOL = 100
MAX_EXPLAINING_ITEMS = 20
MAX_REASONS = 3


class Reason(NamedTuple):
    """One of the person's items, and by how much a score falls without it."""

    item_index: int
    contribution: float


Reasons = list[Reason]


def pool_size(limit: int, diversity: float) -> int:
    """How many candidates diversity chooses from; without it just the answer."""
    return max(MIN_POOL, POOL_PER_ITEM * limit) if diversity else limit


def diversify(item_vectors: Floats, scores: Floats, limit: int, diversity: float) -> npt.NDArray[np.intp]:
    """Choose up to `limit` of a ranked pool by maximal marginal relevance (Carbonell and Goldstein, 1998).

    item_vectors: (n_pool, n_factors). scores: (n_pool,), best first. Each step takes the item with the largest
    (1 - diversity) * relevance - diversity * (largest cosine to what was taken); relevance is the score
    scaled to 0..1 within the pool. Ties go to the better ranked. Returns positions in the order chosen.
    """
    n_pool = len(scores)
    if not n_pool:
        return np.zeros(0, np.intp)
    unit = item_vectors / np.maximum(np.linalg.norm(item_vectors, axis=1, keepdims=True), 1e-12)
    relevance = (scores - scores[-1]) / max(float(scores[0] - scores[-1]), 1e-12)
    similarity = np.full(n_pool, -1.0, np.float32)
    is_left = np.ones(n_pool, np.bool_)
    chosen = []
    for step in range(min(limit, n_pool)):
        gain = (1.0 - diversity) * relevance - diversity * similarity if step else relevance
        best = int(np.argmax(np.where(is_left, gain, -np.inf)))
        chosen.append(best)
        is_left[best] = False
        similarity = np.maximum(similarity, unit @ unit[best])
    return np.array(chosen, np.intp)


def explain(student: Student, history: History, item_indices: Indices) -> list[Reasons]:
    """Say which of the person's own items speak most for each recommended one, by leaving each out in turn.

    The tower runs once for the whole history and once without each of the last 20 distinct items, as one
    batch. Returns, for each of item_indices (n_items,), up to three reasons that speak for it, strongest first.
    """
    own = history.distinct().last(MAX_EXPLAINING_ITEMS).item_indices[::-1]
    if not len(own) or not len(item_indices):
        return [[] for _ in item_indices]
    without = [history.without_item(int(item_index)) for item_index in own]
    scores = student.score_items(student.user_vectors([history, *without]), item_indices)
    drops = scores[0] - scores[1:]  # (n_own, n_items)
    return [_strongest(own, drops[:, column]) for column in range(len(item_indices))]


def _strongest(own: Indices, drops: Floats) -> Reasons:
    order = np.argsort(-drops, kind="stable")[:MAX_REASONS]
    return [Reason(int(own[row]), float(drops[row])) for row in order if drops[row] > 0]
