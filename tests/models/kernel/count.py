"""Counts the instructions of a search with each way the kernel is written: `python -m tests.models.kernel.count`.

Time cannot be measured under an emulator; instructions can be counted, and are the same on every run. One question of
eight people is asked once and twice more, and the difference is divided by the people. Needs what the tests beside
this need, and valgrind for the ways of this processor. Takes minutes.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.scan import available_kernels
from tests.models.catalogues import Catalogue, random_catalogue, random_people
from tests.models.kernel.asking import Question, build, stated

N_ITEMS, N_FACTORS, N_NEIGHBOURS, N_EVENTS, N_PEOPLE, K = 10_000, 64, 128, 27, 8, 20
"""Of the bench at 10,000 items; people have 0 to N_EVENTS events."""

WEIGHTY_SHARE = 0.3
ARM = ("qemu-aarch64", "-cpu", "max")


def question() -> tuple[Catalogue, Question]:
    """A catalogue as the bench has one, and people."""
    catalogue = random_catalogue(0, N_ITEMS, N_FACTORS, N_NEIGHBOURS)
    weights = catalogue.cooccurrence.neighbour_weights
    weights[np.random.default_rng(0).random(weights.shape) > WEIGHTY_SHARE] = 0
    return catalogue, Question(random_people(0, catalogue, N_PEOPLE, N_EVENTS), K)


def count_here(program: Path, kernel: str, times: int, asked: bytes) -> int:
    """By valgrind, of a program of this processor."""
    words = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        str(program),
        kernel,
        str(times),
    ]
    done = subprocess.run(words, input=asked, capture_output=True, check=True)
    found = re.search(rb"Collected : (\d+)", done.stderr)
    assert found is not None, done.stderr
    return int(found[1])


def count_emulated(emulator: Sequence[str], program: Path, kernel: str, times: int, asked: bytes) -> int:
    """By the emulator, which writes a line for each instruction."""
    words = [*emulator, "-singlestep", "-d", "nochain,exec", str(program), kernel, str(times)]
    with tempfile.TemporaryFile() as file:
        file.write(asked)
        file.seek(0)
        run = subprocess.Popen(words, stdin=file, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert run.stderr is not None
        n_instructions = sum(line.startswith(b"Trace") for line in run.stderr)
        assert run.wait() == 0
    return n_instructions


def main() -> None:
    """A line a way, as soon as it is counted."""
    asked = b"".join(stated(*question()))
    with tempfile.TemporaryDirectory() as folder:
        here = build(Path(folder) / "here", "gcc", "-O3")
        arm = build(Path(folder) / "arm", "aarch64-linux-gnu-gcc", "-O3", "-static")
        for kernel in available_kernels():
            once, twice = (count_here(here, kernel, times, asked) for times in (1, 2))
            print(f"{kernel:10} {(twice - once) // N_PEOPLE:>10,} instructions a person", flush=True)
        for kernel in ("neon-dot", "neon", "plain"):
            once, twice = (count_emulated(ARM, arm, kernel, times, asked) for times in (1, 2))
            print(f"ARM {kernel:8} {(twice - once) // N_PEOPLE:>8,} instructions a person", flush=True)


if __name__ == "__main__":
    main()
