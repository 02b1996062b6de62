"""Re-ranks a ranked list before it is sent: diversity."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.student import Floats

POOL_PER_ITEM = 5
MIN_POOL = 100


def pool_size(limit: int, diversity: float) -> int:
    """Return how many candidates diversity chooses from; without diversity, just the limit."""
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
