"""Fit the student's estimate of each member's contribution to the ensemble's logit, and measure how good it is.

Labelled histories go in, each with its candidates of the largest logits, and the ensemble gives the members'
true contributions to them (training/ensemble/contributions.py). One ridge regression in closed form gives
`models.member_shares.MemberShares`; its fidelity is measured on histories that were held out of the fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from models.history import History
from models.member_shares import MemberShares, StudentPairs, pair_terms, person_terms, shares_of
from models.student import Student
from training.base.callback import Progress
from training.members.member import Floats
from training.student.soft_labels import SoftLabels

MAX_EXAMPLES = 2_000
N_CANDIDATES = 64
"""The candidates with the largest logits are taken from each example: what may be recommended will be explained."""
CHUNK = 128
"""Number of examples described together, as when they were labelled."""
RANK = 24
"""Number of principal directions kept of user and of item vectors. On Online Retail, of 64, keeping 16 loses .016
of a mean correlation of .790, and keeping 32 gains .012 for twice the work."""
L2 = 1e-4
"""Ridge penalty per pair, for terms of size about 1."""
LEVEL_L2 = 5.0
"""Ridge penalty of an item's level, as if this many more pairs had said 0: two pairs say little about an item."""
N_RUNS, HELD_OUT_OF = 100, 5
"""Examples lie person by person, so runs of neighbouring examples are held out: every fifth run of a hundred."""
SMALLEST_LENGTH = 1e-4
"""A direction shorter than this share of the longest is dropped: it is rounding."""

Contributions = Callable[[Sequence[History], npt.NDArray[np.int32]], Floats]
"""A function from histories and items of each, (n_people, n_items), to (n_people, n_items, n_members)."""
Doubles = npt.NDArray[np.float64]


class Fidelity(NamedTuple):
    """How near the estimates come to the true contributions, over the pairs of held-out histories.

    correlations (Pearson) and r2: by member, without members whose contribution never varies. top_agreement: share of
    pairs whose strongest member is named right, among the pairs that some member supports; 0 if there are none.
    commonest_top: the top_agreement of always naming the commonest member. share_error: mean absolute error of a
    share, over all members and the same pairs.
    """

    correlations: dict[str, float]
    r2: dict[str, float]
    top_agreement: float
    commonest_top: float
    share_error: float


class FittedShares(NamedTuple):
    """The fitted shares, which go into the bundle, and how far they can be believed."""

    shares: MemberShares
    fidelity: Fidelity


@dataclass(frozen=True)
class _Examples:
    """Examples' pairs with true contributions (n_people, n_items, n_members). is_unseen: (n_people, n_items) bool."""

    pairs: StudentPairs
    is_unseen: npt.NDArray[np.bool_]
    contributions: Floats

    def where(self, rows: npt.NDArray[np.bool_]) -> _Examples:
        """Keep the people of these rows."""
        user_vectors, item_indices, item_vectors, boosts = self.pairs
        pairs = StudentPairs(user_vectors[rows], item_indices[rows], item_vectors[rows], boosts[rows])
        return _Examples(pairs, self.is_unseen[rows], self.contributions[rows])

    def chunks(self) -> Iterator[_Examples]:
        """Yield the pairs of `CHUNK` people at a time."""
        numbers = np.arange(len(self.is_unseen))
        return (self.where(numbers // CHUNK == chunk) for chunk in range(-(-len(numbers) // CHUNK)))


def fit_member_shares(
    student: Student,
    contributions: Contributions,
    members: Sequence[str],
    labels: SoftLabels,
    *,
    progress: Progress,
) -> FittedShares:
    """Compute true contributions, fit on four fifths, measure on the rest. members: names along the last axis."""
    examples = _describe(student, contributions, labels, progress)
    is_held_out = np.arange(len(examples.is_unseen)) * N_RUNS // len(examples.is_unseen) % HELD_OUT_OF == 0
    shares = _fit(examples.where(~is_held_out), members, student.n_items)
    return FittedShares(shares, _fidelity(shares, examples.where(is_held_out)))


def _describe(
    student: Student, contributions: Contributions, labels: SoftLabels, progress: Progress
) -> _Examples:
    """Describe examples spread over all that were labelled, so that few of them are of the same person."""
    rows = np.unique(np.linspace(0, len(labels) - 1, min(MAX_EXAMPLES, len(labels))).astype(int))
    parts: list[_Examples] = []
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        histories = [labels.histories[row] for row in chunk]
        items, is_unseen = _best_candidates(labels, chunk)
        pairs = StudentPairs.of(student, student.user_vectors(histories), histories, items)
        parts.append(_Examples(pairs, is_unseen, contributions(histories, items)))
        progress((start + len(chunk)) / len(rows), f"{start + len(chunk):,} of {len(rows):,} histories")
    return _Examples(
        StudentPairs(*(np.concatenate(each) for each in zip(*(part.pairs for part in parts), strict=True))),
        np.concatenate([part.is_unseen for part in parts]),
        np.concatenate([part.contributions for part in parts]),
    )


def _best_candidates(
    labels: SoftLabels, rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
    """Return the candidates with the largest logits, and which of them the person has not seen."""
    logits = labels.logits[rows].astype(np.float32)
    best = np.argsort(-logits, axis=1, kind="stable")[:, :N_CANDIDATES]
    items = np.take_along_axis(labels.candidates[rows], best, axis=1)
    return items, np.isfinite(np.take_along_axis(logits, best, axis=1))


def _fit(examples: _Examples, members: Sequence[str], n_items: int) -> MemberShares:
    """Fit a ridge regression on products of person terms and pair terms, with a level for each item beside them.

    Levels are eliminated (Schur complement), so the system to solve has only as many unknowns as products.
    """
    user_map = _principal_map(examples.pairs.user_vectors)
    item_map = _principal_map(examples.pairs.item_vectors[examples.is_unseen])
    sums = _Sums.over(examples, user_map, item_map, n_items)
    share_of_levels = sums.item_products / (sums.item_counts + LEVEL_L2)[:, None]  # (n_items, n_products)
    l2 = L2 * max(sums.item_counts.sum(), 1.0)
    reduced = sums.products - sums.item_products.T @ share_of_levels + l2 * np.eye(len(sums.products))
    weights = np.linalg.solve(reduced, sums.targets - share_of_levels.T @ sums.item_targets)
    levels = (sums.item_targets - sums.item_products @ weights) / (sums.item_counts + LEVEL_L2)[:, None]
    width = 1 + user_map.shape[1]
    return MemberShares(
        tuple(members),
        user_map,
        item_map,
        np.ascontiguousarray(weights.T.reshape(len(members), width, -1), np.float32),
        levels.astype(np.float16),
    )


@dataclass(frozen=True)
class _Sums:
    """The normal equations; x are the products of a pair's terms, y its contributions.

    Sums over all pairs: products of x x', targets of x y'. Sums by item: item_products of x, item_targets of y, and
    item_counts, the number of pairs.
    """

    products: Doubles
    targets: Doubles
    item_products: Doubles
    item_targets: Doubles
    item_counts: Doubles

    @staticmethod
    def over(examples: _Examples, user_map: Floats, item_map: Floats, n_items: int) -> _Sums:
        """Sum up chunk by chunk, because all products together would take hundreds of megabytes."""
        n_products = (1 + user_map.shape[1]) * pair_terms(examples.pairs, item_map).shape[2]
        n_members = examples.contributions.shape[2]
        sums = _Sums(
            np.zeros((n_products, n_products)),
            np.zeros((n_products, n_members)),
            np.zeros((n_items, n_products)),
            np.zeros((n_items, n_members)),
            np.zeros(n_items),
        )
        for chunk in examples.chunks():
            sums._add(chunk, user_map, item_map)
        return sums

    def _add(self, examples: _Examples, user_map: Floats, item_map: Floats) -> None:
        people, pairs = person_terms(examples.pairs, user_map), pair_terms(examples.pairs, item_map)
        products = (
            people[:, None, :, None] * pairs[:, :, None, :]
        )  # (n_people, n_items, 1 + n_user, 3 + n_item)
        x = products[examples.is_unseen].reshape(int(examples.is_unseen.sum()), -1)
        y = examples.contributions[examples.is_unseen]
        items = examples.pairs.item_indices[examples.is_unseen]
        by_item = sparse.csr_matrix(
            (np.ones(len(items), np.float32), (items, np.arange(len(items)))),
            shape=(len(self.item_counts), len(items)),
        )
        self.products[:] += x.T @ x
        self.targets[:] += x.T @ y
        self.item_products[:] += by_item @ x
        self.item_targets[:] += by_item @ y
        self.item_counts[:] += np.bincount(items, minlength=len(self.item_counts))


def _principal_map(vectors: Floats) -> Floats:
    """Return the longest directions of vectors (n, n_factors), scaled so that projections are about 1 in size."""
    moments = vectors.T.astype(np.float64) @ vectors / max(len(vectors), 1)
    squares, directions = np.linalg.eigh(moments)
    squares, directions = squares[::-1][:RANK], directions[:, ::-1][:, :RANK]
    is_kept = squares > SMALLEST_LENGTH**2 * squares[0]
    return np.asarray(directions[:, is_kept] / np.sqrt(squares[is_kept]), np.float32)


def _fidelity(shares: MemberShares, examples: _Examples) -> Fidelity:
    estimated = shares.contributions(examples.pairs)[examples.is_unseen]
    true = examples.contributions[examples.is_unseen]
    varying = [column for column in range(true.shape[1]) if len(true) > 1 and np.ptp(true[:, column]) > 0]
    is_supported = true.max(axis=1, initial=0) > 0
    shares_told, shares_true = shares_of(estimated[is_supported]), shares_of(true[is_supported])
    named, tops = shares_told.argmax(axis=1), shares_true.argmax(axis=1)
    return Fidelity(
        {shares.members[column]: _correlation(estimated[:, column], true[:, column]) for column in varying},
        {shares.members[column]: _r2(estimated[:, column], true[:, column]) for column in varying},
        _mean(named == tops),
        _mean(tops == np.bincount(tops, minlength=1).argmax()),
        _mean(np.abs(shares_told - shares_true)),
    )


def _mean(values: npt.NDArray[Any]) -> float:
    """Return the mean, or 0 if there are no values."""
    return float(values.mean()) if values.size else 0.0


def _correlation(estimated: Floats, true: Floats) -> float:
    """Return Pearson's correlation, or 0 if the estimates do not vary."""
    return float(np.corrcoef(estimated, true)[0, 1]) if np.ptp(estimated) > 0 else 0.0


def _r2(estimated: Floats, true: Floats) -> float:
    """Return the share of variance explained; it is negative if a constant would do better."""
    return float(1 - ((estimated - true) ** 2).mean() / true.var())
