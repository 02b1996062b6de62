from __future__ import annotations

import numpy as np
import pytest

from tests.support.blocks import block_dataset
from training.data.split import Split, interactions_before, questions_between, split_by_time
from training.errors import TooLittleData


@pytest.fixture(scope="module")
def split() -> Split:
    return split_by_time(block_dataset(), validation_share=0.2, test_share=0.2)


def test_slices_follow_each_other_in_time(split: Split) -> None:
    assert split.validation_start < split.test_start
    assert split.past().histories.times.max() < split.validation_start
    assert split.past_and_validation().histories.times.max() < split.test_start


def test_shares_are_of_events(split: Split) -> None:
    times = split.dataset.histories.times
    assert (times >= split.test_start).mean() == pytest.approx(0.2, abs=0.01)
    assert (times < split.validation_start).mean() == pytest.approx(0.6, abs=0.01)


def test_histories_end_where_the_slice_begins(split: Split) -> None:
    assert all(history.times[-1] < split.test_start for history in split.test().histories)
    assert all(history.times[-1] < split.validation_start for history in split.validation().histories)


def test_truth_is_new_to_the_person_and_lies_in_the_slice(split: Split) -> None:
    questions = split.test()
    for user_index, history, truth in zip(
        questions.user_indices, questions.histories, questions.truth, strict=True
    ):
        whole = split.dataset.histories[int(user_index)]
        later = whole.item_indices[whole.times >= split.test_start]
        assert set(truth) == set(later) - set(history.item_indices)
        assert len(truth)


def test_validation_truth_stops_at_the_test_slice(split: Split) -> None:
    questions = split.validation()
    for user_index, truth in zip(questions.user_indices, questions.truth, strict=True):
        whole = split.dataset.histories[int(user_index)]
        inside = (whole.times >= split.validation_start) & (whole.times < split.test_start)
        assert set(truth) <= set(whole.item_indices[inside])


def test_people_keep_their_rows_in_the_past(split: Split) -> None:
    past = interactions_before(split.dataset, split.validation_start)
    assert len(past.histories) == len(split.dataset.people)
    whole = split.dataset.histories[5]
    np.testing.assert_array_equal(
        past.histories[5].item_indices, whole.item_indices[whole.times < split.validation_start]
    )


def test_somebody_without_a_past_is_not_asked(split: Split) -> None:
    first = int(split.dataset.histories.times.min())
    assert len(questions_between(split.dataset, first, split.test_start)) == 0


def test_a_slice_with_too_few_people_is_refused_with_its_count() -> None:
    with pytest.raises(TooLittleData, match=r"validation slice has \d people"):
        split_by_time(block_dataset(n_people=8), validation_share=0.2, test_share=0.2)
