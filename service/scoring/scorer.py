"""What the scoring thread does with a batch: histories to vectors, vectors to the best items.

Jobs of one bundle share one run of the user tower; those of one filter share one pass over the catalogue.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import NamedTuple, TypeVar

import numpy as np

from models.explanations import Reasons, explain
from models.history import History
from models.member_shares import MemberShare
from models.student import Floats
from service.errors import StudentFailed
from service.masks import Masks
from service.scoring.ranking import diversify, pool_size
from service.serving import Indices, ServingBundle, as_stored

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ScoringJob:
    """One request for the scorer.

    history: what the person did, oldest first. vector: (n_factors,) of exactly this history, or None to run
    the tower. diversity: 0..1. is_explained: also say why.
    """

    serving: ServingBundle
    history: History
    vector: Floats | None
    masks: Masks
    limit: int
    diversity: float = 0.0
    is_explained: bool = False


class Explanation(NamedTuple):
    """Why one item was recommended: by the person's own items, and by members of the ensemble; strongest first."""

    reasons: Reasons
    members: list[MemberShare]


@dataclass(frozen=True, slots=True)
class Scored:
    """Items best first (with diversity: in the order chosen), no -1 in it; up to `limit` of them.

    vector: (n_factors,) that was scored. vector_seconds: of the batch, in the user tower. explanations: of each item,
    if they were asked for.
    """

    item_indices: Indices
    scores: Floats
    vector: Floats
    vector_seconds: float
    explanations: list[Explanation] | None = None


def score_batch(
    jobs: Sequence[ScoringJob], on_tower_runs: Callable[[int], object] = lambda n_histories: None
) -> list[Scored]:
    """Score jobs together. Raises StudentFailed if a score is NaN.

    on_tower_runs: told how many histories had to go through the user tower.
    """
    results: dict[int, Scored] = {}
    for numbers in _groups(jobs, lambda job: id(job.serving)):
        members = [jobs[number] for number in numbers]
        started_at = perf_counter()
        missing = [row for row, job in enumerate(members) if job.vector is None]
        on_tower_runs(len(missing))
        vectors = _vectors(members, missing)
        vector_seconds = perf_counter() - started_at
        for rows in _groups(members, lambda job: id(job.masks.penalty)):
            scored = _rank([members[row] for row in rows], vectors[rows], vector_seconds)
            results.update(zip([numbers[row] for row in rows], scored, strict=True))
    return [results[number] for number in range(len(jobs))]


def _groups(items: Sequence[T], key: Callable[[T], Hashable]) -> list[list[int]]:
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for number, item in enumerate(items):
        groups[key(item)].append(number)
    return list(groups.values())


def _vectors(jobs: list[ScoringJob], missing: list[int]) -> Floats:
    """Known vectors and, in one run of the tower, those of the missing rows; (n_jobs, n_factors)."""
    student = jobs[0].serving.student
    vectors = np.empty((len(jobs), student.n_factors), np.float32)
    if missing:
        vectors[missing] = as_stored(student.user_vectors([jobs[row].history for row in missing]))
    for row, job in enumerate(jobs):
        if job.vector is not None:
            vectors[row] = job.vector
    return vectors


def _rank(jobs: list[ScoringJob], vectors: Floats, vector_seconds: float) -> list[Scored]:
    """vectors: (n_jobs, n_factors), of jobs that share one penalty."""
    width = max(pool_size(job.limit, job.diversity) for job in jobs)
    student = jobs[0].serving.student
    ranked = student.top_k(
        vectors,
        student.boosts([job.history for job in jobs]),
        width,
        blocked=[job.masks.blocked for job in jobs],
        penalty=jobs[0].masks.penalty,
    )
    if np.isnan(ranked.scores).any():
        raise StudentFailed("the student scored with NaN")
    return [
        _finish(job, vectors[row], ranked.item_indices[row], ranked.scores[row], vector_seconds)
        for row, job in enumerate(jobs)
    ]


def _finish(
    job: ScoringJob, vector: Floats, item_indices: Indices, scores: Floats, vector_seconds: float
) -> Scored:
    pool = pool_size(job.limit, job.diversity)
    n_items = int(np.count_nonzero(item_indices[:pool] >= 0))
    item_indices, scores = item_indices[:n_items], scores[:n_items]
    if job.diversity:
        chosen = diversify(job.serving.student.item_vectors(item_indices), scores, job.limit, job.diversity)
        item_indices, scores = item_indices[chosen], scores[chosen]
    item_indices, scores = item_indices[: job.limit], scores[: job.limit]
    explanations = _explain(job, vector, item_indices) if job.is_explained else None
    return Scored(item_indices, scores, vector, vector_seconds, explanations)


def _explain(job: ScoringJob, vector: Floats, item_indices: Indices) -> list[Explanation]:
    student, shares = job.serving.student, job.serving.bundle.member_shares
    reasons = explain(student, job.history, item_indices)
    members = shares.strongest(student, vector, job.history, item_indices)
    return [Explanation(*each) for each in zip(reasons, members, strict=True)]
