"""Ranks of scores among others, ties included, and the gain that a ranking is expected to have there.

Equal scores have no order. A model that scores items alike is judged by the mean over all their orders, so it gets
what chance gives: neither the gain that the order of a file happens to give, nor that of the middle rank, which for
a large tie lies beyond every list. McSherry and Najork (2008), doi 10.1007/978-3-540-78646-7_38, derive these
expectations.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class TiedRanks(NamedTuple):
    """Possible ranks of some scores: each has any of the ranks n_above + 1 to n_above + n_tied with equal chance.

    n_above: (n,), number of higher scores. n_tied: (n,), number of equal scores including itself, so at least 1.
    """

    n_above: Counts
    n_tied: Counts

    def mean(self) -> Doubles:
        """Return the mean rank, counted from 1; (n,)."""
        return self.n_above + (self.n_tied + 1) / 2.0

    def split(self, n_first: int) -> tuple[TiedRanks, TiedRanks]:
        """Split into the first n_first and the others."""
        first, others = (
            TiedRanks(self.n_above[part], self.n_tied[part])
            for part in (slice(n_first), slice(n_first, None))
        )
        return first, others

    @staticmethod
    def joined(parts: Sequence[TiedRanks]) -> TiedRanks:
        """Concatenate parts in their order."""
        n_above, n_tied = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return TiedRanks(n_above, n_tied)


def ranks_among(scores: Floats, of: npt.NDArray[np.int32]) -> TiedRanks:
    """Return the ranks of some candidates, the targets, among all of one person's candidates.

    scores: (n_candidates,), -inf for items that may not be recommended. of: (n_targets,) positions of the targets.
    """
    ordered = np.sort(scores)
    target_scores = scores[of]
    not_above = np.searchsorted(ordered, target_scores, side="right")
    return TiedRanks(
        len(scores) - not_above, not_above - np.searchsorted(ordered, target_scores, side="left")
    )


def ranks_against(scores: Floats, negatives: Floats) -> TiedRanks:
    """Return the rank of each score among its own negatives and itself.

    scores: (n_targets,). negatives: (n_targets, n_negatives), or (n_negatives,) if they are the same for all.
    """
    n_above = (negatives > scores[:, None]).sum(axis=1)
    return TiedRanks(n_above, (negatives == scores[:, None]).sum(axis=1) + 1)


def expected_gain(ranks: TiedRanks, gains: Doubles) -> Doubles:
    """Return the mean gain over each item's possible ranks, (n,); gains: (k,) of ranks 1 to k, 0 beyond."""
    return _mean_gain(ranks, np.concatenate([[0.0], np.cumsum(gains)]))


def hit_rate(ranks: TiedRanks, k: int) -> Doubles:
    """Return the chance that each item is in the top k; (n,)."""
    return _mean_gain(ranks, np.arange(k + 1, dtype=np.float64))


def ndcg_of_one(ranks: TiedRanks, k: int) -> Doubles:
    """Return NDCG@k of each item as if it alone were relevant: 1 / log2(1 + rank) in the top k; (n,)."""
    return _mean_gain(ranks, _discounts_up_to(k))


def recall_at(ranks: TiedRanks, k: int) -> float:
    """Return one person's recall@k: the share of all relevant items in the top k, given the ranks of all of them.

    A person with more than k relevant items cannot reach 1; `capped_recall_at` corrects for that.
    """
    return float(hit_rate(ranks, k).sum() / len(ranks.n_tied))


def capped_recall_at(ranks: TiedRanks, k: int) -> float:
    """Return capped recall, R_cap@k: hits in the top k as a share of the most possible, min(n_relevant, k).

    Thakur et al. (2021), "BEIR", arXiv 2104.08663; variational autoencoders for recommendation use it too.
    """
    return float(hit_rate(ranks, k).sum() / min(len(ranks.n_tied), k))


def ndcg_at(ranks: TiedRanks, k: int) -> float:
    """Return one person's NDCG@k with binary relevance, given the ranks of all relevant items."""
    ideal = _discounts_up_to(k)[min(len(ranks.n_tied), k)]
    return float(ndcg_of_one(ranks, k).sum() / ideal)


def any_hit(ranks: TiedRanks, k: int) -> float:
    """Return the chance that one of a person's relevant items is in the top k, given the ranks of all of them.

    Chance only decides in the tie that the end of the list cuts: which of its items come first is a draw without
    replacement.
    """
    if (ranks.n_above + ranks.n_tied <= k).any():
        return 1.0
    is_cut = ranks.n_above < k
    if not is_cut.any():
        return 0.0
    first = int(is_cut.argmax())
    n_tied, n_listed = int(ranks.n_tied[first]), k - int(ranks.n_above[first])
    drawn = np.arange(int(is_cut.sum()))
    return 1.0 - float(np.prod(np.maximum(n_tied - n_listed - drawn, 0) / (n_tied - drawn)))


def _mean_gain(ranks: TiedRanks, totals: Doubles) -> Doubles:
    """Return the mean gain over possible ranks; totals: (k + 1,), the gain of the first 0 to k ranks together."""
    last = len(totals) - 1
    start, end = np.minimum(ranks.n_above, last), np.minimum(ranks.n_above + ranks.n_tied, last)
    return (totals[end] - totals[start]) / ranks.n_tied


@lru_cache
def _discounts_up_to(k: int) -> Doubles:
    """Return the sums of 1 / log2(1 + rank) over the first 0 to k ranks; (k + 1,), read-only."""
    totals = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(2.0, k + 2.0)))])
    totals.setflags(write=False)
    return totals
