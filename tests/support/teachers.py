"""A teacher whose every logit is plain: an item's block, and beside it one partner an item that goes with it.

Blocks are of rank 4. Partners are a permutation of the items, of full rank, which no short vectors can say.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.history import History
from tests.support.blocks import block_of_item
from training.members.member import Floats

N_ITEMS = 60
PARTNER_STEP = 7
"""The partner of item i is i + 7: of another block."""
BLOCK_LOGITS, PARTNER_LOGITS = 2.0, 4.0

BLOCKS = np.array([block_of_item(item) for item in range(N_ITEMS)])


def partner_of(item_index: int) -> int:
    return (item_index + PARTNER_STEP) % N_ITEMS


def item_items() -> Floats:
    """What each item says of the others: of its partner 1, of its block 0.1; (N_ITEMS, N_ITEMS)."""
    matrix = 0.1 * (BLOCKS[:, None] == BLOCKS).astype(np.float32)
    matrix[np.arange(N_ITEMS), (np.arange(N_ITEMS) + PARTNER_STEP) % N_ITEMS] = 1.0
    return matrix


class BlockTeacher:
    """Scores by the share of a history in an item's block, and the partner of the latest item highest of all.

    n_scored: how many histories it has scored so far.
    """

    def __init__(self, level: float = -3.0) -> None:
        self.level = level
        self.n_scored = 0

    def score(self, histories: Sequence[History]) -> Floats:
        """(n_people, N_ITEMS); -inf where an item was seen."""
        scores = np.full((len(histories), N_ITEMS), self.level, np.float32)
        for row, history in zip(scores, histories, strict=True):
            for own in history.item_indices:
                row[BLOCKS[own] == BLOCKS] += BLOCK_LOGITS / len(history)
            if len(history):
                row[partner_of(int(history.item_indices[-1]))] += PARTNER_LOGITS
            row[history.item_indices] = -np.inf
        return scores

    def score_candidates(
        self, histories: Sequence[History], n_top: int, n_uniform: int, rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.int32], Floats]:
        """The best n_top, then n_uniform drawn from all."""
        self.n_scored += len(histories)
        scores = self.score(histories)
        top = np.argsort(-scores, axis=1, kind="stable")[:, :n_top]
        uniform = rng.integers(0, N_ITEMS, (len(histories), n_uniform))
        items = np.concatenate([top, uniform], axis=1).astype(np.int32)
        return items, np.take_along_axis(scores, items, axis=1)
