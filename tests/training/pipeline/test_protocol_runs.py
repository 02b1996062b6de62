from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.support.evaluations import example_evaluation
from training.base.errors import SettingsInvalid
from training.pipeline.protocol_runs import PublishedFiles, joined, n_at_once
from training.quality.schema import Quality, StageCosts

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


def test_baskets_are_two_files_or_a_folder(tmp_path: Path) -> None:
    both = PublishedFiles.of(None, None, None, None, ITEMS, TRAIN, TEST)
    assert both == PublishedFiles(None, None, None, None, ITEMS, TRAIN, TEST)
    folder = PublishedFiles.of(None, None, None, None, None, tmp_path)
    assert folder is not None
    assert (folder.baskets, folder.future, folder.layout) == (tmp_path, None, "baskets as published")


def test_half_of_the_baskets_is_refused(tmp_path: Path) -> None:
    for baskets, future in ((TRAIN, None), (None, TEST), (tmp_path, TEST)):
        with pytest.raises(SettingsInvalid, match=r"--baskets HISTORY\.json and --future FUTURE\.json, or"):
            PublishedFiles.of(None, None, None, None, None, baskets, future)


def test_baskets_beside_other_files_are_refused(tmp_path: Path) -> None:
    for train, candidates, sequences in (
        (TRAIN, None, None),
        (None, CANDIDATES, None),
        (None, None, SEQUENCES),
    ):
        with pytest.raises(SettingsInvalid, match="--baskets is a protocol of its own"):
            PublishedFiles.of(train, None, candidates, sequences, None, tmp_path)


EXAMPLE = example_evaluation()
COMPRESSION = EXAMPLE.compression
assert COMPRESSION is not None
PARTS = (
    Quality(
        protocols={"next_basket": EXAMPLE.protocols["next_basket"]},
        compression=COMPRESSION,
        explanations=EXAMPLE.explanations,
        stages=StageCosts({"als": 1.0}, {"als": 0.9}, {"als": 10}),
    ),
    Quality(
        protocols={"leave_last_out": EXAMPLE.protocols["leave_last_out"]},
        compression=replace(COMPRESSION, chosen="of the second"),
        cold_start=EXAMPLE.cold_start,
        stages=StageCosts({"als": 2.0}, {"als": 1.8}, {"als": 20}),
    ),
)
WHOLE = joined(PARTS, ("next_basket", "leave_last_out"))


def test_what_is_told_by_protocol_stands_side_by_side() -> None:
    assert WHOLE.protocols == EXAMPLE.protocols


def test_what_is_not_is_of_the_first_protocol_that_has_it_and_says_so() -> None:
    assert WHOLE.compression == COMPRESSION
    assert WHOLE.of_protocol == {
        "compression": "next_basket",
        "explanations": "next_basket",
        "cold_start": "leave_last_out",
    }


def test_stages_of_all_protocols_are_told_apart() -> None:
    assert WHOLE.stages == StageCosts(
        seconds={"next_basket: als": 1.0, "leave_last_out: als": 2.0},
        cpu_seconds={"next_basket: als": 0.9, "leave_last_out: als": 1.8},
        peak_memory_bytes={"next_basket: als": 10, "leave_last_out: als": 20},
    )


def test_a_single_protocol_keeps_all_its_parts() -> None:
    whole = joined(PARTS[:1], ("next_basket",))
    whole.of_protocol, whole.stages = {}, PARTS[0].stages
    assert whole == PARTS[0]


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
