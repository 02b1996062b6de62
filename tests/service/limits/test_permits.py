"""Permits count who is at work, and how many ever were."""

from __future__ import annotations

import pytest

from service.contract.errors import Overloaded
from service.limits.permits import LEAST, WINDOW_SECONDS, BodyBytes, Permits

AIM = 0.0125


def test_a_batch_is_one_request_however_many_permits_it_holds() -> None:
    permits = Permits(8)
    held = permits.take()
    held = permits.take(5, held=held)
    assert (permits.n_taken, permits.n_ever_taken) == (5, 1)
    permits.give_back(held)
    permits.take()
    assert (permits.n_taken, permits.n_ever_taken) == (1, 2)


def test_refused_request_was_never_at_work() -> None:
    permits = Permits(1)
    permits.take()
    with pytest.raises(Overloaded, match="1 requests are at work"):
        permits.take()
    assert permits.n_ever_taken == 1


def test_one_is_taken_only_where_one_is_left() -> None:
    told: list[int] = []
    permits = Permits(1, told.append)
    assert permits.take_one()
    assert not permits.take_one()
    permits.give_back(1)
    assert permits.take_one()
    assert (told, permits.n_ever_taken) == ([1, 0, 1], 2)


class Answering:
    """A service whose answers a second are given; each takes as long as those who are let in make it take."""

    def __init__(self, per_second: float, most: int = 128) -> None:
        self.permits = Permits(most, aim_seconds=AIM)
        self.per_second = per_second
        self.now = 1000.0

    def run(self, seconds: float, *, n_at_work: int | None = None) -> None:
        """n_at_work: as many as are let in where more want to be."""
        end = self.now + seconds
        while self.now < end:
            self.now += 1 / self.per_second
            n = self.permits.limit if n_at_work is None else min(n_at_work, self.permits.limit)
            self.permits.answered(n / self.per_second, self.now)


@pytest.mark.parametrize(("per_second", "limit"), [(6000, 75), (4000, 50), (2400, 30)])
def test_as_many_are_let_in_as_are_answered_in_the_time_aimed_at(per_second: float, limit: int) -> None:
    service = Answering(per_second)
    service.run(1)
    assert service.permits.limit == pytest.approx(limit, abs=1)
    assert service.permits.limit / per_second <= AIM


@pytest.mark.parametrize("n_at_work", [21, 23, 24])
def test_limit_stays_where_answers_take_nearly_what_is_aimed_at(n_at_work: int) -> None:
    service = Answering(2000)
    service.run(1)
    fitting = service.permits.limit
    for _ in range(20):
        service.run(0.1, n_at_work=n_at_work)
        assert service.permits.limit == fitting


def test_few_are_let_in_however_slow_they_are() -> None:
    service = Answering(10)
    service.run(5)
    assert service.permits.limit == LEAST


def test_slow_answers_of_few_at_work_refuse_nobody() -> None:
    service = Answering(20)
    service.run(5, n_at_work=2)
    assert service.permits.limit == 128


def test_all_are_let_in_again_once_answers_are_fast() -> None:
    service = Answering(1000)
    service.run(1)
    assert service.permits.limit < 128
    service.per_second = 20_000
    service.run(1, n_at_work=3)
    assert service.permits.limit == 128


def test_one_stall_halves_the_limit_at_most() -> None:
    """A hundred milliseconds in which a thousand a second came: they are answered together, and late."""
    permits = Permits(128, aim_seconds=AIM)
    permits.answered(0.001, 1000.0)
    for number in range(100):
        permits.answered(0.1 - number / 1000, 1000.1 + number / 20_000)
    assert permits.limit == 128
    permits.answered(0.02, 1000.0 + 4 * WINDOW_SECONDS)
    assert permits.limit >= 64


def test_refusals_alone_say_nothing_of_the_limit() -> None:
    permits = Permits(128, aim_seconds=AIM)
    for number in range(10):
        permits.answered(0.0001, 1000.0 + number, n_permits=0)
    assert permits.limit == 128


def test_without_an_aim_the_limit_is_fixed() -> None:
    permits = Permits(100)
    for number in range(1000):
        permits.answered(10.0, number / 10)
    assert permits.limit == 100


def test_bodies_together_hold_no_more_than_the_limit_and_give_it_back() -> None:
    bodies = BodyBytes(100)
    with bodies.holding() as hold:
        hold(60)
        with bodies.holding() as hold_other:
            hold_other(40)
            with pytest.raises(Overloaded, match="at most 100"):
                hold_other(1)
            with pytest.raises(Overloaded):
                hold(1)
        hold(40)
    assert bodies.n_held == 0
