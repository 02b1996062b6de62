from __future__ import annotations

import numpy as np
import pytest

from models.histories import Histories
from models.history import Event, History
from training.student.soft_labels import N_NEXT, LabelSettings, cut_examples


def history(n_events: int) -> History:
    return History.from_events(Event(item, 1_000 + item) for item in range(n_events))


def cut(lengths: list[int], settings: LabelSettings) -> tuple[list[History], np.ndarray]:
    histories = Histories.from_list([history(length) for length in lengths])
    return cut_examples(histories, settings, np.random.default_rng(0))


def test_everybody_with_a_history_is_there_whole() -> None:
    examples, _ = cut([5, 0, 3], LabelSettings(n_copies=0))
    assert [len(example) for example in examples] == [5, 3]


def test_copies_are_shorter_and_keep_the_order() -> None:
    examples, _ = cut([30], LabelSettings(n_copies=20))
    for example in examples[1:]:
        assert 0 <= len(example) < 30
        assert (np.diff(example.item_indices) > 0).all()


def test_a_single_event_has_no_copies() -> None:
    examples, _ = cut([1], LabelSettings(n_copies=4))
    assert len(examples) == 1


def test_next_items_follow_the_cut_and_are_not_in_the_history() -> None:
    examples, next_items = cut([30], LabelSettings(n_copies=20))
    assert next_items.shape == (21, N_NEXT)
    assert (next_items[0] == -1).all()
    for example, row in zip(examples[1:], next_items[1:], strict=True):
        following = row[row >= 0]
        assert len(following)
        assert not np.isin(following, example.item_indices).any()
        assert (following > example.item_indices.max(initial=-1)).all()


def test_short_histories_are_as_frequent_as_long_ones() -> None:
    examples, _ = cut([100], LabelSettings(n_copies=100))
    lengths = np.array([len(example) for example in examples[1::2]])
    assert 0.3 < (lengths <= 10).mean() < 0.7


@pytest.mark.parametrize("max_examples", [100, 200])
def test_the_number_of_examples_is_bounded(max_examples: int) -> None:
    examples, _ = cut([4] * 500, LabelSettings(n_copies=3, max_examples=max_examples))
    assert len(examples) == max_examples
