"""A peer that cannot be measured has its error in the report, where its ratio would be."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from loadtest.bench.bundles import shop_in
from loadtest.bench.counted import CountedRedis, CountedService
from loadtest.bench.errors import EnvironmentFailed
from loadtest.bench.peers import PeerFigures, measure_peers, prepare_peers
from loadtest.bench.plan import Plan
from loadtest.bench.questions import SCENARIOS, Questions
from loadtest.bench.rounds import RoundSpec
from loadtest.bench.size import ECHO, OURS, UNLOGGED, SizeBench
from loadtest.servers import free_port


def make(name: str) -> Path:
    if name == "litserve":
        raise EnvironmentFailed("litserve: no index")
    return Path(sys.executable)


def test_an_environment_that_cannot_be_made_is_the_peers_error() -> None:
    said: list[str] = []
    pythons, figures = prepare_peers(("precomputed", "litserve"), said.append, make)
    assert list(pythons) == ["precomputed"]
    assert figures == {"precomputed": {}, "litserve": {"error": "litserve: no index"}}
    assert any("no index" in line for line in said)


def test_a_peer_that_does_not_start_has_the_end_of_its_log_as_error(store: Path, tmp_path: Path) -> None:
    shop = shop_in(store)
    plan = Plan(store=store, logs=tmp_path / "logs")
    (plan.logs / store.name).mkdir(parents=True)
    bench = SizeBench(
        shop,
        plan,
        Questions(shop.people(), shop.items(), 1),
        CountedRedis(free_port(), tmp_path / "redis.log", None),
        CountedService(tmp_path / "service.log", None, store, ""),
    )
    figures: PeerFigures = {"nobody": {}}
    measure_peers(bench, {"nobody": Path(sys.executable)}, figures, lambda line: None)
    assert "No module named" in figures["nobody"]["40"]["error"]
    assert figures["nobody"]["error"].startswith("40: nobody ended with 1")


@pytest.mark.parametrize(
    ("name", "is_marked"), [(OURS, True), (UNLOGGED, True), (ECHO, False), ("litserve", False)]
)
def test_only_our_own_answers_are_looked_through_for_the_student(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_marked: bool
) -> None:
    shop, specs = shop_in(store), []

    def run_round(server: Any, spec: RoundSpec, number: int, seconds: float) -> None:
        specs.append(spec)

    monkeypatch.setattr("loadtest.bench.size.run_round", run_round)
    plan = Plan(store=store, logs=tmp_path / "logs")
    redis = CountedRedis(free_port(), tmp_path / "redis.log", None)
    service = CountedService(tmp_path / "service.log", None, store, "")
    bench = SizeBench(shop, plan, Questions(shop.people(), shop.items(), 1), redis, service)
    bench.ask(service, name, SCENARIOS[0], 0, 1.0)
    assert specs[0].is_marked is is_marked
