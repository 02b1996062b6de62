"""Labels on disk are the teacher's, and an interrupted run goes on where it stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from models.history import History
from models.packed_histories import Histories
from tests.support.teachers import N_ITEMS, BlockTeacher
from tests.training.student.conftest import people
from training.base.callback import no_progress
from training.student import soft_labels
from training.student.soft_labels import CHUNK, N_PROBES, PROGRESS, LabelSettings, SoftLabels, label_examples

HISTORIES = people(100, seed=1)
SETTINGS = LabelSettings(n_copies=3, n_top=10, n_uniform=5)


def label(
    folder: Path,
    teacher: BlockTeacher,
    settings: LabelSettings = SETTINGS,
    histories: list[History] = HISTORIES,
    seed: int = 0,
) -> SoftLabels:
    packed = Histories.from_list(histories)
    return label_examples(teacher, packed, settings, folder, seed=seed, progress=no_progress)


class Interrupted(Exception):
    pass


class DyingTeacher(BlockTeacher):
    """Dies at the third chunk."""

    def score_candidates(self, histories, n_top, n_uniform, rng):  # type: ignore[no-untyped-def]
        if self.n_scored >= N_PROBES + 2 * CHUNK:
            raise Interrupted
        return super().score_candidates(histories, n_top, n_uniform, rng)


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    """A folder that a run left after two chunks of 128 examples."""
    with pytest.raises(Interrupted):
        label(tmp_path, DyingTeacher())
    return tmp_path


def assert_same(one: SoftLabels, other: SoftLabels) -> None:
    for name in ("next_items", "candidates", "logits"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_logits_are_the_teachers_of_these_candidates(labels: SoftLabels) -> None:
    scores = BlockTeacher().score(labels.histories)
    expected = np.take_along_axis(scores, labels.candidates, axis=1)
    np.testing.assert_allclose(labels.logits.astype(np.float32), expected, rtol=1e-3, atol=1e-3)


def test_best_item_is_always_a_candidate(labels: SoftLabels) -> None:
    best = BlockTeacher().score(labels.histories).argmax(axis=1)
    assert (labels.candidates == best[:, None]).any(axis=1).all()


def test_uniform_candidates_come_from_the_whole_catalogue(labels: SoftLabels) -> None:
    counts = np.bincount(labels.candidates[:, 20:].ravel(), minlength=N_ITEMS)
    assert counts.min() > 0.7 * counts.mean()


def test_labels_lie_on_disk_and_are_mapped(tmp_path: Path) -> None:
    labels = label(tmp_path, BlockTeacher())
    assert isinstance(labels.candidates, np.memmap)
    np.testing.assert_array_equal(np.load(tmp_path / "logits.npy"), labels.logits)


def test_interrupted_run_goes_on_where_it_stopped(
    interrupted: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    teacher = BlockTeacher()
    resumed = label(interrupted, teacher)
    assert teacher.n_scored == N_PROBES + len(resumed) - 2 * CHUNK
    assert_same(resumed, label(tmp_path_factory.mktemp("whole"), BlockTeacher()))


def test_finished_run_asks_the_teacher_about_a_few_examples_only(tmp_path: Path) -> None:
    first, teacher = label(tmp_path, BlockTeacher()), BlockTeacher()
    assert_same(label(tmp_path, teacher), first)
    assert teacher.n_scored == N_PROBES


@pytest.mark.parametrize("other", ["seed", "settings", "histories", "teacher"])
def test_labels_of_another_run_are_written_over(
    interrupted: Path, other: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    changes: dict[str, dict[str, Any]] = {
        "seed": {"seed": 1},
        "settings": {"settings": replace(SETTINGS, n_uniform=6)},
        "histories": {"histories": people(100, seed=2)},
        "teacher": {"teacher": BlockTeacher(level=-2.0)},
    }
    options: dict[str, Any] = {"teacher": BlockTeacher()} | changes[other]
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert_same(label(interrupted, **options), label(elsewhere, **options))


@pytest.mark.parametrize("content", ["", "[]", "{}", "no JSON"])
def test_progress_that_cannot_be_read_starts_anew(interrupted: Path, content: str) -> None:
    (interrupted / PROGRESS).write_text(content)
    teacher = BlockTeacher()
    labels = label(interrupted, teacher)
    assert teacher.n_scored == N_PROBES + len(labels)


def test_progress_is_told_chunk_by_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soft_labels, "CHUNK", 50)
    told: list[float] = []
    labels = label_examples(
        BlockTeacher(),
        Histories.from_list(HISTORIES),
        replace(SETTINGS, n_copies=0),
        tmp_path,
        seed=0,
        progress=lambda share, words: told.append(share),
    )
    assert len(labels) == 101
    np.testing.assert_allclose(told, [50 / 101, 100 / 101, 1])


@pytest.mark.parametrize(("n_top", "n_uniform"), [(12, 0), (0, 12)])
def test_candidates_may_all_be_top_or_all_be_uniform(tmp_path: Path, n_top: int, n_uniform: int) -> None:
    labels = label(tmp_path, BlockTeacher(), replace(SETTINGS, n_top=n_top, n_uniform=n_uniform))
    assert labels.candidates.shape == (len(labels), 12)


def test_no_candidates_at_all_are_refused() -> None:
    with pytest.raises(ValidationError, match="nothing would be labelled; raise one"):
        LabelSettings(n_top=0, n_uniform=0)
