from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.history import Event, EventKind, History
from models.packed_histories import Histories
from tests.support.blocks import block_dataset
from tests.support.shops import dataset_of
from training.base.errors import TooLittleData
from training.data.dataset import Dataset
from training.data.leave_last_out import (
    leave_last_out,
    only_first_touches,
    with_more_validation,
    without_rare,
)
from training.data.split import Questions, Split, Stage

N_BASKET_PEOPLE = 40


def baskets_dataset() -> Dataset:
    """Everybody takes a, b, c one by one and then d, e, f, g in one basket, which the source lists in this order."""
    rows = []
    for person in range(N_BASKET_PEOPLE):
        rows += [(f"p{person:02}", item, time) for time, item in enumerate("abc", start=1)]
        rows += [(f"p{person:02}", item, 9) for item in "defg"]
    return dataset_of(rows)


def split_of(dataset: Dataset, *, seed: int = 0, new_people_share: float = 0.0) -> Split:
    return leave_last_out(dataset, new_people_share=new_people_share, seed=seed)


def truths(dataset: Dataset, questions: Questions) -> list[str]:
    return [dataset.items.id_of(int(truth[0])) for truth in questions.truth]


def items(dataset: Dataset, history: History) -> set[str]:
    return set(dataset.items.ids_of(history.item_indices.tolist()))


def test_every_first_touch_counts_whatever_its_kind() -> None:
    dataset = block_dataset()
    kinds = np.where(np.arange(len(dataset.histories.kinds)) % 3, EventKind.VIEW, EventKind.PURCHASE)
    mixed = replace(dataset, histories=replace(dataset.histories, kinds=kinds.astype(np.uint8)))
    split, plain = split_of(mixed), split_of(dataset)
    assert split.past.has_targets_alone
    np.testing.assert_array_equal(split.test.user_indices, plain.test.user_indices)
    for one, other in zip(split.test.truth, plain.test.truth, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_last_item_is_the_target_and_the_one_before_it_validates() -> None:
    split = split_of(block_dataset())
    whole = split.dataset.histories
    assert len(split.test) == len(split.validation) == len(whole)
    for row in range(len(whole)):
        own = whole[row].item_indices
        np.testing.assert_array_equal(split.test.truth[row], own[-1:])
        np.testing.assert_array_equal(split.test.histories[row].item_indices, own[:-1])
        np.testing.assert_array_equal(split.validation.truth[row], own[-2:-1])
        np.testing.assert_array_equal(split.validation.histories[row].item_indices, own[:-2])


def test_fits_see_what_comes_before_their_questions_and_no_more() -> None:
    split = split_of(block_dataset())
    for row in range(len(split.dataset.people)):
        own = split.dataset.histories[row].item_indices
        np.testing.assert_array_equal(split.past.histories[row].item_indices, own[:-2])
        np.testing.assert_array_equal(split.past_and_validation.histories[row].item_indices, own[:-1])


def test_predictions_are_made_at_each_persons_last_known_event() -> None:
    split = split_of(block_dataset())
    assert split.past.prediction_time == split.past_and_validation.prediction_time == "last_event"
    assert split.cuts == {}


def test_any_item_of_the_last_basket_may_be_the_target() -> None:
    split = split_of(baskets_dataset())
    assert set(truths(split.dataset, split.test)) == set("defg")
    assert set(truths(split.dataset, split.validation)) == set("defg")


def test_the_rest_of_the_last_basket_is_known() -> None:
    split = split_of(baskets_dataset())
    for truth, history in zip(truths(split.dataset, split.test), split.test.histories, strict=True):
        assert items(split.dataset, history) == set("abcdefg") - {truth}


def test_validation_asks_each_of_its_basket_items_from_the_others() -> None:
    split = split_of(baskets_dataset())
    tests = dict(zip(split.test.user_indices.tolist(), truths(split.dataset, split.test), strict=True))
    validation = split.validation
    assert np.bincount(validation.user_indices).tolist() == [2] * N_BASKET_PEOPLE
    for person, truth, history in zip(
        validation.user_indices.tolist(), truths(split.dataset, validation), validation.histories, strict=True
    ):
        assert items(split.dataset, history) == set("abcdefg") - {truth, tests[person]}


def test_members_of_the_ensemble_see_no_item_that_is_held_out_and_one_of_its_basket() -> None:
    split = split_of(baskets_dataset())
    held_out = [set("defg") for _ in range(N_BASKET_PEOPLE)]
    for questions in (split.validation, split.test):
        for person, truth in zip(questions.user_indices, truths(split.dataset, questions), strict=True):
            held_out[person].discard(truth)
    for person, history in enumerate(split.past.histories):
        assert len(held_out[person]) == 1
        assert items(split.dataset, history) == set("abc") | held_out[person]


PAST, VALIDATION, TEST = Stage
OF_TIMES = ((1, 5, 5, 5, 5, 5), (5, 5, 5), (2, 3, 4, 5))
"""Times of three people: a basket of five, a basket of three at the same moment, and no basket at all."""


def more_validation(n_validation_items: int, *, within_basket: bool) -> list[list[Stage]]:
    """Of three people whose last event is test and the one before it validation."""
    histories = Histories.from_list(
        [History.from_events(Event(item, time) for item, time in enumerate(times)) for times in OF_TIMES]
    )
    stages = np.concatenate(
        [np.array([PAST] * (len(times) - 2) + [VALIDATION, TEST], np.int8) for times in OF_TIMES]
    )
    found = with_more_validation(histories, stages, n_validation_items, within_basket=within_basket)
    return [[Stage(stage) for stage in own] for own in np.split(found, histories.offsets[1:-1])]


def test_more_of_the_basket_validates_up_to_the_number_given() -> None:
    basket, small, alone = more_validation(2, within_basket=True)
    assert basket == [PAST, PAST, PAST, VALIDATION, VALIDATION, TEST]
    assert small == [PAST, VALIDATION, TEST]
    assert alone == [PAST, PAST, VALIDATION, TEST]


def test_at_least_one_item_of_the_basket_stays_known() -> None:
    basket, small, _ = more_validation(100, within_basket=True)
    assert basket == [PAST, PAST, VALIDATION, VALIDATION, VALIDATION, TEST]
    assert small == [PAST, VALIDATION, TEST]


def test_whatever_the_moment_half_of_what_came_before_validates_and_half_stays_known() -> None:
    basket, small, alone = more_validation(100, within_basket=False)
    assert basket == [PAST, PAST, VALIDATION, VALIDATION, VALIDATION, TEST]
    assert small == [PAST, VALIDATION, TEST]
    assert alone == [PAST, VALIDATION, VALIDATION, TEST]


def test_the_seed_decides_within_a_basket_and_the_order_of_the_source_does_not() -> None:
    forwards, backwards = baskets_dataset(), baskets_dataset()
    rows = [
        (backwards.people.id_of(person), backwards.items.id_of(int(item)), int(time))
        for person, history in enumerate(backwards.histories)
        for item, time in reversed(list(zip(history.item_indices, history.times, strict=True)))
    ]
    backwards = dataset_of(rows)
    one, other = (truths(each, split_of(each, seed=4).test) for each in (forwards, forwards))
    assert one == other
    assert one != truths(forwards, split_of(forwards, seed=5).test)
    # Listed the other way round, the same draw by place gives the mirrored item: no place is preferred.
    mirrored = truths(backwards, split_of(backwards, seed=4).test)
    assert mirrored == [dict(zip("defg", "gfed", strict=True))[item] for item in one]


def test_a_known_basket_does_not_keep_the_order_of_the_source() -> None:
    split = split_of(baskets_dataset())
    orders = {tuple(history.item_indices[3:].tolist()) for history in split.test.histories}
    assert any(order != tuple(sorted(order)) for order in orders)


def test_only_the_first_purchase_of_an_item_counts() -> None:
    dataset = dataset_of([("p", "a", 1), ("p", "b", 2), ("p", "a", 3), ("q", "a", 5)])
    first = only_first_touches(dataset)
    assert first.histories[0].times.tolist() == [1, 2]
    assert first.histories[1].times.tolist() == [5]


def test_rare_items_go_first_and_then_people_who_have_too_few_left_and_only_once() -> None:
    """x has two people; p0 has x and one more item, so p0 leaves, and y keeps fewer people than required."""
    rows = [("p0", "x", 1), ("p0", "y", 2), ("p1", "x", 1)]
    rows += [(f"p{person}", item, 3) for person in range(2, 22) for item in "abc"]
    rows += [("p2", "y", 4), ("p3", "y", 4)]
    dense = without_rare(dataset_of(rows), min_item_people=3, min_person_items=3)
    assert dense.items.ids_of(range(len(dense.items))) == ["a", "b", "c", "y"]
    assert dense.people.ids_of(range(len(dense.people))) == sorted(f"p{person}" for person in range(2, 22))
    counts = np.bincount(dense.histories.item_indices)
    assert counts.tolist() == [20, 20, 20, 2]


def test_rows_of_the_catalogue_follow_their_items_when_others_are_dropped() -> None:
    dataset = block_dataset()
    dense = without_rare(dataset, min_item_people=16, min_person_items=1)
    assert 0 < len(dense.items) < len(dataset.items)
    for row, item_id in enumerate(dense.items.ids_of(range(len(dense.items)))):
        before = dataset.items.find(item_id)
        assert before is not None
        assert dense.catalogue.titles[row] == dataset.catalogue.titles[before]
        own = dense.histories.times[dense.histories.item_indices == row]
        assert len(own) >= 16
        assert dense.catalogue.first_seen[row] == own.min()


def test_new_people_are_in_no_fit_and_in_the_test_with_their_history() -> None:
    split = split_of(block_dataset(), new_people_share=0.25)
    is_new = split.is_new
    assert is_new.sum() == round(0.25 * len(is_new))
    assert (np.diff(split.past_and_validation.histories.offsets)[is_new] == 0).all()
    assert not is_new[split.validation.user_indices].any()
    assert is_new[split.test.user_indices].sum() == is_new.sum()
    assert all(len(history) == 7 for history in split.test.histories)


def test_too_few_people_are_refused_with_their_count_and_the_bounds() -> None:
    with pytest.raises(
        TooLittleData, match=r"^8 people have 5 different items that at least 1 people touched"
    ):
        leave_last_out(block_dataset(n_people=8), new_people_share=0.0, seed=0, min_item_people=1)
