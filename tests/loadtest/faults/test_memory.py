"""Growth counts from when one says so, and the most there was is kept."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from loadtest.faults.memory import MemoryWatch
from loadtest.processes import own_bytes
from tests.support.waiting import eventually

GROWS_AND_SHRINKS_ON_A_LINE = """
import sys
print("ready", flush=True)
for line in sys.stdin:
    held = bytearray(b"x" * int(line))
    print("done", flush=True)
"""


def test_growth_of_a_process_is_seen_and_the_most_is_kept() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", GROWS_AND_SHRINKS_ON_A_LINE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def hold(n_bytes: int) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{n_bytes}\n")
        process.stdin.flush()
        process.stdout.readline()

    async def watched() -> None:
        watch = MemoryWatch(lambda: [process.pid])
        async with watch.watching():
            await watch.begin()
            hold(50 * 2**20)

            async def has_grown() -> bool:
                figures = watch.figures()
                return figures.peak_bytes - figures.before_bytes > 45 * 2**20

            await eventually(has_grown)
            hold(1)
        assert watch.figures().peak_bytes > own_bytes([process.pid]) + 40 * 2**20

    try:
        process.stdout.readline()
        asyncio.run(watched())
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def test_processes_that_are_gone_count_nothing() -> None:
    assert own_bytes([2**22 + 1]) == 0
