"""Where scores stand among others, ties included, and what a ranking is expected to gain there.

Equal scores have no order. A model that scores items alike is judged by the mean over all their orders, so it gets
what chance gives: not what the order of a file gives, nor the gain of the middle place, which for a large tie lies
beyond every list. McSherry and Najork (2008), doi 10.1007/978-3-540-78646-7_38, derive these expectations.
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


class Places(NamedTuple):
    """Where some scores stand: each is as likely at any of the places n_above + 1 to n_above + n_tied as at another.

    n_above: (n,), higher scores. n_tied: (n,), equal scores, oneself included, so at least 1.
    """

    n_above: Counts
    n_tied: Counts

    def mean(self) -> Doubles:
        """The mean place, from 1; (n,)."""
        return self.n_above + (self.n_tied + 1) / 2.0

    def split(self, n_first: int) -> tuple[Places, Places]:
        """The first so many, and the others."""
        first, others = (
            Places(self.n_above[part], self.n_tied[part]) for part in (slice(n_first), slice(n_first, None))
        )
        return first, others

    @staticmethod
    def joined(parts: Sequence[Places]) -> Places:
        """One after the other."""
        n_above, n_tied = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return Places(n_above, n_tied)


def places_among(scores: Floats, of: npt.NDArray[np.int32]) -> Places:
    """Places of some candidates among all of one person's candidates.

    scores: (n_candidates,), -inf for what may not be recommended. of: (n_asked,) their positions.
    """
    ordered = np.sort(scores)
    asked = scores[of]
    not_above = np.searchsorted(ordered, asked, side="right")
    return Places(len(scores) - not_above, not_above - np.searchsorted(ordered, asked, side="left"))


def places_against(scores: Floats, negatives: Floats) -> Places:
    """Place of each score among its own negatives and itself.

    scores: (n_asked,). negatives: (n_asked, n_negatives), or (n_negatives,) for all alike.
    """
    n_above = (negatives > scores[:, None]).sum(axis=1)
    return Places(n_above, (negatives == scores[:, None]).sum(axis=1) + 1)


def expected_gain(places: Places, gains: Doubles) -> Doubles:
    """Mean gain over the places that each item may have; gains: (k,) of the places 1 to k, nothing beyond. (n,)."""
    return _mean_gain(places, np.concatenate([[0.0], np.cumsum(gains)]))


def hit_rate(places: Places, k: int) -> Doubles:
    """Chance that each item is in the top k; (n,)."""
    return _mean_gain(places, np.arange(k + 1, dtype=np.float64))


def ndcg_of_one(places: Places, k: int) -> Doubles:
    """NDCG@k of each item as if it were the only relevant one: 1 / log2(1 + place) in the top k; (n,)."""
    return _mean_gain(places, _discounts_up_to(k))


def recall_at(places: Places, k: int) -> float:
    """Recall@k of one person: share of all relevant items that are in the top k; places of all of them.

    Somebody with more than k relevant items cannot reach 1; `capped_recall_at` measures what they can.
    """
    return float(hit_rate(places, k).sum() / len(places.n_tied))


def capped_recall_at(places: Places, k: int) -> float:
    """Capped recall, R_cap@k: hits in the top k as a share of the most there can be, min(n_relevant, k).

    Thakur et al. (2021), "BEIR", arXiv 2104.08663; variational autoencoders for recommendation use it too.
    """
    return float(hit_rate(places, k).sum() / min(len(places.n_tied), k))


def ndcg_at(places: Places, k: int) -> float:
    """NDCG@k of one person with binary relevance; places of all relevant items."""
    ideal = _discounts_up_to(k)[min(len(places.n_tied), k)]
    return float(ndcg_of_one(places, k).sum() / ideal)


def any_hit(places: Places, k: int) -> float:
    """Chance that at least one of one person's relevant items is in the top k of one ranking; places of all of them.

    Only the tie that the list's end cuts leaves it to chance: which of its items come first is a draw without
    replacement.
    """
    if (places.n_above + places.n_tied <= k).any():
        return 1.0
    is_cut = places.n_above < k
    if not is_cut.any():
        return 0.0
    first = int(is_cut.argmax())
    n_tied, n_listed = int(places.n_tied[first]), k - int(places.n_above[first])
    drawn = np.arange(int(is_cut.sum()))
    return 1.0 - float(np.prod(np.maximum(n_tied - n_listed - drawn, 0) / (n_tied - drawn)))


def _mean_gain(places: Places, totals: Doubles) -> Doubles:
    """totals: (k + 1,) gain of the first 0 to k places together."""
    last = len(totals) - 1
    start, end = np.minimum(places.n_above, last), np.minimum(places.n_above + places.n_tied, last)
    return (totals[end] - totals[start]) / places.n_tied


@lru_cache
def _discounts_up_to(k: int) -> Doubles:
    """Sum of 1 / log2(1 + place) over the first 0 to k places; (k + 1,), to be read only."""
    totals = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(2.0, k + 2.0)))])
    totals.setflags(write=False)
    return totals
