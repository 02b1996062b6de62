"""The open loop's bookkeeping, with a clock that a test turns and connections that answer when told to."""

from __future__ import annotations

from itertools import repeat

import pytest

from loadtest.bench.connection import Connection
from loadtest.bench.open_loop import OpenLoop, OpenResult, latency_figures, poisson_schedule, run_open_loop
from loadtest.bench.questions import post
from tests.loadtest.bench.serving import reply, serving


class Held(Connection):
    """Notes what is sent; the test answers."""

    n_sent = 0

    def send(self, request: bytes) -> None:
        self.n_sent += 1


STEP = 1 / 64
"""Seconds between requests: binary fractions add up exactly."""


class Setting:
    """A loop that is due at every step, on a clock at 128."""

    def __init__(self, n_requests: int = 10, n_connections: int = 10) -> None:
        self.now = 128.0
        due = [number * STEP for number in range(n_requests)]
        self.loop = OpenLoop(due, repeat(b"ask"), b"good", lambda: self.now)
        self.connections = [Held(self.loop) for _ in range(n_connections)]
        self.loop.begin(self.connections)

    def send_at(self, seconds: float) -> bool:
        self.now = 128.0 + seconds
        return self.loop.send_due()

    def answer_at(self, seconds: float, connection: Connection, body: bytes = b"good") -> None:
        self.now = 128.0 + seconds
        self.loop.replied(connection, True, body)


def test_requests_leave_when_they_are_due_whatever_became_of_others() -> None:
    setting = Setting()
    for steps, n_sent in [(0, 1), (0.5, 1), (1, 2), (2.9, 3), (5, 6)]:
        assert setting.send_at(steps * STEP)
        assert sum(each.n_sent for each in setting.connections) == n_sent


def test_a_stall_of_the_server_is_in_the_latency_of_all_who_came_meanwhile() -> None:
    setting = Setting()
    for number in range(10):
        setting.send_at(number * STEP)
    for connection in setting.connections:
        setting.answer_at(0.5, connection)
    assert setting.loop.result.latencies == [0.5 - number * STEP for number in range(10)]
    assert setting.loop.done.is_set()


def test_a_wait_for_a_free_connection_counts_from_the_schedule() -> None:
    setting = Setting(n_requests=3, n_connections=1)
    [connection] = setting.connections
    setting.send_at(0.0)
    for number in range(3):
        setting.answer_at(0.25 + number * STEP, connection)
        setting.send_at(0.25 + number * STEP)
    assert setting.loop.result.latencies == [0.25, 0.25, 0.25]
    assert setting.loop.result.lags == [0.0, 0.25 - STEP, 0.25 - STEP]


def test_the_clients_own_lateness_is_in_latency_and_shown_beside_it() -> None:
    setting = Setting(n_requests=2)
    assert not setting.send_at(3 * STEP)
    for connection in setting.connections[:2]:
        setting.answer_at(4 * STEP, connection)
    assert setting.loop.result.lags == [3 * STEP, 2 * STEP]
    assert setting.loop.result.latencies == [4 * STEP, 3 * STEP]


def test_what_has_no_answer_in_the_end_has_failed_sent_or_not() -> None:
    setting = Setting(n_requests=5, n_connections=2)
    setting.send_at(1.0)
    setting.answer_at(1.1, setting.connections[0])
    setting.loop.give_up()
    assert setting.loop.result.n_failed == 4


def test_a_connection_that_breaks_fails_the_request_it_carried_and_no_other() -> None:
    setting = Setting(n_requests=1, n_connections=2)
    setting.send_at(0.0)
    setting.loop.lost(setting.connections[1])
    assert setting.loop.result.n_failed == 0
    setting.loop.lost(setting.connections[0])
    assert setting.loop.result.n_failed == 1
    assert setting.loop.done.is_set()


def test_refusals_and_simpler_answers_are_told_apart() -> None:
    setting = Setting(n_requests=2)
    setting.send_at(0.01)
    setting.loop.replied(setting.connections[0], False, b"good")
    setting.loop.replied(setting.connections[1], True, b"popular")
    assert (setting.loop.result.n_failed, setting.loop.result.n_unmarked) == (1, 1)


def test_the_schedule_keeps_its_rate_and_its_seed() -> None:
    due = poisson_schedule(1000, 5, seed=1)
    assert len(due) == pytest.approx(5000, rel=0.1)
    assert due == sorted(due)
    assert due[-1] < 5
    assert due == poisson_schedule(1000, 5, seed=1)
    assert due != poisson_schedule(1000, 5, seed=2)


def test_figures_are_percentiles_over_all_stretches() -> None:
    stretches = [
        OpenResult(500, n_failed=1, latencies=[0.001 * number for number in range(1, 501)], lags=[0.0]),
        OpenResult(
            500, n_unmarked=2, latencies=[0.001 * number for number in range(501, 1001)], lags=[0.002]
        ),
    ]
    figures = latency_figures(stretches)
    assert (figures["p50_ms"], figures["p99_ms"], figures["p999_ms"], figures["max_ms"]) == (
        500,
        990,
        999,
        1000,
    )
    assert (figures["failures"], figures["degraded"], figures["requests"]) == (1, 2, 1000)
    assert figures["client_lag_max_ms"] == 2.0


async def test_a_real_server_gets_every_scheduled_request() -> None:
    async with serving(lambda number: reply(b"good")) as port:
        due = poisson_schedule(500, 0.2, seed=0)
        result = await run_open_loop(port, due, repeat(post("/recommend", b"{}")), b"good")
    assert len(result.latencies) == len(result.lags) == len(due)
    assert (result.n_failed, result.n_unmarked) == (0, 0)
