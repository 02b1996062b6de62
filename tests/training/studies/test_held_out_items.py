"""Taking items out of a split: by hand, where every event is known, and on the block shop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.text import item_text
from tests.support.blocks import block_dataset, shop_with_items_gone
from tests.support.shops import dataset_of
from training.data.dataset import index_shop
from training.data.leave_last_out import leave_last_out
from training.data.split import Questions, Split, Stage, split_by_stages
from training.studies.held_out_items import HeldOut, hold_out_items, only_items, people_of_items

KEPT = np.array([True, False, True, True])
"""Of items a, b, c, d all but b."""


@pytest.fixture
def split() -> Split:
    """ann: a b | c | d and bob: b | a | b c, as past | validation | test."""
    dataset = dataset_of(
        [
            *(("ann", item, time) for time, item in enumerate("abcd")),
            *(("bob", item, time) for time, item in enumerate("babc")),
        ]
    )
    stages = np.array(
        [*[Stage.PAST] * 2, Stage.VALIDATION, Stage.TEST, Stage.PAST, Stage.VALIDATION, *[Stage.TEST] * 2],
        np.int8,
    )
    return split_by_stages(
        "leave_last_out",
        dataset,
        stages,
        is_new=np.zeros(2, np.bool_),
        until=(9, 9),
        prediction_time="last_event",
    )


@pytest.fixture(scope="module")
def blocks() -> Split:
    return leave_last_out(block_dataset(), new_people_share=0.0, seed=0)


@pytest.fixture(scope="module")
def held_out(blocks: Split) -> HeldOut:
    return hold_out_items(blocks, share=0.2, seed=0)


def lists(questions: Questions) -> list[tuple[list[int], list[int]]]:
    return [
        (history.item_indices.tolist(), truth.tolist())
        for history, truth in zip(questions.histories, questions.truth, strict=True)
    ]


def test_remaining_items_move_up_and_keep_their_order(split: Split) -> None:
    without_b = only_items(split, KEPT)
    assert without_b.dataset.items.ids_of(range(3)) == ["a", "c", "d"]
    assert without_b.dataset.catalogue.titles == [split.dataset.catalogue.titles[row] for row in (0, 2, 3)]
    assert without_b.past.n_items == without_b.past_and_validation.n_items == 3


def test_no_stage_keeps_an_event_of_a_held_out_item(split: Split) -> None:
    without_b = only_items(split, KEPT)
    assert [each.item_indices.tolist() for each in without_b.past.histories] == [[0], []]
    assert [each.item_indices.tolist() for each in without_b.past_and_validation.histories] == [[0, 1], [0]]
    assert [each.times.tolist() for each in without_b.past_and_validation.histories] == [[0, 2], [1]]
    assert [each.item_indices.tolist() for each in without_b.dataset.histories] == [[0, 1, 2], [0, 1]]


def test_questions_lose_held_out_truth_and_people_of_whom_nothing_remains(split: Split) -> None:
    without_b = only_items(split, KEPT)
    assert lists(without_b.validation) == [([0], [1])]  # bob's history was b alone
    assert lists(without_b.test) == [([0, 1], [2]), ([0], [1])]
    assert without_b.validation.user_indices.tolist() == [0]


def test_people_are_counted_once_an_item(split: Split) -> None:
    assert people_of_items(split.dataset).tolist() == [2, 2, 2, 1]


def test_items_that_few_touched_are_never_held_out(split: Split, blocks: Split) -> None:
    assert len(hold_out_items(split, share=1.0, seed=0).item_indices) == 0
    n_eligible = int((people_of_items(blocks.dataset) >= 5).sum())
    assert len(hold_out_items(blocks, share=0.5, seed=0).item_indices) == round(0.5 * n_eligible)


def test_the_seed_draws_the_items(blocks: Split, held_out: HeldOut) -> None:
    again = hold_out_items(blocks, share=0.2, seed=0)
    other = hold_out_items(blocks, share=0.2, seed=1)
    assert again.item_indices.tolist() == held_out.item_indices.tolist()
    assert other.item_indices.tolist() != held_out.item_indices.tolist()


def test_the_questions_are_the_test_questions_about_held_out_items(blocks: Split, held_out: HeldOut) -> None:
    expected = {
        (tuple(np.setdiff1d(history.item_indices, held_out.item_indices)), *truth.tolist())
        for history, truth in zip(blocks.test.histories, blocks.test.truth, strict=True)
        if np.isin(truth, held_out.item_indices).all()
    }
    evaluated = {
        (tuple(sorted(held_out.kept[history.item_indices])), *held_out.item_indices[truth].tolist())
        for history, truth in zip(held_out.histories, held_out.truth, strict=True)
    }
    assert evaluated == expected
    assert len(evaluated) > 10


def test_what_somebody_had_before_is_known_as_theirs(blocks: Split, held_out: HeldOut) -> None:
    n_owned = sum(map(len, held_out.owned))
    is_evaluated_of_each = [np.isin(truth, held_out.item_indices).any() for truth in blocks.test.truth]
    expected = sum(
        int(np.isin(history.item_indices, held_out.item_indices).sum())
        for history, is_evaluated in zip(blocks.test.histories, is_evaluated_of_each, strict=True)
        if is_evaluated
    )
    assert n_owned == expected > 0


def test_texts_and_withheld_counts_are_those_of_the_held_out_items(blocks: Split, held_out: HeldOut) -> None:
    catalogue = blocks.dataset.catalogue
    first = held_out.item_indices[0]
    assert held_out.texts[0] == item_text(catalogue.titles[first], catalogue.texts[first])
    assert held_out.counts[0] == (blocks.past_and_validation.histories.item_indices == first).sum() > 0


def test_a_person_with_held_out_items_alone_is_not_evaluated(split: Split) -> None:
    only_b = [history.without_item(0) for history in split.test.histories]  # bob is left with b
    in_test = replace(split, test=replace(split.test, histories=only_b))
    without_b = only_items(in_test, KEPT)
    assert lists(without_b.test) == [([1], [2])]


@pytest.fixture
def returning() -> Split:
    """Five people come for b in the test; ann and bob have had it before, and bob has had nothing else."""
    events = {"ann": "abb", "bob": "bb", "cid": "cb", "dan": "db", "eve": "eb"}
    dataset = dataset_of(
        [(person, item, time) for person, items in events.items() for time, item in enumerate(items)]
    )
    stages = np.array(
        [stage for items in events.values() for stage in [*[Stage.PAST] * (len(items) - 1), Stage.TEST]],
        np.int8,
    )
    return split_by_stages(
        "published", dataset, stages, is_new=np.zeros(5, np.bool_), until=(9, 9), prediction_time="last_event"
    )


def test_somebody_with_nothing_but_held_out_items_is_not_evaluated_on_them(returning: Split) -> None:
    held_out = hold_out_items(returning, share=1.0, seed=0)
    assert held_out.item_indices.tolist() == [1]
    assert [history.item_indices.tolist() for history in held_out.histories] == [[0], [1], [2], [3]]


def test_what_somebody_comes_back_for_is_a_target_all_the_same(returning: Split) -> None:
    held_out = hold_out_items(returning, share=1.0, seed=0)
    assert [items.tolist() for items in held_out.truth] == [[0]] * 4
    assert [items.tolist() for items in held_out.owned] == [[]] * 4


def test_only_what_may_be_recommended_is_held_out() -> None:
    split = leave_last_out(index_shop(shop_with_items_gone()), new_people_share=0.0, seed=0)
    held_out = hold_out_items(split, share=0.2, seed=0)
    assert split.dataset.catalogue.recommendable[held_out.item_indices].all()
    rest = held_out.split
    assert rest.test.recommendable is not None
    np.testing.assert_array_equal(
        rest.test.recommendable, split.dataset.catalogue.recommendable[held_out.kept]
    )
    np.testing.assert_array_equal(rest.test.recommendable, rest.dataset.catalogue.recommendable)
