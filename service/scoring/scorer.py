"""Scores a batch: runs histories without a vector through the user tower, then searches the best items by vector.

Jobs of one bundle share one run of the tower, and those of one filter share one search of the catalogue. Variants
other than the student have neither (`service/scoring/variant_ranking.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from time import perf_counter
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np

from models.explanations import Reasons, explain
from models.history import EncodedHistory, History
from models.member_shares import MemberShare
from models.scan import ScanQuery
from models.student import Floats
from service.bundles.serving import Indices, ServingBundle, as_stored
from service.contract.errors import StageFailed, StudentFailed
from service.scoring.masks import NO_ITEMS, Masks
from service.scoring.ranking import diversify, pool_size
from service.scoring.variant_ranking import rank_by_variant

T = TypeVar("T")

STUDENT = "student"
NO_VECTOR, NO_SCORES = np.zeros(0, np.float32), np.zeros(0, np.float32)


class ScoringJob(msgspec.Struct, gc=False):
    """One request for the scorer.

    events: what the person did, as the student reads it. query: the question for the catalogue; None if the user
    tower has to run first. masks: what must not be in the answer. diversity: 0..1. explained: the history to explain
    the answer by; None if nobody asked. variant: the student, the ensemble, or one of its members. history: the whole
    history, for variants other than the student, which reads the latest events only. The garbage collector need not
    see jobs, because nothing in one refers to it.
    """

    serving: ServingBundle
    events: EncodedHistory
    query: ScanQuery | None
    masks: Masks
    limit: int
    diversity: float = 0.0
    explained: History | None = None
    variant: str = STUDENT
    history: History | None = None

    @property
    def is_quick(self) -> bool:
        """Whether the job is a single search of the catalogue: a fraction of a millisecond at any size."""
        return (
            self.query is not None
            and not self.diversity
            and self.explained is None
            and self.variant == STUDENT
        )


class Explanation(NamedTuple):
    """Why an item was recommended: the person's own items and the ensemble's members, strongest first."""

    reasons: Reasons
    members: list[MemberShare]


class Scored(msgspec.Struct):
    """The ranking, best first (with diversity: in the order chosen), with no -1 in it, of up to `limit` items.

    query: the question, with the vector. vector_seconds: the batch's time in the user tower. explanations: one per
    item, if requested. failure: why a variant other than the student has no answer. The collector must see this
    struct, since the traceback of a raised failure may lead back to it.
    """

    item_indices: Indices
    scores: Floats
    query: ScanQuery
    vector_seconds: float = 0.0
    explanations: list[Explanation] | None = None
    failure: StageFailed | None = None


def score_batch(
    jobs: Sequence[ScoringJob], on_tower_runs: Callable[[int], object] = lambda n_histories: None
) -> list[Scored]:
    """Score jobs together. Raises StudentFailed if a score is NaN.

    on_tower_runs: called with the number of histories that went through the user tower.
    """
    if len(jobs) == 1:
        return _score_group(jobs, on_tower_runs)
    results: dict[int, Scored] = {}
    for numbers in _groups(jobs, lambda job: (id(job.serving), job.variant, id(job.masks.allowed))):
        scored = _score_group([jobs[number] for number in numbers], on_tower_runs)
        results.update(zip(numbers, scored, strict=True))
    return [results[number] for number in range(len(jobs))]


def _groups(items: Sequence[T], key: Callable[[T], Hashable]) -> list[list[int]]:
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for number, item in enumerate(items):
        groups[key(item)].append(number)
    return list(groups.values())


def _score_group(jobs: Sequence[ScoringJob], on_tower_runs: Callable[[int], object]) -> list[Scored]:
    """Score jobs that share bundle, variant and filter."""
    if jobs[0].variant != STUDENT:
        return _score_variant(jobs)
    queries, vector_seconds = _questions(jobs, on_tower_runs)
    width = max([pool_size(job.limit, job.diversity) for job in jobs])
    ranked = jobs[0].serving.student.top_k(queries, width, allowed=jobs[0].masks.allowed)
    if np.isnan(ranked.scores[:, 0]).any():  # either all of a person's scores are NaN, or none
        raise StudentFailed("the student scored with NaN")
    scored = []
    for row, job in enumerate(jobs):
        scored.append(_finish(job, ranked.item_indices[row], ranked.scores[row], queries[row]))
        scored[-1].vector_seconds = vector_seconds
    return scored


def _score_variant(jobs: Sequence[ScoringJob]) -> list[Scored]:
    """Score jobs that share bundle and variant. No user vector is needed, as these answers are not explained."""
    serving, variant = jobs[0].serving, jobs[0].variant
    questions = [(_history_of(job), job.masks, pool_size(job.limit, job.diversity)) for job in jobs]
    scored = []
    for job, ranked in zip(jobs, rank_by_variant(serving, variant, questions), strict=True):
        query = ScanQuery(NO_VECTOR, job.events, *job.masks[:2])
        if isinstance(ranked, StageFailed):
            scored.append(Scored(NO_ITEMS, NO_SCORES, query, failure=ranked))
        else:
            scored.append(_finish(job, ranked.item_indices[0], ranked.scores[0], query))
    return scored


def _history_of(job: ScoringJob) -> History:
    assert job.history is not None, "whoever asks a variant other than the student gives the history"
    return job.history


def _questions(
    jobs: Sequence[ScoringJob], on_tower_runs: Callable[[int], object]
) -> tuple[list[ScanQuery], float]:
    """Return the questions for the catalogue, and how many seconds the tower took for those without a vector."""
    missing = [job for job in jobs if job.query is None]
    if not missing:
        return [job.query for job in jobs if job.query is not None], 0.0
    started_at = perf_counter()
    vectors = iter(as_stored(jobs[0].serving.student.vectors_of([job.events for job in missing])))
    on_tower_runs(len(missing))
    vector_seconds = perf_counter() - started_at
    queries = [job.query or ScanQuery(next(vectors), job.events, *job.masks[:2]) for job in jobs]
    return queries, vector_seconds


def _finish(job: ScoringJob, item_indices: Indices, scores: Floats, query: ScanQuery) -> Scored:
    """Turn the best items into an answer. item_indices, scores: best first, some indices perhaps -1."""
    if not job.diversity and job.explained is None and item_indices[job.limit - 1] >= 0:
        return Scored(item_indices[: job.limit], scores[: job.limit], query)  # the usual case
    pool = pool_size(job.limit, job.diversity)
    n_items = int(np.count_nonzero(item_indices[:pool] >= 0))
    item_indices, scores = item_indices[:n_items], scores[:n_items]
    if job.diversity:
        chosen = diversify(job.serving.student.item_vectors(item_indices), scores, job.limit, job.diversity)
        item_indices, scores = item_indices[chosen], scores[chosen]
    item_indices, scores = item_indices[: job.limit], scores[: job.limit]
    explanations = None
    if job.explained is not None and job.variant == STUDENT:  # the student cannot explain another variant
        explanations = _explain(job.serving, job.explained, query.vector, item_indices)
    return Scored(item_indices, scores, query, explanations=explanations)


def _explain(
    serving: ServingBundle, history: History, vector: Floats, item_indices: Indices
) -> list[Explanation]:
    reasons = explain(serving.student, history, item_indices)
    members = serving.bundle.member_shares.strongest(serving.student, vector, history, item_indices)
    return [Explanation(*each) for each in zip(reasons, members, strict=True)]
