"""Rounds: what a server did in a second or two, and what it cost. Ratios are medians over interleaved rounds."""

from __future__ import annotations

import gc
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import comb
from statistics import median
from typing import Any, TypeVar

import uvloop

from loadtest.bench.answers import STUDENT_MARK, look_at
from loadtest.bench.closed_loop import run_closed_loop
from loadtest.bench.counted import HasCpu
from loadtest.bench.errors import BenchFailed
from loadtest.bench.questions import LIMIT, N_CONNECTIONS, PLAIN
from loadtest.verdict import percentile

MAX_SIMPLER_SHARE = 0.001
MAX_DEGRADED_SHARE = 0.1
"""The largest share of sampled answers that may be degraded. If a busy machine delays a read of Redis, an answer
calls itself degraded, although it comes from the student all the same.
"""

TAIL = 0.025
"""Probability on either side of an interval."""

T = TypeVar("T")


@dataclass(frozen=True)
class Round:
    """One round as the report has it. n_answers: recommendations, sixteen in a reply to a batch.

    per_second: answers within the round's time, per second of wall clock. n_short, n_degraded: among n_looked_at
    replies that were parsed in full. n_unmarked: among all replies, those without an answer of the student. beside:
    the peer that took turns with it, if any. number: below 0 for rounds that count in no figure.
    """

    size: str
    server: str
    scenario: str
    number: int
    n_answers: int
    n_failed: int
    n_unmarked: int
    n_looked_at: int
    n_short: int
    n_degraded: int
    cpu_seconds: float
    seconds: float
    per_second: float
    p50_ms: float
    beside: str = ""

    @property
    def per_cpu_second(self) -> float:
        """Answers per second of the server's CPU."""
        return self.n_answers / self.cpu_seconds


@dataclass(frozen=True)
class RoundSpec:
    """What a round runs. is_marked: answers must come from the student, which only the service states."""

    size: str
    server_name: str
    scenario: str
    requests: Iterator[bytes]
    n_answers: int = 1
    is_marked: bool = False
    n_connections: int = N_CONNECTIONS
    n_items: int = LIMIT
    beside: str = ""


def run_round(server: HasCpu, spec: RoundSpec, number: int, seconds: float) -> Round:
    """Run one closed-loop round. Raises BenchFailed if no reply came or CPU time cannot be read."""
    mark = STUDENT_MARK if spec.is_marked else b""
    before = server.cpu_seconds()
    with no_garbage_pauses():
        result = run_on_uvloop(run_closed_loop(server.port, spec.requests, seconds, spec.n_connections, mark))
    cpu_seconds = server.cpu_seconds() - before
    if not result.n_replies or cpu_seconds <= 0:
        raise BenchFailed(
            f"{spec.server_name}, {spec.scenario}: {result.n_replies} replies for {cpu_seconds:g} CPU seconds"
        )
    looked = look_at(result.samples, spec.n_items) if not result.n_failed else None
    return Round(
        spec.size,
        spec.server_name,
        spec.scenario,
        number,
        n_answers=result.n_replies * spec.n_answers,
        n_failed=result.n_failed,
        n_unmarked=result.n_unmarked,
        n_looked_at=looked.n_replies if looked else 0,
        n_short=looked.n_short if looked else 0,
        n_degraded=looked.n_degraded if looked else 0,
        cpu_seconds=round(cpu_seconds, 3),
        seconds=round(result.seconds, 4),
        per_second=round(result.n_in_time * spec.n_answers / seconds, 1),
        p50_ms=round(1000 * percentile(sorted(result.latencies), 0.5), 4),
        beside=spec.beside,
    )


def of(
    rounds: Sequence[Round], size: str, server: str, scenario: str = PLAIN, beside: str = ""
) -> list[Round]:
    """Return the rounds of one server and scenario that count. Raises BenchFailed if there are none."""
    wanted = (size, server, scenario, beside)
    found = [
        each
        for each in rounds
        if each.number >= 0 and (each.size, each.server, each.scenario, each.beside) == wanted
    ]
    if not found:
        raise BenchFailed(f"no rounds of {server}, {scenario} at {size}")
    return found


def median_ratio(ours: Sequence[Round], theirs: Sequence[Round]) -> float:
    """Return the median over rounds of answers per CPU second, ours over theirs, in pairs measured in succession."""
    return median(ratios(ours, theirs))


def ratios(ours: Sequence[Round], theirs: Sequence[Round]) -> list[float]:
    """Return answers per CPU second, ours over theirs, by pair."""
    by_number = {each.number: each for each in theirs}
    return [each.per_cpu_second / by_number[each.number].per_cpu_second for each in ours]


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return an interval of the median with at least 95 % confidence, whatever the distribution of the values.

    Its ends are two of the values: as far from either end as possible so that fair coins would fall further out with
    2.5 % probability at most. Fewer than six values have no such pair, and get the range from least to greatest.
    """
    ordered, n_inward, beyond = sorted(values), 0, 0.0
    while (beyond := beyond + comb(len(ordered), n_inward) / 2 ** len(ordered)) <= TAIL:
        n_inward += 1
    n_inward = max(n_inward, 1)
    return ordered[n_inward - 1], ordered[-n_inward]


def check_sound(rounds: Sequence[Round]) -> None:
    """Raise BenchFailed for rounds that cost less than what is being measured.

    These have failed requests, more than a few answers from a simpler tier, or many answers that are degraded.
    """
    for each in rounds:
        where = f"{each.server}, {each.scenario}, {each.size}, round {each.number}"
        if each.n_failed:
            raise BenchFailed(f"{where}: {each.n_failed} of {each.n_answers} requests failed")
        if each.n_unmarked > MAX_SIMPLER_SHARE * each.n_answers:
            raise BenchFailed(
                f"{where}: {each.n_unmarked} of {each.n_answers} answers came from a simpler tier"
            )
        if each.n_degraded > MAX_DEGRADED_SHARE * each.n_looked_at:
            raise BenchFailed(
                f"{where}: {each.n_degraded} of {each.n_looked_at} sampled answers are degraded"
            )


def run_on_uvloop(work: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop, the event loop that the client is written for."""
    return uvloop.run(work)


@contextmanager
def no_garbage_pauses() -> Iterator[None]:
    """Switch off the client's garbage collector, whose pauses would look like a slow server."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
