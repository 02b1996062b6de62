"""Requests that every model scores, and how far the models agree on them. Training uses reference traffic, the
monitor a sample of today's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from models.history import History
from models.monitoring.agreement import (
    ENSEMBLE,
    STUDENT,
    TOP,
    Floats,
    draw_candidates,
    rank_correlations,
    top_items,
    top_overlaps,
)
from models.monitoring.disagreement import Scored
from models.monitoring.slices import slices_of
from models.student import Student

SCORES_AT_ONCE = 4_000_000
"""The bound on requests times items that are held together, for one model."""

TookSeconds = Callable[[str, float], None]
"""Called with each model's name and its time per request."""


class ScoringModel(Protocol):
    """Scores the whole catalogue: (n_requests, n_items), NaN where it has no opinion."""

    def __call__(self, histories: Sequence[History]) -> Floats: ...


class NamedModel(Protocol):
    """A member of an ensemble."""

    @property
    def name(self) -> str: ...

    def score(self, histories: Sequence[History]) -> Floats: ...


class ScoringEnsemble(Protocol):
    """An ensemble and its members."""

    @property
    def members(self) -> Sequence[NamedModel]: ...

    def score(self, histories: Sequence[History]) -> Floats: ...


def scoring_models(ensemble: ScoringEnsemble, student: Student) -> dict[str, ScoringModel]:
    """Return by name all models whose agreement is monitored."""
    members: dict[str, ScoringModel] = {member.name: member.score for member in ensemble.members}
    return {**members, STUDENT: student.catalogue_scores, ENSEMBLE: ensemble.score}


class WatchedRequest(NamedTuple):
    """history: what the student read. seed: draws the candidates. served: (n,) the items of the answer, best first;
    None if it tells nothing of the student, because a filter narrowed it or another model gave it. left_out: the
    items of the history that are no answers.
    """

    history: History
    served: npt.NDArray[np.int64] | None
    seed: int
    left_out: npt.NDArray[np.int32]


def model_names(models: Mapping[str, ScoringModel]) -> list[str]:
    """Return the order of rows and columns: members, student, ensemble."""
    return [*(name for name in models if name not in (STUDENT, ENSEMBLE)), STUDENT, ENSEMBLE]


def score_requests(
    models: Mapping[str, ScoringModel],
    requests: Sequence[WatchedRequest],
    ranks: npt.NDArray[np.int64],
    available: npt.NDArray[np.bool_],
    popularity_bounds: Sequence[float],
    took: TookSeconds = lambda name, seconds: None,
) -> Scored:
    """Score every request with every model. ranks: (n_items,) by popularity. available: (n_items,), which items may
    be answered: candidates and lists have no others.
    """
    n_at_once = max(1, SCORES_AT_ONCE // max(len(ranks), 1))
    parts = [
        _score_chunk(models, requests[start : start + n_at_once], ranks, available, popularity_bounds, took)
        for start in range(0, len(requests), n_at_once)
    ]
    return Scored.joined(parts)


def _score_chunk(
    models: Mapping[str, ScoringModel],
    requests: Sequence[WatchedRequest],
    ranks: npt.NDArray[np.int64],
    available: npt.NDArray[np.bool_],
    popularity_bounds: Sequence[float],
    took: TookSeconds,
) -> Scored:
    histories = [request.history for request in requests]
    left_out = [request.left_out for request in requests]
    seen = [history.item_indices for history in histories]
    candidates = draw_candidates(seen, available, [request.seed for request in requests])
    of_candidates, tops = [], []
    for name in model_names(models):
        started = perf_counter()
        scores = models[name](histories)
        took(name, (perf_counter() - started) / len(histories))
        of_candidates.append(np.take_along_axis(scores, candidates, axis=1))
        tops.append(_served(requests) if name == STUDENT else top_items(scores, available, left_out))
    overlaps = top_overlaps(np.stack(tops))
    student = len(tops) - 2
    is_unknown = np.array([not _is_comparable(request) for request in requests])
    overlaps[is_unknown, student, :] = np.nan
    overlaps[is_unknown, :, student] = np.nan
    return Scored(
        {"rank_correlation": rank_correlations(np.stack(of_candidates)), "top10_overlap": overlaps},
        [slices_of(history, ranks, popularity_bounds) for history in histories],
    )


def _is_comparable(request: WatchedRequest) -> bool:
    return request.served is not None and len(request.served) >= TOP


def _served(requests: Sequence[WatchedRequest]) -> npt.NDArray[np.int64]:
    """Return the top TOP of the answers themselves, (n_requests, TOP): what people saw, from whichever replica."""
    tops = np.full((len(requests), TOP), -1, np.int64)
    for row, request in zip(tops, requests, strict=True):
        if request.served is not None:
            row[: len(request.served)] = request.served[:TOP]
    return tops
