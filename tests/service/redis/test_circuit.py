"""The circuit breaker, under a clock that the test turns."""

from __future__ import annotations

import pytest

from service.contract.errors import RedisUnavailable
from service.redis.circuit import Circuit, CircuitState


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuit(clock: Clock) -> Circuit:
    return Circuit(max_failures=2, open_seconds=5.0, clock=clock)


def test_failures_in_a_row_open_it(circuit: Circuit) -> None:
    circuit.failed()
    circuit.check()
    circuit.failed()
    with pytest.raises(RedisUnavailable):
        circuit.check()


def test_success_in_between_starts_the_count_again(circuit: Circuit) -> None:
    circuit.failed()
    circuit.succeeded()
    circuit.failed()
    circuit.check()


def test_after_the_pause_one_trip_may_try(circuit: Circuit, clock: Clock) -> None:
    circuit.failed()
    circuit.failed()
    clock.now = 4.9
    with pytest.raises(RedisUnavailable):
        circuit.check()
    clock.now = 5.0
    circuit.check()
    assert circuit.state is CircuitState.HALF_OPEN
    with pytest.raises(RedisUnavailable):
        circuit.check()


def test_trial_that_fails_opens_it_for_another_pause(circuit: Circuit, clock: Clock) -> None:
    circuit.failed()
    circuit.failed()
    clock.now = 5.0
    circuit.check()
    circuit.failed()
    clock.now = 9.9
    with pytest.raises(RedisUnavailable):
        circuit.check()


def test_trial_that_succeeds_closes_it(circuit: Circuit, clock: Clock) -> None:
    circuit.failed()
    circuit.failed()
    clock.now = 5.0
    circuit.check()
    circuit.succeeded()
    circuit.check()
    circuit.failed()
    circuit.check()


def test_trial_that_never_reports_back_does_not_block_the_next(circuit: Circuit, clock: Clock) -> None:
    circuit.failed()
    circuit.failed()
    clock.now = 5.0
    circuit.check()
    clock.now = 10.0
    circuit.check()


def test_changes_are_told_once(clock: Clock) -> None:
    told: list[CircuitState] = []
    circuit = Circuit(1, 5.0, clock=clock, on_change=told.append)
    circuit.succeeded()
    circuit.failed()
    circuit.failed()
    clock.now = 10.0
    circuit.check()
    circuit.succeeded()
    assert told == [CircuitState.OPEN, CircuitState.HALF_OPEN, CircuitState.CLOSED]
