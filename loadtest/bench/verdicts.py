"""The bounds of the bench, and whether they were reached, read from the report, so that it can be judged again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

VS_BARE = {"10k": 0.35, "100k": 0.12, "1m": 0.10}
VS_UNLOGGED = 0.9
LEAST_RECALL = 0.98
MAX_P99_MS, MAX_P999_MS = 10.0, 25.0
FIRST_PEER = "fastapi_implicit_redis"
VS_FIRST_PEER = {"10k": 4.0, "100k": 12.0, "1m": 60.0}
SAME_STUDENT = ("litserve", "bentoml", "ray_serve")
MAX_P50_GROWTH = 2.0
LARGEST_SPREAD = 0.10
"""The largest spread of answers per CPU second over numbers of people; rounds of one service differ as much."""

MAX_START_SECONDS = 30.0
MAX_PRIVATE_BYTES = 150 * 2**20
LARGEST = (1_000_000, 10_000_000)
MAX_FILTER_COST = 2.0


@dataclass(frozen=True)
class Verdict:
    """One bound. is_met: None if the figure was not measured."""

    what: str
    bound: str
    reached: str
    is_met: bool | None


def judge(report: Mapping[str, Any]) -> list[Verdict]:
    """Judge every bound in the order in which they are stated; a missing figure is no success."""
    return [
        *_vs_bare(report),
        *_open_loop(report),
        *_peers(report),
        *_growth(report),
        *_largest(report),
        _rare_filter(report),
    ]


def _at_least(what: str, figure: float | None, bound: float) -> Verdict:
    return Verdict(what, f"≥ {bound:g}", _shown(figure), None if figure is None else figure >= bound)


def _at_most(what: str, figure: float | None, bound: float, unit: str = "") -> Verdict:
    met = None if figure is None else figure <= bound
    return Verdict(what, f"≤ {bound:g}{unit}", _shown(figure, unit), met)


def _shown(figure: float | None, unit: str = "") -> str:
    return "not measured" if figure is None else f"{figure:.4g}{unit}"


def _dig(report: Mapping[str, Any], *keys: str) -> Any:
    """Return a value deep in the report, or None."""
    found: Any = report
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _vs_bare(report: Mapping[str, Any]) -> Iterator[Verdict]:
    for size, bound in VS_BARE.items():
        yield _at_least(f"of a bare echo, {size}", _dig(report, "recommend_vs_bare", size), bound)
        figure = _dig(report, "recommend_vs_unlogged", size)
        yield _at_least(f"of itself without the live log, {size}", figure, VS_UNLOGGED)
    recall = _dig(report, "recall_at_100", "1m")
    yield _at_least("recall@100 of the search, 1m", recall, LEAST_RECALL)


def _open_loop(report: Mapping[str, Any]) -> Iterator[Verdict]:
    for size in VS_BARE:
        figures = _dig(report, "open_loop", size)
        yield _at_most(f"open loop p99, {size}", _dig(figures or {}, "p99_ms"), MAX_P99_MS, " ms")
        yield _at_most(f"open loop p99.9, {size}", _dig(figures or {}, "p999_ms"), MAX_P999_MS, " ms")
        yield _at_most(f"open loop failures, {size}", _dig(figures or {}, "failures"), 0)


def _peers(report: Mapping[str, Any]) -> Iterator[Verdict]:
    for size, bound in VS_FIRST_PEER.items():
        ratio = _dig(report, "peers", FIRST_PEER, size, "ratio")
        yield _at_least(f"times FastAPI + implicit + Redis, {size}", ratio, bound)
    for peer in SAME_STUDENT:
        for size in VS_FIRST_PEER:
            yield _at_least(f"times {peer}, {size}", _dig(report, "peers", peer, size, "ratio"), 1.0)


def _growth(report: Mapping[str, Any]) -> Iterator[Verdict]:
    small, large = (_dig(report, "open_loop", size, "p50_ms") for size in ("100k", "1m"))
    growth = large / small if small and large else None
    yield _at_most("p50 at 1m over p50 at 100k", growth, MAX_P50_GROWTH)
    rows = _dig(report, "people_sweep") or []
    rates = [row["answers_per_cpu_second"] for row in rows]
    spread = max(rates) / min(rates) - 1 if len(rates) > 1 else None
    yield _at_most("spread between numbers of people", spread, LARGEST_SPREAD)


def _largest(report: Mapping[str, Any]) -> Iterator[Verdict]:
    rows = [row for row in _dig(report, "scale") or [] if (row["n_items"], row["n_people"]) == LARGEST]
    row: Mapping[str, Any] = rows[0] if rows else {}
    starts = [row[key] for key in ("seconds_to_ready_cold", "seconds_to_ready_warm") if key in row]
    start = max(starts, default=None)
    yield _at_most("start to ready, 1m items and 10m people", start, MAX_START_SECONDS, " s")
    private = _dig(row, "further_worker", "private_bytes")
    mebibytes = None if private is None else private / 2**20
    yield _at_most("private memory of a further worker", mebibytes, MAX_PRIVATE_BYTES / 2**20, " MiB")


def _rare_filter(report: Mapping[str, Any]) -> Verdict:
    figures = _dig(report, "scenarios", "1m", "filter_one_percent") or {}
    cost, full = figures.get("cost_in_plain_answers"), figures.get("full_share")
    what = "cost of a filter that passes 1 % of 1m, all answers full"
    if cost is None or full is None:
        return Verdict(what, f"≤ {MAX_FILTER_COST:g}", "not measured", None)
    is_met = cost <= MAX_FILTER_COST and full == 1.0
    return Verdict(what, f"≤ {MAX_FILTER_COST:g}, 100 % full", f"{cost:.3g}, {full:.1%} full", is_met)
