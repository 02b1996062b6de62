from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from training.base.progress import Stages


def stages() -> Stages:
    return Stages(Console(quiet=True))


def test_a_stage_that_comes_twice_is_summed_in_time_and_kept_apart_in_the_costs() -> None:
    run = stages()
    for words in ("als on the past", "als on the past and validation"):
        with run.stage("als", words):
            sum(range(100_000))
    assert [cost.words for cost in run.costs] == ["als on the past", "als on the past and validation"]
    assert run.seconds == {"als": sum(cost.seconds for cost in run.costs)}
    assert run.cpu_seconds["als"] == sum(cost.cpu_seconds for cost in run.costs) > 0
    assert run.peak_memory_bytes == {"als": max(cost.peak_memory_bytes for cost in run.costs)}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux sets the mark back")
def test_the_peak_of_a_stage_is_not_that_of_the_one_before() -> None:
    run = stages()
    with run.stage("large", ""):
        held = np.ones(25_000_000)
        held_bytes = held.nbytes
        del held
    with run.stage("small", ""):
        pass
    assert run.peak_memory_bytes["large"] - run.peak_memory_bytes["small"] > 0.8 * held_bytes


def test_costs_are_on_disk_after_every_stage(tmp_path: Path) -> None:
    run, file = stages(), tmp_path / "stages.json"
    with run.stage("read", "Reading"):
        pass
    run.keep_in(file)
    assert [row["name"] for row in json.loads(file.read_text())] == ["read"]
    with run.stage("split", "Holding out"):
        pass
    rows = json.loads(file.read_text())
    assert [row["name"] for row in rows] == ["read", "split"]
    assert set(rows[0]) == {"name", "words", "seconds", "cpu_seconds", "peak_memory_bytes"}


def test_without_a_terminal_a_long_stage_says_in_lines_how_far_it_is() -> None:
    seconds = 0.0
    output = io.StringIO()
    run = Stages(Console(file=output, width=118), prefix="next_basket: ", clock=lambda: seconds)
    with run.stage("simulate", "Simulating") as progress:
        for step in range(100):
            seconds = float(step)
            progress(step / 100, f"{step} of 100")
    *lines, finished = output.getvalue().splitlines()
    assert [line.strip() for line in lines] == [
        "next_basket: Simulating: 30% after 30 s, 30 of 100",
        "next_basket: Simulating: 60% after 60 s, 60 of 100",
        "next_basket: Simulating: 90% after 90 s, 90 of 100",
    ]
    assert "99.0 s" in finished


def test_a_stage_that_fails_is_no_finished_stage() -> None:
    run = stages()
    with pytest.raises(ValueError, match="broken"), run.stage("fit", ""):
        raise ValueError("broken")
    assert run.costs == []
