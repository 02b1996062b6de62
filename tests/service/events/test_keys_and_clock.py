"""Idempotency keys in a process, and a clock that never goes back."""

from __future__ import annotations

from service.events.clock import ReceivingClock
from service.events.keys import BatchKeys


def test_first_batch_under_a_key_counts_and_the_oldest_keys_leave() -> None:
    keys = BatchKeys(2)
    keys.add("a", "a1" * 16, 5)
    keys.add("a", "ff" * 16, 6)
    keys.add("b", "b1" * 16, 7)
    assert keys.find("a") == ("a1" * 16, 5)
    keys.add("c", "c1" * 16, 8)
    assert keys.find("a") is None
    assert (keys.find("b"), len(keys)) == (("b1" * 16, 7), 2)


def test_clock_that_steps_back_stands_still_here() -> None:
    moments = iter([9_000_000, 5_000_000, 5_000_000, 12_000_000, 1_000_000])
    clock = ReceivingClock(lambda: next(moments))
    assert [clock.received_ms() for _ in range(2)] == [9, 9]
    assert clock.after(10) == 11
    assert clock.received_ms() == 12
    clock.not_before(20)
    assert clock.received_ms() == 20
