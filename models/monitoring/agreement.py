"""How alike models rank: Spearman's correlation on the same candidates, and the share of their top ten in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int32] | npt.NDArray[np.int64]

MEASURES = ("rank_correlation", "top10_overlap")
STUDENT, ENSEMBLE = "student", "ensemble"
TOP = 10
N_CANDIDATES = 100


def draw_candidates(
    seen: Sequence[Indices], available: npt.NDArray[np.bool_], seeds: Sequence[int]
) -> npt.NDArray[np.int64]:
    """Draw N_CANDIDATES available items for each request, uniformly, without items that its person has seen;
    (n_requests, N_CANDIDATES). If fewer are unseen, some occur twice.

    available: (n_items,). No candidate is chosen by a model, so a damaged model does not change what the others are
    asked about.
    """
    drawn = np.empty((len(seen), N_CANDIDATES), np.int64)
    for row, own, seed in zip(drawn, seen, seeds, strict=True):
        is_unseen = available.copy()
        is_unseen[own] = False
        unseen = np.flatnonzero(is_unseen)
        if not len(unseen):
            unseen = np.arange(len(available))
        rng = np.random.default_rng(seed)
        row[:] = rng.choice(unseen, N_CANDIDATES, replace=len(unseen) < N_CANDIDATES)
    return drawn


def rank_correlations(scores: Floats) -> Doubles:
    """Correlate every two models: (n_models, n_requests, n_candidates) gives (n_requests, n_models, n_models).

    NaN, no opinion, ranks last; ties share their mean rank. A model that ranks nothing agrees with none: 0.
    """
    ranks = np.stack([_mean_ranks(row) for row in scores.reshape(-1, scores.shape[-1])]).reshape(scores.shape)
    ranks -= ranks.mean(axis=-1, keepdims=True)
    length = np.sqrt((ranks**2).sum(axis=-1, keepdims=True))
    units = np.divide(ranks, length, out=np.zeros_like(ranks), where=length > 0)
    return np.einsum("mrc,nrc->rmn", units, units)


def top_overlaps(tops: npt.NDArray[np.int64]) -> Doubles:
    """Return the share of one model's top TOP that another has too: (n_models, n_requests, TOP) item indices, -1
    after the last, give (n_requests, n_models, n_models).
    """
    n_models, n_requests, _ = tops.shape
    overlaps = np.eye(n_models)[None].repeat(n_requests, axis=0)
    for one in range(n_models):
        for other in range(one):
            is_shared = (tops[one][:, :, None] == tops[other][:, None, :]) & (tops[one][:, :, None] >= 0)
            overlaps[:, one, other] = overlaps[:, other, one] = is_shared.sum(axis=(1, 2)) / TOP
    return overlaps


def top_items(
    scores: Floats, available: npt.NDArray[np.bool_], left_out: Sequence[Indices]
) -> npt.NDArray[np.int64]:
    """Return a model's best TOP available items of each request, as an answer would have them: best first, equal
    scores by rising item_index. (n_requests, n_items) gives (n_requests, TOP), -1 after the last one that the model
    has an opinion of. available: (n_items,). left_out: by request, the person's items that are no answers.
    """
    masked = np.where(np.isnan(scores), np.float32(-np.inf), scores)
    masked[:, ~available] = -np.inf
    for row, own in zip(masked, left_out, strict=True):
        row[own] = -np.inf
    tops = np.full((len(masked), TOP), -1, np.int64)
    n_best = min(TOP, masked.shape[1])
    for top, row in zip(tops, masked, strict=True):
        worst = np.partition(row, len(row) - n_best)[len(row) - n_best]
        best = np.flatnonzero((row >= worst) & (row > -np.inf))
        best = best[np.argsort(-row[best], kind="stable")][:n_best]
        top[: len(best)] = best
    return tops


def _mean_ranks(scores: Floats) -> Doubles:
    known = np.where(np.isnan(scores), -np.inf, scores)
    _, places, n_tied = np.unique(known, return_inverse=True, return_counts=True)
    ends = np.cumsum(n_tied)
    return (ends - (n_tied - 1) / 2)[places]
