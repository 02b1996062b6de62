"""Idempotency keys in a process."""

from __future__ import annotations

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
