from __future__ import annotations

import numpy as np

from training.ensemble.footprint import footprint


def test_memory_that_is_held_is_counted() -> None:
    with footprint() as cost:
        held = np.ones(50_000_000, np.uint8)
    assert cost.peak_memory_bytes > 0.9 * held.nbytes


def test_memory_of_before_is_not_counted() -> None:
    held = np.ones(50_000_000, np.uint8)
    with footprint() as cost:
        pass
    assert cost.peak_memory_bytes < 0.5 * held.nbytes


def test_time_passes() -> None:
    with footprint() as cost:
        np.ones(1_000_000).sum()
    assert cost.seconds > 0


def test_freed_memory_that_is_used_again_is_counted() -> None:
    # The last block stays, so that the heap below it is not given back by itself.
    blocks = [bytearray(10_000) for _ in range(5_000)]
    last = blocks.pop()
    blocks.clear()
    with footprint() as cost:
        blocks = [bytearray(10_000) for _ in range(5_000)]
    assert cost.peak_memory_bytes > 0.8 * len(blocks) * len(last)
