"""Measure peers at one size: each alternates with our service, round by round, once it is known to answer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from loadtest.bench.answers import ask, overlap
from loadtest.bench.counted import PeerServer
from loadtest.bench.environments import SAME_STUDENT, python_of
from loadtest.bench.errors import BenchFailed
from loadtest.bench.questions import LIMIT, SCENARIOS
from loadtest.bench.rounds import check_sound, median_ratio, of
from loadtest.bench.size import OURS, WARM_UP, SizeBench
from loadtest.errors import LoadTestError
from loadtest.peers.setting import PeerSetting
from loadtest.servers import free_port

N_COMPARED = 10
LEAST_OVERLAP = 0.95
"""Share of our items that a peer with our student must return: all of them, except for ties."""

PeerFigures = dict[str, dict[str, Any]]


def prepare_peers(
    names: tuple[str, ...], say: Callable[[str], None], make: Callable[[str], Path] = python_of
) -> tuple[dict[str, Path], PeerFigures]:
    """Make the peers' environments; return the interpreters, and for peers that failed the error for the report."""
    pythons: dict[str, Path] = {}
    figures: PeerFigures = {}
    for name in names:
        say(f"the environment of {name}")
        try:
            pythons[name] = make(name)
            figures[name] = {}
        except LoadTestError as error:
            say(f"{name} cannot be measured: {error}")
            figures[name] = {"error": str(error)}
    return pythons, figures


def measure_peers(
    bench: SizeBench, pythons: dict[str, Path], figures: PeerFigures, say: Callable[[str], None]
) -> None:
    """Fill in each peer's figures at this size; a peer that does not run has its error there instead."""
    people = bench.plan.logs / bench.shop.store.name / "people.txt"
    people.write_text("".join(f"{user_id}\n" for user_id in bench.questions.known))
    for name, python in pythons.items():
        say(f"{bench.shop.size}: {name}")
        try:
            figures[name][bench.shop.size] = _measure(bench, name, python, people)
        except (LoadTestError, OSError, TimeoutError) as error:
            say(f"{name} at {bench.shop.size}: {error}")
            figures[name][bench.shop.size] = {"error": str(error)}
            figures[name].setdefault("error", f"{bench.shop.size}: {error}")


def _measure(bench: SizeBench, name: str, python: Path, people: Path) -> dict[str, Any]:
    setting = PeerSetting(free_port(), bench.shop.store.absolute(), people.absolute(), bench.redis.url)
    log = people.with_name(f"{name}.log")
    core, _ = bench.plan.cores
    known = bench.questions.known
    with ExitStack() as stack:
        peer = stack.enter_context(PeerServer(name, python, log, core, setting, known[0]))
        agreement = _agreement(bench, peer, name)
        # Ask for everybody once, or as many as the peer manages, so that its caches are as warm as ours.
        everybody, seconds = bench.questions.everybody_once(), bench.plan.peer_round_seconds
        bench.ask(peer, name, SCENARIOS[0], WARM_UP, 2 * seconds, requests=everybody)
        for number in range(bench.plan.n_rounds):
            ours = bench.ask(bench.ours, OURS, SCENARIOS[0], number, seconds, beside=name)
            check_sound([ours, bench.ask(peer, name, SCENARIOS[0], number, seconds)])
        theirs = of(bench.rounds, bench.shop.size, name)
        return {
            "ratio": round(median_ratio(of(bench.rounds, bench.shop.size, OURS, beside=name), theirs), 3),
            "answers_per_cpu_second": round(median(each.per_cpu_second for each in theirs), 2),
            "seconds_to_ready": round(peer.seconds_to_ready, 2),
            "n_processes": len(peer.processes()),
            "shared_items": round(agreement, 4),
        }


def _agreement(bench: SizeBench, peer: PeerServer, name: str) -> float:
    """Return the mean share of our items that the peer answers too.

    Raises BenchFailed for short answers, and if a peer with our student answers other items.
    """
    shares = []
    for user_id in bench.questions.known[:N_COMPARED]:
        ours, theirs = (ask(port, user_id, LIMIT) for port in (bench.ours.port, peer.port))
        if len(theirs) < len(ours):
            raise BenchFailed(f"{name} gave {len(theirs)} items for {user_id!r}, we gave {len(ours)}")
        shares.append(overlap(ours, theirs))
    mean = sum(shares) / len(shares)
    if name in SAME_STUDENT and mean < LEAST_OVERLAP:
        raise BenchFailed(f"{name} runs our student and shares only {mean:.0%} of our items")
    return mean
