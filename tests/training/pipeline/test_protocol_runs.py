from __future__ import annotations

import os
from pathlib import Path

import pytest

from training.base.errors import SettingsInvalid
from training.pipeline.protocol_runs import PublishedFiles, joined, n_at_once

TRAIN, TEST, CANDIDATES, SEQUENCES, ITEMS = map(Path, ("train", "test", "candidates", "sequences", "items"))


def test_without_published_files_there_are_none() -> None:
    assert PublishedFiles.of(None, None, None, None, None) is None
    assert PublishedFiles.of(None, None, None, None, ITEMS) is None


@pytest.mark.parametrize("candidates", [None, CANDIDATES])
def test_train_and_test_are_enough(candidates: Path | None) -> None:
    found = PublishedFiles.of(TRAIN, TEST, candidates, None, ITEMS)
    assert found == PublishedFiles(TRAIN, TEST, candidates, None, ITEMS)


def test_sequences_are_enough() -> None:
    assert PublishedFiles.of(None, None, None, SEQUENCES, None) is not None


@pytest.mark.parametrize(
    ("train", "test", "candidates"),
    [(TRAIN, None, None), (None, TEST, None), (None, None, CANDIDATES), (TRAIN, None, CANDIDATES)],
)
def test_half_of_the_files_are_refused_by_name(
    train: Path | None, test: Path | None, candidates: Path | None
) -> None:
    with pytest.raises(SettingsInvalid, match=r"need both --train and --test \(--candidates is optional\)"):
        PublishedFiles.of(train, test, candidates, None, None)


@pytest.mark.parametrize("beside", [(TRAIN, TEST, None), (TRAIN, None, None), (None, None, CANDIDATES)])
def test_sequences_beside_other_files_are_refused(beside: tuple[Path | None, ...]) -> None:
    with pytest.raises(SettingsInvalid, match="--sequences is a protocol of its own"):
        PublishedFiles.of(*beside, SEQUENCES, None)  # type: ignore[call-arg]  # three, as above


PARTS = (
    {
        "protocols": {"next_basket": 1},
        "compression": "of the first",
        "explanations": "of the only one",
        "stages": {"seconds": {"als": 1.0}, "cpu_seconds": {"als": 0.9}, "peak_memory_bytes": {"als": 10}},
    },
    {
        "protocols": {"leave_last_out": 2},
        "compression": "of the second",
        "cold_start": "of the last",
        "stages": {"seconds": {"als": 2.0}, "cpu_seconds": {"als": 1.8}, "peak_memory_bytes": {"als": 20}},
    },
)
WHOLE = joined(PARTS, ("next_basket", "leave_last_out"))


def test_what_is_told_by_protocol_stands_side_by_side() -> None:
    assert WHOLE["protocols"] == {"next_basket": 1, "leave_last_out": 2}


def test_what_is_not_is_of_the_first_protocol_that_has_it_and_says_so() -> None:
    assert WHOLE["compression"] == "of the first"
    assert WHOLE["of_protocol"] == {
        "compression": "next_basket",
        "explanations": "next_basket",
        "cold_start": "leave_last_out",
    }


def test_stages_of_all_protocols_are_told_apart() -> None:
    assert WHOLE["stages"] == {
        "seconds": {"next_basket: als": 1.0, "leave_last_out: als": 2.0},
        "cpu_seconds": {"next_basket: als": 0.9, "leave_last_out: als": 1.8},
        "peak_memory_bytes": {"next_basket: als": 10, "leave_last_out: als": 20},
    }


def test_a_single_protocol_keeps_all_its_parts() -> None:
    assert set(joined(PARTS[:1], ("next_basket",))) == {*PARTS[0], "of_protocol"}


@pytest.mark.parametrize(
    ("n_cores", "threads", "expected"),
    [(2, "2", 1), (4, "2", 2), (2, "1", 2), (8, "", 1), (1, "2", 1), (8, "all", 1), (8, "0", 1)],
)
def test_protocols_run_beside_each_other_where_there_are_cores_for_it(
    monkeypatch: pytest.MonkeyPatch, n_cores: int, threads: str, expected: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: n_cores)
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert n_at_once() == expected
