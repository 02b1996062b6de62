from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.history import VISIT_GAP_SECONDS, EventKind
from tests.support.blocks import block_dataset, shop_with_items_gone
from tests.support.shops import dataset_of
from training.base.errors import TooLittleData
from training.data.dataset import Dataset, index_shop
from training.data.leave_last_out import leave_last_out
from training.data.split import (
    MaxPeople,
    Questions,
    Split,
    Stage,
    Stages,
    ask_each,
    drawn_people,
    only_new_items,
    require_questions,
    split_by_stages,
    split_by_time,
)
from training.quality.figures import LeftOut


@pytest.fixture(scope="module")
def split() -> Split:
    return split_by_time(block_dataset(), validation_share=0.2, test_share=0.2)


@pytest.fixture(scope="module")
def split_with_new_people() -> Split:
    return split_by_time(block_dataset(), validation_share=0.2, test_share=0.2, new_people_share=0.25, seed=3)


def test_slices_follow_each_other_in_time(split: Split) -> None:
    assert split.cuts["validation_start"] < split.cuts["test_start"]
    assert split.past.histories.times.max() < split.cuts["validation_start"] == split.past.until
    longer = split.past_and_validation
    assert longer.histories.times.max() < split.cuts["test_start"] == longer.until


def test_shares_are_of_events(split: Split) -> None:
    times = split.dataset.histories.times
    assert (times >= split.cuts["test_start"]).mean() == pytest.approx(0.2, abs=0.01)
    assert (times < split.cuts["validation_start"]).mean() == pytest.approx(0.6, abs=0.01)


def test_histories_end_where_the_slice_begins(split: Split) -> None:
    assert all(history.times[-1] < split.cuts["test_start"] for history in split.test.histories)
    assert all(history.times[-1] < split.cuts["validation_start"] for history in split.validation.histories)


def test_truth_is_the_first_basket_of_the_slice(split: Split) -> None:
    questions = split.test
    assert len(questions)
    for user_index, truth in zip(questions.user_indices, questions.truth, strict=True):
        whole = split.dataset.histories[int(user_index)]
        later = np.flatnonzero(whole.times >= split.cuts["test_start"])
        pauses = np.diff(whole.times[later], prepend=whole.times[later[0]]) > VISIT_GAP_SECONDS
        assert set(truth) == set(whole.item_indices[later[np.cumsum(pauses) == 0]])
        assert len(truth)


def test_a_basket_is_asked_about_as_a_whole_and_the_next_one_is_not() -> None:
    rows = [
        (f"u{person:02}", item, day * 86_400 + second)
        for person in range(60)
        for day, basket in enumerate(("ab", "ac", "bcd", "bde", "xyz", "w"))
        for second, item in enumerate(basket)
    ]
    split = split_by_time(dataset_of(rows), validation_share=0.2, test_share=0.26)
    names = [sorted(split.dataset.items.ids_of(truth.tolist())) for truth in split.test.truth]
    assert names == [["x", "y", "z"]] * 60


def test_questions_about_new_items_leave_out_what_the_history_has(split: Split) -> None:
    every, new = split.test, only_new_items(split.test)
    assert every.known_items == "rank"
    assert new.known_items == "leave_out_touched"
    for history, truth in zip(new.histories, new.truth, strict=True):
        assert len(truth)
        assert not np.isin(truth, history.item_indices).any()


def test_validation_truth_stops_at_the_test_slice(split: Split) -> None:
    questions = split.validation
    assert len(questions)
    for user_index, truth in zip(questions.user_indices, questions.truth, strict=True):
        whole = split.dataset.histories[int(user_index)]
        inside = (whole.times >= split.cuts["validation_start"]) & (whole.times < split.cuts["test_start"])
        assert set(truth) <= set(whole.item_indices[inside])


def test_what_somebody_takes_again_is_truth_and_what_they_look_at_is_none() -> None:
    dataset = block_dataset()
    histories = dataset.histories
    later = histories.times >= int(np.sort(histories.times)[int(len(histories.times) * 0.8)])
    n_later = np.add.reduceat(later.astype(int), histories.offsets[:-1])
    person = int(np.flatnonzero(n_later == 1)[0])  # their last event is their only one of the slice
    again, kinds = histories.item_indices.copy(), histories.kinds.copy()
    last = histories.offsets[person + 1] - 1
    again[last] = again[histories.offsets[person]]  # it is of what they began with

    def truth_of(kind: EventKind) -> list[int]:
        kinds[last] = kind
        repeating = replace(dataset, histories=replace(histories, item_indices=again, kinds=kinds.copy()))
        questions = split_by_time(repeating, validation_share=0.2, test_share=0.2).test
        truths = dict(zip(questions.user_indices.tolist(), questions.truth, strict=True))
        return truths[person].tolist() if person in truths else []

    assert again[last] in truth_of(EventKind.PURCHASE)
    assert again[last] not in truth_of(EventKind.VIEW)


def test_people_keep_their_rows_in_the_past(split: Split) -> None:
    assert len(split.past.histories) == len(split.dataset.people)
    whole = split.dataset.histories[5]
    np.testing.assert_array_equal(
        split.past.histories[5].item_indices,
        whole.item_indices[whole.times < split.cuts["validation_start"]],
    )


def test_an_item_is_known_since_its_first_event_in_the_past_and_not_through_new_people(
    split_with_new_people: Split,
) -> None:
    past, catalogue = split_with_new_people.past.histories, split_with_new_people.past.catalogue
    for item_index in np.unique(past.item_indices):
        assert catalogue.first_seen[item_index] == past.times[past.item_indices == item_index].min()
    assert (catalogue.first_seen != split_with_new_people.dataset.catalogue.first_seen).any()


def test_somebody_without_a_past_is_not_evaluated() -> None:
    dataset = block_dataset()
    late = _only_last_event(dataset, person=7)
    questions = split_by_time(late, validation_share=0.2, test_share=0.2).test
    assert 7 not in questions.user_indices
    assert 8 in questions.user_indices


def test_new_people_are_in_no_fit_and_not_in_validation(split_with_new_people: Split) -> None:
    split = split_with_new_people
    assert split.is_new.sum() == round(0.25 * len(split.dataset.people))
    for interactions in (split.past, split.past_and_validation):
        lengths = np.diff(interactions.histories.offsets)
        assert (lengths[split.is_new] == 0).all()
        assert (lengths[~split.is_new] > 0).any()
    assert not split.is_new[split.validation.user_indices].any()


def test_new_people_are_in_the_test_with_their_real_history(
    split: Split, split_with_new_people: Split
) -> None:
    ours, plain = split_with_new_people.test, split.test
    np.testing.assert_array_equal(ours.user_indices, plain.user_indices)
    assert split_with_new_people.is_new[ours.user_indices].any()
    for history, same in zip(ours.histories, plain.histories, strict=True):
        np.testing.assert_array_equal(history.item_indices, same.item_indices)


def test_the_seed_draws_the_new_people() -> None:
    def drawn(seed: int) -> list[bool]:
        split = split_by_time(
            block_dataset(), validation_share=0.2, test_share=0.2, new_people_share=0.25, seed=seed
        )
        return split.is_new.tolist()

    assert drawn(1) == drawn(1) != drawn(2)


def test_a_slice_with_too_few_people_is_refused_with_its_count() -> None:
    with pytest.raises(TooLittleData, match=r"validation slice has \d people"):
        split_by_time(block_dataset(n_people=8), validation_share=0.2, test_share=0.2)


def test_as_many_people_as_are_needed_are_enough(split: Split) -> None:
    n_fewest = min(len(split.validation), len(split.test))
    require_questions(split, remedy="wait", at_least=n_fewest)
    with pytest.raises(TooLittleData, match=f"at least {n_fewest + 1} are needed; wait"):
        require_questions(split, remedy="wait", at_least=n_fewest + 1)


PAST, VALIDATION, TEST = Stage
ONE_BY_ONE = [
    ("p", "a", 1, PAST),
    ("p", "b", 2, VALIDATION),
    ("p", "c", 3, VALIDATION),
    ("p", "d", 3, VALIDATION),
    ("p", "e", 9, TEST),
    ("q", "a", 1, VALIDATION),
    ("q", "b", 2, TEST),
    ("r", "c", 1, PAST),
    ("r", "a", 4, VALIDATION),
]
"""(user_id, item_id, Unix seconds, stage); q has no past."""


def one_by_one() -> tuple[Dataset, Stages]:
    return dataset_of([row[:3] for row in ONE_BY_ONE]), np.array([row[3] for row in ONE_BY_ONE], np.int8)


def described(dataset: Dataset, questions: Questions) -> list[tuple[str, str, str]]:
    """Person, history and truth of each question, items run together."""
    return [
        (
            dataset.people.id_of(int(user_index)),
            "".join(dataset.items.ids_of(history.item_indices.tolist())),
            "".join(dataset.items.ids_of(truth.tolist())),
        )
        for user_index, history, truth in zip(
            questions.user_indices, questions.histories, questions.truth, strict=True
        )
    ]


def test_each_event_is_a_target_by_itself_after_what_else_was_done_no_later() -> None:
    dataset, stages = one_by_one()
    assert described(dataset, ask_each(dataset, stages, VALIDATION)) == [
        ("p", "a", "b"),
        ("p", "abd", "c"),
        ("p", "abc", "d"),
        ("r", "c", "a"),
    ]


def test_each_event_of_the_evaluated_people_is_a_target() -> None:
    dataset, stages = one_by_one()
    questions = ask_each(dataset, stages, VALIDATION, np.array([False, True, True]))
    assert described(dataset, questions) == [("r", "c", "a")]


def test_fits_have_nothing_of_what_is_evaluated_one_by_one() -> None:
    dataset, stages = one_by_one()
    split = split_by_stages(
        "leave_last_out",
        dataset,
        stages,
        is_new=np.zeros(3, np.bool_),
        until=(10, 10),
        prediction_time="last_event",
        asks_each=True,
    )
    assert [split.dataset.items.ids_of(own.item_indices.tolist()) for own in split.past.histories] == [
        ["a"],
        [],
        ["c"],
    ]
    assert described(dataset, split.test) == [("p", "abcd", "e"), ("q", "a", "b")]


def _only_last_event(dataset: Dataset, person: int) -> Dataset:
    """The person arrives with the very last event of all."""
    histories = dataset.histories
    keep = np.ones(len(histories.times), np.bool_)
    keep[histories.offsets[person] : histories.offsets[person + 1] - 1] = False
    kept = histories.kept(keep)
    times = kept.times.copy()
    times[kept.offsets[person]] = times.max() + 1
    return replace(dataset, histories=replace(kept, times=times))


def test_beyond_the_bound_people_are_drawn_by_seed_and_the_fits_stay_as_they_are(split: Split) -> None:
    def drawn(seed: int) -> Split:
        max_people = MaxPeople(validation=30, test=40)
        return split_by_time(
            block_dataset(), validation_share=0.2, test_share=0.2, max_people=max_people, seed=seed
        )

    one, again, other = drawn(1), drawn(1), drawn(2)
    for some, every, n_max in ((one.validation, split.validation, 30), (one.test, split.test, 40)):
        assert 0 < len(some) <= n_max < len(every)
        assert set(some.user_indices.tolist()) <= set(every.user_indices.tolist())
    np.testing.assert_array_equal(one.test.user_indices, again.test.user_indices)
    assert one.test.user_indices.tolist() != other.test.user_indices.tolist()
    np.testing.assert_array_equal(one.past.histories.offsets, split.past.histories.offsets)


def test_nobody_without_a_past_takes_a_place_of_those_who_are_drawn() -> None:
    events = [(f"user-{person}", "item", moment) for person in range(10) for moment in (1, 2)]
    events += [(f"new-{person}", "item", 2) for person in range(90)]
    histories = dataset_of(events).histories
    stages: Stages = np.where(histories.times == 1, Stage.PAST, Stage.TEST).astype(np.int8)
    is_drawn = drawn_people(histories, stages, Stage.TEST, np.ones(len(histories), np.bool_), 5, seed=0)
    assert is_drawn.sum() == 5
    assert all(len(histories[int(person)]) == 2 for person in np.flatnonzero(is_drawn))


def test_a_bound_that_nobody_exceeds_changes_no_question(split: Split) -> None:
    max_people = MaxPeople(validation=10_000, test=10_000)
    bounded = split_by_time(block_dataset(), validation_share=0.2, test_share=0.2, max_people=max_people)
    np.testing.assert_array_equal(bounded.test.user_indices, split.test.user_indices)
    np.testing.assert_array_equal(bounded.validation.user_indices, split.validation.user_indices)


@pytest.fixture(scope="module")
def partly_gone() -> Dataset:
    return index_shop(shop_with_items_gone())


@pytest.mark.parametrize("protocol", ["next_basket", "leave_last_out"])
def test_what_may_not_be_recommended_is_learned_from_and_not_evaluated(
    partly_gone: Dataset, protocol: str
) -> None:
    if protocol == "next_basket":
        split = split_by_time(partly_gone, validation_share=0.2, test_share=0.2)
        whole = split_by_time(block_dataset(), validation_share=0.2, test_share=0.2)
    else:
        split = leave_last_out(partly_gone, new_people_share=0.0, seed=0)
        whole = leave_last_out(block_dataset(), new_people_share=0.0, seed=0)
    gone = ~split.dataset.catalogue.recommendable
    assert gone.sum() == 8
    assert gone[split.past.histories.item_indices].any()
    for questions, of_all in ((split.validation, whole.validation), (split.test, whole.test)):
        assert questions.recommendable is not None
        assert not gone[np.concatenate(questions.truth)].any()
        assert gone[np.concatenate([history.item_indices for history in questions.histories])].any()
        n_truth = sum(map(len, questions.truth))
        assert questions.left_out.items == sum(map(len, of_all.truth)) - n_truth > 0
        assert questions.left_out.people == len(of_all) - len(questions)


def test_where_everything_may_be_recommended_questions_have_no_mask() -> None:
    split = split_by_time(block_dataset(), validation_share=0.2, test_share=0.2)
    assert split.test.recommendable is None
    assert split.test.left_out == LeftOut()


def test_too_few_questions_say_how_many_were_left_out(partly_gone: Dataset) -> None:
    catalogue = replace(partly_gone.catalogue, recommendable=np.arange(61) < 4)
    sold_out = replace(partly_gone, catalogue=catalogue)
    with pytest.raises(TooLittleData, match=r"\(\d+ more took only items that may not be recommended\)"):
        split_by_time(sold_out, validation_share=0.2, test_share=0.2)
