from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.blocks import N_ITEMS, block_dataset
from training.data.leave_last_out import leave_last_out
from training.data.split import Split, split_by_time
from training.metrics.protocols import Outcome, draw_candidates, measure, popular_scores, random_scores
from training.metrics.segments import head_items, segments
from training.quality.figures import headline

N = N_ITEMS + 1


def outcome_of(split: Split) -> Outcome:
    n_items = len(split.dataset.items)
    return measure(random_scores(n_items, seed=0), split.test, draw_candidates(split.test, n_items, seed=0))


@pytest.fixture(scope="module")
def split() -> Split:
    return split_by_time(block_dataset(), validation_share=0.2, test_share=0.2, new_people_share=0.25, seed=0)


def test_everybody_is_in_one_segment_of_each_dimension(split: Split) -> None:
    outcome = outcome_of(split)
    table = segments(outcome, split.test, split)
    n_people, n_targets = len(split.test), len(outcome.target_items)
    totals = {name: sum(part.n for part in parts.values()) for name, parts in table.items()}
    assert totals == {
        "history_length": n_people,
        "person": n_people,
        "item_popularity": n_targets,
        "item": n_targets,
        "history": n_targets,
    }


def test_segments_average_to_the_whole(split: Split) -> None:
    outcome = outcome_of(split)
    table = segments(outcome, split.test, split)
    for metric, whole in (("ndcg@10", outcome.ndcg), ("catalogue_ndcg@20", outcome.catalogue_ndcg)):
        for dimension in ("history_length", "person"):
            parts = table[dimension].values()
            total = sum(part.n * headline(part, metric) for part in parts)
            assert total / len(split.test) == pytest.approx(whole.mean())


def test_people_are_told_apart_by_the_length_of_their_history_and_by_being_new(split: Split) -> None:
    table = segments(outcome_of(split), split.test, split)
    lengths = np.array([len(history) for history in split.test.histories])
    assert {name: part.n for name, part in table["history_length"].items()} == {
        "1-4": (lengths < 5).sum(),
        "5-19": (lengths >= 5).sum(),
    }
    assert table["person"]["new"].n == split.is_new[split.test.user_indices].sum() > 0


def test_a_segment_with_nobody_in_it_is_left_out() -> None:
    split = leave_last_out(block_dataset(), new_people_share=0.0, seed=0)
    table = segments(outcome_of(split), split.test, split)
    assert list(table["person"]) == ["known"]
    assert list(table["history_length"]) == ["5-19"]


def test_the_charts_are_right_about_the_head_and_wrong_about_the_tail() -> None:
    split = leave_last_out(block_dataset(), new_people_share=0.0, seed=0)
    counts = split.past_and_validation.item_counts()
    candidates = draw_candidates(split.test, len(counts), seed=0)
    outcome = measure(popular_scores(counts.astype(np.float32)), split.test, candidates)
    table = segments(outcome, split.test, split)["item_popularity"]
    assert table["head"].catalogue_ndcg > table["long_tail"].catalogue_ndcg
    assert table["head"].n == head_items(counts)[np.concatenate(split.test.truth)].sum()


def test_the_head_is_a_fifth_of_the_catalogue_whatever_the_ties() -> None:
    assert head_items(np.array([5, 1, 5, 5, 0, 5, 5, 5, 5, 9])).nonzero()[0].tolist() == [0, 9]


def test_an_item_without_events_before_the_test_is_new(split: Split) -> None:
    outcome = outcome_of(split)
    is_target = outcome.target_items == outcome.target_items[0]
    histories = split.past_and_validation.histories
    emptied = histories.item_indices.copy()
    emptied[emptied == outcome.target_items[0]] = N - 1
    without = replace(
        split,
        past_and_validation=replace(
            split.past_and_validation, histories=replace(histories, item_indices=emptied)
        ),
    )
    assert segments(outcome, split.test, without)["item"]["new"].n == is_target.sum()
