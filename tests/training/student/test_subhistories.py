"""Examples cut out of histories whose visits and items are plain to see."""

from __future__ import annotations

import numpy as np
import pytest

from models.history import SECONDS_PER_DAY, VISIT_GAP_SECONDS, Event, History
from models.packed_histories import Histories
from training.student.subhistories import COLD_START_SHARE, N_NEXT, cut_examples

N_ITEMS_A_VISIT = 4


def history(n_events: int) -> History:
    """Items 0, 1, 2, … in visits of four, a second apart within a visit."""
    return History.from_events(
        Event(item, (item // N_ITEMS_A_VISIT) * 10 * VISIT_GAP_SECONDS + item) for item in range(n_events)
    )


def cut(lengths: list[int], n_copies: int, max_examples: int = 60_000) -> tuple[list[History], np.ndarray]:
    histories = Histories.from_list([history(length) for length in lengths])
    return cut_examples(histories, n_copies, max_examples, np.random.default_rng(0))


def copies_of_kind(kind: int, n_events: int = 30) -> list[tuple[list[int], list[int]]]:
    """Items and next items of many copies: 0 thins the last visit, 1 ends earlier, 2 forgets the past."""
    examples, next_items = cut([n_events], 90)
    rows = range(1 + kind, len(examples), 3)
    return [
        (examples[row].item_indices.tolist(), [i for i in next_items[row].tolist() if i >= 0])
        for row in rows
        if len(examples[row])
    ]


def test_everybody_with_a_history_is_there_whole_and_knows_nothing_of_what_came_next() -> None:
    examples, next_items = cut([5, 0, 3], 0)
    assert [len(example) for example in examples] == [5, 3]
    assert (next_items == -1).all()


def test_a_single_event_has_no_copies() -> None:
    assert len(cut([1], 4)[0]) == 1


def test_copies_keep_the_order_and_one_event_at_least() -> None:
    examples, _ = cut([2, 30], 60)
    for example in examples[:122]:
        assert len(example)
        assert (np.diff(example.item_indices) > 0).all()


def test_last_visit_is_thinned_and_what_it_lost_came_next() -> None:
    copies = copies_of_kind(0)
    for items, next_items in copies:
        assert items[:28] == list(range(28))
        assert sorted(items[28:] + next_items) == [28, 29]
    assert {len(items) for items, _ in copies} == {28, 29, 30}


def test_end_in_an_earlier_visit_has_most_or_all_of_it_and_what_followed_comes_next() -> None:
    n_kept = []
    for items, next_items in copies_of_kind(1):
        visit = items[-1] // N_ITEMS_A_VISIT
        assert items[-1] < 30
        dropped = [item for item in range(visit * 4, 30) if item not in items]
        assert next_items == dropped[:N_NEXT]
        n_kept.append(sum(item // N_ITEMS_A_VISIT == visit for item in items))
    assert 3.2 < np.mean(n_kept) < 3.8
    assert min(n_kept) < 3


def test_an_earlier_visit_that_is_whole_is_asked_about_on_the_day_of_the_next_one() -> None:
    whole = history(30)
    examples, _ = cut([30], 90)
    midnights = []
    for example in examples[2::3]:
        after = int(example.item_indices[-1]) + 1 if len(example) else 30
        if after == 30 or after % N_ITEMS_A_VISIT:
            continue
        asked_at, day = example.asked_at, int(SECONDS_PER_DAY)
        first_second = int(whole.times[after]) // day * day
        assert asked_at == max(first_second, int(example.times[-1]))
        midnights.append(asked_at == first_second)
    assert any(midnights)


def test_forgotten_past_leaves_recent_events_with_few_holes() -> None:
    copies = copies_of_kind(2)
    spans = [(30 - items[0], len(items)) for items, _ in copies]
    assert any(span <= 5 for span, _ in spans)
    assert any(span >= 15 for span, _ in spans)
    assert all(item >= 24 for _, next_items in copies for item in next_items)
    assert 0.65 < sum(kept for _, kept in spans) / sum(span for span, _ in spans) < 0.95


def test_short_histories_are_as_frequent_as_long_ones() -> None:
    lengths = np.array([len(items) for items, _ in copies_of_kind(1, n_events=100)])
    assert 0.25 < (lengths <= 10).mean() < 0.75


def test_next_items_are_never_in_the_history() -> None:
    examples, next_items = cut([30, 9, 2], 30)
    for example, row in zip(examples, next_items, strict=True):
        assert not np.isin(row[row >= 0], example.item_indices).any()


def test_one_in_a_hundred_is_a_cold_start_whose_next_items_somebody_took_first() -> None:
    examples, next_items = cut([6] * 100, 3)
    empty = [row for row, example in enumerate(examples) if not len(example)]
    assert len(empty) == int(400 * COLD_START_SHARE)
    assert {tuple(next_items[row]) for row in empty} == {(0, 1, 2, 3, 4)}


@pytest.mark.parametrize("max_examples", [100, 200])
def test_the_number_of_examples_is_bounded_by_leaving_people_out(max_examples: int) -> None:
    examples, _ = cut([4] * 500, 3, max_examples)
    assert 0.9 * max_examples < len(examples) <= max_examples


def test_nobody_gives_no_examples() -> None:
    examples, next_items = cut([0, 0], 3)
    assert (len(examples), next_items.shape) == (0, (0, N_NEXT))
