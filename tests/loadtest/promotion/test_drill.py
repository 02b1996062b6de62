"""The drill, short: a real service with two workers, tiny bundles, real promotions."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from models.bundles.bundle import write_bundle
from models.bundles.golden import record_golden
from models.student import Student
from tests.support.bundles import N_BLOCKS, TEXTS, tiny_contents, tiny_history


def bundles_of_other_opinions(folder: Path) -> list[str]:
    """Four versions of one shop; each puts people into another block, so that no vector is good under another."""
    versions = []
    for number in range(N_BLOCKS):
        contents = tiny_contents()
        blocks = np.eye(N_BLOCKS, dtype=np.float32)[(contents.items.segments + number) % N_BLOCKS]
        table = np.concatenate([np.zeros((1, N_BLOCKS), np.float32), blocks])
        student = dataclasses.replace(contents.student, history_vectors=table)
        golden = record_golden(Student(student), contents.text_encoder, [tiny_history(0)], TEXTS)
        written = dataclasses.replace(contents, student=student, golden=golden)
        versions.append(write_bundle(folder, written, now=datetime(2024, 3, 1 + number, tzinfo=UTC)).name)
    return versions


def test_nothing_fails_and_nothing_is_mixed_while_bundles_are_promoted_refused_and_rolled_back(
    tmp_path: Path,
) -> None:
    versions = bundles_of_other_opinions(tmp_path / "kept" / "200x1k")
    out = tmp_path / "promotion.json"
    command = [
        sys.executable,
        "-m",
        "loadtest.promotion",
        "--bundles",
        str(tmp_path / "kept"),
        "--out",
        str(out),
    ]
    size = ["--items", "200", "--people", "1000"]
    drill = subprocess.run(
        [*command, *size, "--promotions", "3", "--quiet", "0.5", "--rate", "60", "--questions", "80"],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert out.exists(), f"{drill.stdout}\n{drill.stderr}"
    found = json.loads(out.read_text())
    assert (found["failed"], found["mixed"], found["answers_of_bad_bundle"]) == (0, 0, 0), found["faults"]
    assert found["answers"] > 100
    assert found["questions_told_apart"] > 0.95
    replaced = [(swap["replaced"], swap["version"]) for swap in found["promotions"]]
    assert replaced == [(versions[2], versions[0]), (versions[0], versions[1]), (versions[1], versions[2])]
    assert (found["roll_back"]["replaced"], found["roll_back"]["version"]) == (versions[2], versions[1])
    assert found["bad_bundle_refused_by_route"]
    assert found["bad_bundle_refused_by_workers"] == 2
    assert [each for each in found["missed"] if "p99" not in each] == []  # how fast, a busy machine decides
    assert list((tmp_path / "kept").iterdir()) == [tmp_path / "kept" / "200x1k"]
