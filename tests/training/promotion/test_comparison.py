"""Two bundles on the same fresh questions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.bundles.bundle import Bundle, read_bundle, write_bundle
from models.history import Event, History
from tests.support.bundles import N_BLOCKS, N_ITEMS, WRITTEN_AT, tiny_contents, with_unavailable
from tests.support.shops import dataset_of
from tests.training.promotion.bundles import block_bundle
from training.data.dataset import Dataset
from training.data.split import Questions
from training.promotion.comparison import MEASURE, BundleScores, Comparison, compare


@pytest.fixture
def dataset() -> Dataset:
    """All items of the bundles, in another order than theirs, and 150 that no bundle knows."""
    known = [("anna", f"item-{item}", 1000 + item) for item in range(N_ITEMS)]
    return dataset_of([*known, *(("anna", f"new-{item}", 2000 + item) for item in range(150))])


def row(dataset: Dataset, item_id: str) -> int:
    found = dataset.items.find(item_id)
    assert found is not None
    return found


def questions(dataset: Dataset, n_people: int = 40) -> Questions:
    """Person p had two items of block p % 4 and takes a third one."""
    histories, truth = [], []
    for person in range(n_people):
        block = person % N_BLOCKS
        first, second, third = (
            row(dataset, f"item-{block + N_BLOCKS * step}") for step in (0, 1, person % 8 + 2)
        )
        histories.append(History.from_events([Event(first, 1000), Event(second, 2000)]))
        truth.append(np.array([third], np.int32))
    return Questions(np.zeros(n_people, np.int32), histories, truth)


def bundle(store: Path, **how: object) -> Bundle:
    return read_bundle(store / block_bundle(store, **how))  # type: ignore[arg-type]


def test_bundle_is_not_worse_than_itself_and_a_wrong_one_is_worse(tmp_path: Path, dataset: Dataset) -> None:
    right, wrong = bundle(tmp_path), bundle(tmp_path, is_right=False)
    fresh = questions(dataset)
    same = compare(right, right, dataset, fresh, max_loss=0.0, seed=0)
    assert (same.difference, same.interval, same.is_not_worse) == (0.0, (0.0, 0.0), True)
    worse = compare(wrong, right, dataset, fresh, max_loss=0.05, seed=0)
    assert worse.difference == pytest.approx(worse.candidate[MEASURE] - worse.in_service[MEASURE])
    assert not worse.is_not_worse
    assert worse.interval[1] < -worse.allowed_loss < 0
    assert worse.verdict().startswith("worse: catalogue_ndcg@20 differs by -")
    better = compare(right, wrong, dataset, fresh, max_loss=0.0, seed=0)
    assert better.is_not_worse
    assert better.interval[0] > 0


def test_loss_that_cannot_be_excluded_is_told_from_one_that_is_shown() -> None:
    unsure = Comparison({}, {}, -0.01, (-0.06, 0.04), 0.05, 30)
    assert not unsure.is_not_worse
    assert "not shown to be not worse" in unsure.verdict()
    assert "more fresh events narrow it" in unsure.verdict()
    allowed = Comparison({}, {}, -0.01, (-0.05, 0.03), 0.05, 30)
    assert allowed.is_not_worse


def test_scores_stand_at_the_data_sets_rows_and_unknown_items_have_none(
    tmp_path: Path, dataset: Dataset
) -> None:
    scores = BundleScores(bundle(tmp_path), dataset)(
        [History.from_events([Event(row(dataset, "item-1"), 1000)])]
    )
    assert scores.shape == (1, len(dataset.items))
    for item in range(N_ITEMS):
        score = scores[0, row(dataset, f"item-{item}")]
        assert score == pytest.approx(1.0 if item % N_BLOCKS == 1 else 0.0, abs=1e-3)
    assert np.isnan(scores[0, [row(dataset, f"new-{item}") for item in range(150)]]).all()


def test_history_of_items_that_a_bundle_does_not_know_is_empty(tmp_path: Path, dataset: Dataset) -> None:
    histories = [History.from_events([Event(row(dataset, "new-3"), 1000)]), History.empty()]
    scores = BundleScores(bundle(tmp_path), dataset)(histories)
    np.testing.assert_array_equal(scores[0], scores[1])


def test_a_bundle_may_not_answer_what_it_has_as_not_available(tmp_path: Path, dataset: Dataset) -> None:
    gone = with_unavailable(tiny_contents(), range(8, 12))
    written = read_bundle(write_bundle(tmp_path, gone, now=WRITTEN_AT))
    scores = BundleScores(written, dataset)([History.from_events([Event(row(dataset, "item-0"), 1)])])[0]
    silent = set(dataset.items.ids_of(np.flatnonzero(np.isnan(scores)).tolist()))
    assert silent == {f"item-{index}" for index in range(8, 12)} | {f"new-{index}" for index in range(150)}
