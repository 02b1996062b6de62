"""Ranks of scores among others, ties included, and the gain that a ranking is expected to have there.

Equal scores have no order. A model that scores items alike is judged by the mean over all their orders, so it gets
what chance gives: neither the gain that the order of a file happens to give, nor that of the middle place, which for
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


class Places(NamedTuple):
    """Possible places of some scores: each has any of the places n_above + 1 to n_above + n_tied with equal chance.

    n_above: (n,), number of higher scores. n_tied: (n,), number of equal scores including itself, so at least 1.
    """

    n_above: Counts
    n_tied: Counts

    def mean(self) -> Doubles:
        """Return the mean place, counted from 1; (n,)."""
        return self.n_above + (self.n_tied + 1) / 2.0

    def split(self, n_first: int) -> tuple[Places, Places]:
        """Split into the first n_first and the others."""
        first, others = (
            Places(self.n_above[part], self.n_tied[part]) for part in (slice(n_first), slice(n_first, None))
        )
        return first, others

    @staticmethod
    def joined(parts: Sequence[Places]) -> Places:
        """Concatenate parts in their order."""
        n_above, n_tied = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return Places(n_above, n_tied)


def places_among(scores: Floats, of: npt.NDArray[np.int32]) -> Places:
    """Return the places of some candidates among all of one person's candidates.

    scores: (n_candidates,), -inf for items that may not be recommended. of: (n_asked,) positions of the candidates.
    """
    ordered = np.sort(scores)
    asked = scores[of]
    not_above = np.searchsorted(ordered, asked, side="right")
    return Places(len(scores) - not_above, not_above - np.searchsorted(ordered, asked, side="left"))


def places_against(scores: Floats, negatives: Floats) -> Places:
    """Return the place of each score among its own negatives and itself.

    scores: (n_asked,). negatives: (n_asked, n_negatives), or (n_negatives,) if they are the same for all.
    """
    n_above = (negatives > scores[:, None]).sum(axis=1)
    return Places(n_above, (negatives == scores[:, None]).sum(axis=1) + 1)


def expected_gain(places: Places, gains: Doubles) -> Doubles:
    """Return the mean gain over each item's possible places, (n,); gains: (k,) of places 1 to k, 0 beyond."""
    return _mean_gain(places, np.concatenate([[0.0], np.cumsum(gains)]))


def hit_rate(places: Places, k: int) -> Doubles:
    """Return the chance that each item is in the top k; (n,)."""
    return _mean_gain(places, np.arange(k + 1, dtype=np.float64))


def ndcg_of_one(places: Places, k: int) -> Doubles:
    """Return NDCG@k of each item as if it alone were relevant: 1 / log2(1 + place) in the top k; (n,)."""
    return _mean_gain(places, _discounts_up_to(k))


def recall_at(places: Places, k: int) -> float:
    """Return one person's recall@k: the share of all relevant items in the top k, given the places of all of them.

    A person with more than k relevant items cannot reach 1; `capped_recall_at` corrects for that.
    """
    return float(hit_rate(places, k).sum() / len(places.n_tied))


def capped_recall_at(places: Places, k: int) -> float:
    """Return capped recall, R_cap@k: hits in the top k as a share of the most possible, min(n_relevant, k).

    Thakur et al. (2021), "BEIR", arXiv 2104.08663; variational autoencoders for recommendation use it too.
    """
    return float(hit_rate(places, k).sum() / min(len(places.n_tied), k))


def ndcg_at(places: Places, k: int) -> float:
    """Return one person's NDCG@k with binary relevance, given the places of all relevant items."""
    ideal = _discounts_up_to(k)[min(len(places.n_tied), k)]
    return float(ndcg_of_one(places, k).sum() / ideal)


def any_hit(places: Places, k: int) -> float:
    """Return the chance that one of a person's relevant items is in the top k, given the places of all of them.

    Chance only decides in the tie that the end of the list cuts: which of its items come first is a draw without
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
    """Return the mean gain over possible places; totals: (k + 1,), the gain of the first 0 to k places together."""
    last = len(totals) - 1
    start, end = np.minimum(places.n_above, last), np.minimum(places.n_above + places.n_tied, last)
    return (totals[end] - totals[start]) / places.n_tied


@lru_cache
def _discounts_up_to(k: int) -> Doubles:
    """Return the sums of 1 / log2(1 + place) over the first 0 to k places; (k + 1,), read-only."""
    totals = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(2.0, k + 2.0)))])
    totals.setflags(write=False)
    return totals
