"""Compute a row's figures from its single questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypedDict

from loadtest.faults.schema import Phases, Timeline
from loadtest.faults.traffic import JudgedQuestion
from loadtest.verdict import percentile

SLICE_SECONDS = 0.25


@dataclass(frozen=True)
class Moments:
    """Moments of a row on `perf_counter`: the first question, the fault, and its repair."""

    started_at: float
    fault_at: float
    repaired_at: float


class Figures(TypedDict):
    """Figures of a row's questions, as in `RowReport`."""

    asked: int
    asked_before: int
    failed: int
    wrong: int
    late: int
    failures: dict[str, int]
    wrongs: dict[str, int]
    helpless: dict[str, int]
    degraded: dict[str, int]
    degraded_before: dict[str, int]
    degraded_during: dict[str, int]
    p50: Phases
    p99: Phases
    timeline: Timeline


def of_questions(
    all_judged: Sequence[JudgedQuestion], moments: Moments, helpless: frozenset[str], deadline_ms: float
) -> Figures:
    """Compute the figures of a row. helpless: words of judgements that are counted only there."""
    judged = [each for each in all_judged if not _is_helpless(each, helpless)]
    before = [each for each in judged if each.due_at < moments.fault_at]
    during = [each for each in judged if moments.fault_at <= each.due_at < moments.repaired_at]
    failures, wrongs = count(judged, "failed"), count(judged, "wrong")
    return Figures(
        asked=len(judged),
        asked_before=len(before),
        failed=sum(failures.values()),
        wrong=sum(wrongs.values()),
        late=n_late(judged, deadline_ms),
        failures=failures,
        wrongs=wrongs,
        helpless=dict(Counter(each.judgement.words for each in all_judged if _is_helpless(each, helpless))),
        degraded=count(judged, "degraded"),
        degraded_before=count(before, "degraded"),
        degraded_during=count(during, "degraded"),
        p50=phases(judged, moments, 0.5),
        p99=phases(judged, moments, 0.99),
        timeline=timeline(all_judged, moments),
    )


def _is_helpless(question: JudgedQuestion, helpless: frozenset[str]) -> bool:
    return question.judgement.kind in ("failed", "wrong") and question.judgement.words in helpless


def phases(judged: Sequence[JudgedQuestion], moments: Moments, share: float) -> Phases:
    """Compute a percentile of answered questions before, during and after the fault."""
    edges = (moments.started_at, moments.fault_at, moments.repaired_at, float("inf"))
    found = []
    for start, end in pairwise(edges):
        latencies = sorted(each.latency_ms for each in answered(judged) if start <= each.due_at < end)
        found.append(round(percentile(latencies, share), 2))
    return Phases(*found)


def answered(judged: Iterable[JudgedQuestion]) -> list[JudgedQuestion]:
    """Return the questions that got an answer, good or not."""
    return [each for each in judged if each.judgement.kind != "failed"]


def count(judged: Iterable[JudgedQuestion], kind: str) -> dict[str, int]:
    """Count judgements of a kind by their words, the most frequent first."""
    return dict(Counter(each.judgement.words for each in judged if each.judgement.kind == kind).most_common())


def n_late(judged: Iterable[JudgedQuestion], deadline_ms: float) -> int:
    """Count answers that took longer inside the service than their deadline, and gave no reason."""
    return sum(
        each.judgement.kind == "good" and each.took_ms is not None and each.took_ms > deadline_ms
        for each in judged
    )


def timeline(judged: Sequence[JudgedQuestion], moments: Moments) -> Timeline:
    """Count the whole row in slices of time."""
    n_slices = 1 + max((_slice(each, moments) for each in judged), default=0)
    slices: list[list[JudgedQuestion]] = [[] for _ in range(n_slices)]
    for each in judged:
        slices[max(0, _slice(each, moments))].append(each)
    latencies = [sorted(each.latency_ms for each in answered(some)) for some in slices]
    by_kind = {
        kind: [sum(each.judgement.kind == kind for each in some) for some in slices]
        for kind in ("good", "degraded", "failed", "wrong")
    }
    return Timeline(
        slice_seconds=SLICE_SECONDS,
        **by_kind,
        p50_ms=[round(percentile(some, 0.5), 2) for some in latencies],
        max_ms=[round(percentile(some, 1.0), 2) for some in latencies],
        fault_at=round(moments.fault_at - moments.started_at, 3),
        repaired_at=round(moments.repaired_at - moments.started_at, 3),
    )


def _slice(question: JudgedQuestion, moments: Moments) -> int:
    return int((question.due_at - moments.started_at) / SLICE_SECONDS)
