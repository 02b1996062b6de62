"""Make `reports/promotion.json` from what happened in the drill."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadtest.promotion.answers import Judged, count_faults
from loadtest.promotion.bundles import DrillStore
from loadtest.promotion.drill import N_WORKERS, Happened, Plan, Swap
from loadtest.promotion.traffic import Answered
from loadtest.verdict import percentile

SCHEMA_VERSION = 1
MAX_P99_RATIO = 2.0
MIN_TOLD_APART = 0.95
"""Share of questions that versions must answer differently for the comparison to mean anything."""

METHOD = (
    "Open loop: requests leave by a schedule, and latency counts from it to the whole body read. `during` is from "
    "the request to promote until every connection is answered from the new version, `before` the quiet stretch "
    "ahead of it; percentiles are nearest-rank, over all promotions together. An answer is mixed unless each "
    "recommendation in it is, item by item, what the version that it names says when nothing else goes on."
)


def make_report(plan: Plan, store: DrillStore, size: tuple[int, int], happened: Happened) -> dict[str, Any]:
    """Make the report, and say whether the drill passed. size: items and people of a bundle."""
    judged = [happened.references.judge(answered) for answered in happened.answered]
    before, during = stretches(happened)
    p99_before, p99_during = _p99(before), _p99(during)
    assert happened.roll_back is not None
    report = {
        "schema_version": SCHEMA_VERSION,
        "method": METHOD,
        "items": size[0],
        "people": size[1],
        "bundle_bytes": store.bundle_bytes(),
        "workers": N_WORKERS,
        "seed": plan.seed,
        "requests_per_second": plan.rate,
        "questions": plan.n_questions,
        "questions_told_apart": round(happened.references.tell_apart(), 4),
        "answers": len(judged),
        "failed": sum(each.fault is not None for each in judged),
        "faults": dict(count_faults(judged)),
        "mixed": sum(each.is_mixed for each in judged),
        "answers_of_bad_bundle": _n_naming(store.bad, judged),
        "p50_before_ms": _round(percentile(_latencies(before), 0.5)),
        "p50_during_ms": _round(percentile(_latencies(during), 0.5)),
        "p99_before_ms": _round(p99_before),
        "p99_during_ms": _round(p99_during),
        "p99_ratio": round(p99_during / p99_before, 3) if p99_before else None,
        "answers_before": len(before),
        "answers_during": len(during),
        "promotions": [_swap_figures(swap, happened.answered) for swap in happened.swaps],
        "roll_back": _swap_figures(happened.roll_back, happened.answered),
        "bad_bundle_refused_by_route": happened.refused_by_route,
        "bad_bundle_refused_by_workers": happened.n_refused_by_hand,
    }
    missed = list(_missed(report))
    return {"met": not missed, "missed": missed, **report}


def stretches(happened: Happened) -> tuple[list[Answered], list[Answered]]:
    """Return the answers due in the quiet stretches before promotions, and those due during one."""
    before, during = [], []
    for swap in happened.swaps:
        before += _due_between(happened.answered, swap.quiet_from, swap.requested_at)
        during += _due_between(happened.answered, swap.requested_at, swap.settled_at)
    return before, during


def write_report(report: dict[str, Any], path: Path) -> None:
    """Write a report as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")


def _missed(report: dict[str, Any]) -> list[str]:
    must_be_zero = ("failed", "mixed", "answers_of_bad_bundle")
    missed = [f"{report[name]} {name.replace('_', ' ')}" for name in must_be_zero if report[name]]
    if report["questions_told_apart"] < MIN_TOLD_APART:
        missed.append(f"only {report['questions_told_apart']:.0%} of the questions tell versions apart")
    if report["p99_ratio"] is None or report["p99_ratio"] > MAX_P99_RATIO:
        missed.append(
            f"p99 during a swap is {report['p99_ratio']} times p99 before, {MAX_P99_RATIO:g} is allowed"
        )
    if not report["bad_bundle_refused_by_route"]:
        missed.append("the operators' route took a bad bundle")
    if report["bad_bundle_refused_by_workers"] < N_WORKERS:
        missed.append(
            f"{report['bad_bundle_refused_by_workers']} of {N_WORKERS} workers refused a bad bundle"
        )
    return missed


def _swap_figures(swap: Swap, answered: Sequence[Answered]) -> dict[str, Any]:
    """Return the figures of one swap. everywhere_ms: from the request to the last answer of the old version."""
    before = _due_between(answered, swap.quiet_from, swap.requested_at)
    during = _due_between(answered, swap.requested_at, swap.settled_at)
    return {
        "version": swap.version,
        "replaced": swap.replaced,
        "reply_ms": _round(1000 * (swap.replied_at - swap.requested_at)),
        "everywhere_ms": _round(1000 * (swap.last_old_at - swap.requested_at)),
        "p99_before_ms": _round(_p99(before)),
        "p99_during_ms": _round(_p99(during)),
        "max_during_ms": _round(percentile(_latencies(during), 1.0)),
        "answers_during": len(during),
    }


def _due_between(answered: Sequence[Answered], start: float, end: float) -> list[Answered]:
    return [each for each in answered if start <= each.due_at < end]


def _latencies(answered: Sequence[Answered]) -> list[float]:
    return sorted(each.latency_ms for each in answered)


def _p99(answered: Sequence[Answered]) -> float:
    return percentile(_latencies(answered), 0.99)


def _n_naming(version: str, judged: Sequence[Judged]) -> int:
    return sum(version in each.versions for each in judged)


def _round(milliseconds: float) -> float:
    return round(milliseconds, 3)
