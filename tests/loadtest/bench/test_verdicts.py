"""Each bound: reached at it, missed just beyond it, and no success where nothing was measured."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.bench.verdicts import judge
from tests.loadtest.bench.reports import good_report


def missed(report: dict[str, Any]) -> list[str]:
    return [each.what for each in judge(report) if each.is_met is not True]


def change(report: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The report with one figure changed. path: keys and positions with slashes between."""
    *way, last = path.split("/")
    node: Any = report
    for key in way:
        node = node[int(key)] if isinstance(node, list) else node[key]
    node[int(last) if isinstance(node, list) else last] = value
    return report


BOUNDS = [
    ("recommend_vs_bare/10k", 0.35, 0.3499, "of a bare echo, 10k"),
    ("recommend_vs_unlogged/10k", 0.9, 0.8999, "of itself without the live log, 10k"),
    ("recommend_vs_bare/100k", 0.12, 0.1199, "of a bare echo, 100k"),
    ("recommend_vs_bare/1m", 0.10, 0.0999, "of a bare echo, 1m"),
    ("recall_at_100/1m", 0.98, 0.9799, "recall@100 of the search, 1m"),
    ("open_loop/10k/p99_ms", 10.0, 10.1, "open loop p99, 10k"),
    ("open_loop/1m/p999_ms", 25.0, 25.1, "open loop p99.9, 1m"),
    ("open_loop/100k/failures", 0, 1, "open loop failures, 100k"),
    ("peers/fastapi_implicit_redis/10k/ratio", 4.0, 3.99, "times FastAPI + implicit + Redis, 10k"),
    ("peers/fastapi_implicit_redis/1m/ratio", 60.0, 59.9, "times FastAPI + implicit + Redis, 1m"),
    ("peers/ray_serve/100k/ratio", 1.0, 0.99, "times ray_serve, 100k"),
    ("open_loop/1m/p50_ms", 2.0, 2.01, "p50 at 1m over p50 at 100k"),
    ("people_sweep/1/answers_per_cpu_second", 108.0, 110.0, "spread between numbers of people"),
    ("scale/0/seconds_to_ready_cold", 30.0, 30.1, "start to ready, 1m items and 10m people"),
    ("scale/0/further_worker/private_bytes", 150 * 2**20, 151 * 2**20, "private memory of a further worker"),
    (
        "scenarios/1m/filter_one_percent/cost_in_plain_answers",
        2.0,
        2.01,
        "cost of a filter that passes 1 % of 1m, all answers full",
    ),
    (
        "scenarios/1m/filter_one_percent/full_share",
        1.0,
        0.999,
        "cost of a filter that passes 1 % of 1m, all answers full",
    ),
]


def test_a_good_report_reaches_everything() -> None:
    assert missed(good_report()) == []


@pytest.mark.parametrize(("path", "reached", "short", "what"), BOUNDS, ids=[bound[0] for bound in BOUNDS])
def test_a_bound_is_reached_at_it_and_missed_beyond(
    path: str, reached: float, short: float, what: str
) -> None:
    assert missed(change(good_report(), path, reached)) == []
    assert missed(change(good_report(), path, short)) == [what]


def test_an_empty_report_reaches_nothing() -> None:
    verdicts = judge({})
    assert len(verdicts) == len(judge(good_report()))
    assert all(each.is_met is None and each.reached == "not measured" for each in verdicts)


def test_a_peer_with_an_error_is_not_beaten() -> None:
    report = change(good_report(), "peers/bentoml/1m", {"error": "no such package"})
    assert missed(report) == ["times bentoml, 1m"]


def test_another_shop_says_nothing_of_the_largest() -> None:
    report = change(good_report(), "scale/0/n_people", 1_000_000)
    assert missed(report) == ["start to ready, 1m items and 10m people", "private memory of a further worker"]
