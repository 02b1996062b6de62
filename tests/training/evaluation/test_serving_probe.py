"""What a probe measures: its own memory, every person in turn, and only after warming up."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from models.history import Event, History
from training.evaluation import serving_probe
from training.evaluation.serving_probe import forget_peak, peak_resident_bytes, resident_bytes

MEGABYTE = 2**20


def test_peak_outlives_what_was_freed_until_it_is_forgotten() -> None:
    forget_peak()
    before = peak_resident_bytes()
    held = np.ones(64 * MEGABYTE, np.uint8)
    assert peak_resident_bytes() >= before + 60 * MEGABYTE
    del held
    assert peak_resident_bytes() >= before + 60 * MEGABYTE
    forget_peak()
    assert peak_resident_bytes() < before + 30 * MEGABYTE


def test_peak_of_a_process_is_not_its_parents() -> None:
    held = np.ones(256 * MEGABYTE, np.uint8)
    code = "from training.evaluation.serving_probe import peak_resident_bytes; print(peak_resident_bytes())"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert int(finished.stdout) < len(held) <= resident_bytes()


def test_people_are_served_in_turn_and_from_the_first_again() -> None:
    histories = [History.from_events([Event(person, 0)]) for person in range(3)]
    batches = serving_probe._batches(histories, 2, 3)
    assert [[int(history.item_indices[0]) for history in batch] for batch in batches] == [
        [0, 1],
        [2, 0],
        [1, 2],
    ]


def test_only_answers_after_the_warm_up_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_probe, "N_WARM_UP", 2)
    served: list[int] = []
    histories = [History.from_events([Event(person, 0)]) for person in range(5)]

    def answer(batch: Sequence[History]) -> npt.NDArray[np.int32]:
        served.append(int(batch[0].item_indices[0]))
        return np.zeros((1, 10), np.int32)

    times = serving_probe._time(answer, [[history] for history in histories])
    assert served == [0, 1, 2, 3, 4]
    assert len(times.wall_ms) == 3
