"""The clock of what is received: never backwards, not led astray by a jump, and back again once it is right."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.events.clock import BELIEVED_AFTER_MS, MAX_STEP_MS, ReceivingClock
from tests.support.service import running

DAY_MS = 86_400_000
NOW_MS = 1_700_000_000_000


class Machine:
    """Two clocks of a machine in milliseconds: `said` is set by anybody, `passed` by nobody."""

    def __init__(self) -> None:
        self.passed = 5_000_000
        self.said = NOW_MS
        self.clock = ReceivingClock(lambda: self.said * 1_000_000, lambda: self.passed * 1_000_000)

    def wait(self, milliseconds: int) -> int:
        """Time passes; what was received then, from the first moment on."""
        self.passed += milliseconds
        self.said += milliseconds
        return self.clock.received_ms() - NOW_MS

    def set(self, by_ms: int) -> None:
        """Somebody sets the clock."""
        self.said += by_ms


def test_time_passes_as_the_clock_says() -> None:
    machine = Machine()
    assert [machine.wait(0), machine.wait(7), machine.wait(1000)] == [0, 7, 1007]


def test_small_step_forward_is_followed_and_one_back_stands_still() -> None:
    machine = Machine()
    machine.set(5000)
    assert machine.wait(1) == 5001
    machine.set(-5000)
    assert [machine.wait(1), machine.wait(4998), machine.wait(2)] == [5001, 5001, 5002]


def test_jump_is_not_believed_before_it_has_lasted() -> None:
    for jump in (400 * DAY_MS, -400 * DAY_MS, MAX_STEP_MS + 1):
        machine = Machine()
        machine.wait(10)
        machine.set(jump)
        assert machine.wait(0) == 10
        assert machine.wait(BELIEVED_AFTER_MS - 1) == 10 + BELIEVED_AFTER_MS - 1
        assert machine.wait(1) == 10 + BELIEVED_AFTER_MS + jump


def test_jump_that_is_taken_back_marks_nothing() -> None:
    machine = Machine()
    machine.set(400 * DAY_MS)
    assert machine.wait(BELIEVED_AFTER_MS // 2) == BELIEVED_AFTER_MS // 2
    machine.set(-400 * DAY_MS)
    assert machine.wait(BELIEVED_AFTER_MS) == BELIEVED_AFTER_MS * 3 // 2
    machine.set(400 * DAY_MS)  # another one, which has to last of itself
    assert machine.wait(BELIEVED_AFTER_MS // 2) < DAY_MS


def test_another_jump_while_one_is_doubted_begins_to_last_anew() -> None:
    machine = Machine()
    machine.set(400 * DAY_MS)
    machine.wait(BELIEVED_AFTER_MS - 1)
    machine.set(3 * DAY_MS)
    assert machine.wait(BELIEVED_AFTER_MS - 1) < DAY_MS
    assert machine.wait(BELIEVED_AFTER_MS) > 402 * DAY_MS


def test_clock_that_was_wrong_from_the_start_comes_back() -> None:
    machine = Machine()
    machine.set(-2 * DAY_MS)
    machine.wait(0)
    assert machine.wait(BELIEVED_AFTER_MS) == BELIEVED_AFTER_MS - 2 * DAY_MS


def test_what_others_say_moves_it_at_most_by_a_step() -> None:
    machine = Machine()
    for said in (400 * DAY_MS, MAX_STEP_MS + 1):
        machine.clock.not_before(NOW_MS + said)
        assert machine.wait(0) == 0
    machine.clock.not_before(NOW_MS + MAX_STEP_MS)
    assert machine.wait(0) == MAX_STEP_MS
    machine.clock.not_before(NOW_MS + MAX_STEP_MS + 1)  # that is no further ahead of this than before
    assert machine.wait(0) == MAX_STEP_MS


def test_later_moment_is_later_than_any_before() -> None:
    machine = Machine()
    machine.clock.not_before(NOW_MS + MAX_STEP_MS)
    moments = [machine.clock.received_ms(), machine.clock.later_ms(), machine.clock.later_ms()]
    assert moments == sorted(set(moments))


async def test_service_that_gets_no_events_looks_at_its_clock(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = asyncio.Event()

    def received_ms(clock: ReceivingClock) -> int:
        looked.set()
        return NOW_MS

    async with running(store):
        monkeypatch.setattr(ReceivingClock, "received_ms", received_ms)
        async with asyncio.timeout(30):
            await looked.wait()


@given(
    st.lists(
        st.tuples(st.integers(0, 100_000), st.integers(-MAX_STEP_MS, MAX_STEP_MS), st.integers(-2, 2)),
        max_size=30,
    )
)
def test_it_never_goes_back_unless_a_jump_was_believed(steps: list[tuple[int, int, int]]) -> None:
    machine = Machine()
    before = machine.wait(0)
    for passed, step, jump in steps:
        offset = machine.clock._offset_ms
        machine.set(step + jump * DAY_MS)
        now = machine.wait(passed)
        assert now >= before or machine.clock._offset_ms < offset - MAX_STEP_MS
        before = now
