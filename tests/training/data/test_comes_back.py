"""Whether a shop's people take items again, by which a bundle's lists keep or leave out what they have."""

from __future__ import annotations

import numpy as np
import pytest

from models.history import VISIT_GAP_SECONDS, EventKind, History
from models.packed_histories import Histories
from tests.support.shops import dataset_of
from training.data.comes_back import (
    MIN_LATER,
    MIN_SHARE_AGAIN,
    asking_as_lists_answer,
    rule_of,
    share_taken_again,
)
from training.data.split import Split, split_by_time

DAY = 86_400
BUY, LOOK = int(EventKind.PURCHASE), int(EventKind.VIEW)


def person(*events: tuple[int, int, int]) -> History:
    """From (item, visit, kind)."""
    items, visits, kinds = zip(*events, strict=True)
    times = np.array(visits, np.int64) * (VISIT_GAP_SECONDS + 1)
    return History(np.array(items, np.int32), times, np.array(kinds, np.uint8))


def share(*people: History) -> float | None:
    return share_taken_again(Histories.from_list(list(people)), EventKind.PURCHASE)


def test_the_share_is_of_targets_after_the_first_visit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.data.comes_back.MIN_LATER", 1)
    again = person((0, 0, BUY), (1, 0, BUY), (0, 1, BUY), (0, 1, BUY), (2, 1, BUY), (0, 2, BUY))
    once = person((3, 0, BUY), (4, 1, BUY))
    assert share(again) == pytest.approx(2 / 3)  # 0 and 2 on the second visit, 0 on the third
    assert share(again, once) == pytest.approx(2 / 4)


def test_what_was_looked_at_or_bought_twice_in_a_visit_does_not_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("training.data.comes_back.MIN_LATER", 1)
    assert share(person((0, 0, LOOK), (1, 0, BUY), (1, 0, BUY), (0, 1, BUY), (1, 1, LOOK))) == 0.0
    # The items of one person are not those of the next.
    assert share(person((0, 0, BUY), (1, 1, BUY)), person((1, 0, BUY), (0, 1, BUY))) == 0.0


def test_too_few_later_targets_tell_nothing() -> None:
    of_one = [(item, item, BUY) for item in range(MIN_LATER + 1)]
    assert share(person(*of_one[:-1])) is None
    assert share(person(*of_one)) == 0.0


def shop(n_again: int) -> Split:
    """Sixty people who buy something new each day, and as often as said their first item once more."""
    early_days = [(who, day) for day in range(1, 15) for who in range(60)]
    again = set(early_days[:n_again])
    events = [
        (f"p{who}", f"i{(who * 7 + (0 if (who, day) in again else day) * 11) % 199}", day * DAY)
        for who in range(60)
        for day in range(30)
    ]
    return split_by_time(dataset_of(events), validation_share=0.2, test_share=0.2)


@pytest.mark.parametrize(
    ("n_again", "expected"), [(0, "leave_out_bought"), (5, "leave_out_bought"), (60, "rank")]
)
def test_a_shop_where_next_to_nothing_comes_back_leaves_out_what_people_have(
    n_again: int, expected: str
) -> None:
    split = shop(n_again)
    n_later = int((split.past_and_validation.histories.times >= DAY).sum())
    assert (n_again / n_later >= MIN_SHARE_AGAIN) == (expected == "rank")
    assert rule_of(split) == expected


def test_there_lists_are_asked_about_what_they_can_answer() -> None:
    split = asking_as_lists_answer(shop(60), "leave_out_bought")
    for questions in (split.validation, split.test):
        assert questions.known_items == "leave_out_bought"
        for row, (truth, history) in enumerate(zip(questions.truth, questions.histories, strict=True)):
            assert len(truth)
            assert not np.isin(truth, history.item_indices).any()
            assert questions.left_out_of(row).tolist() == np.unique(history.item_indices).tolist()
    assert asking_as_lists_answer(split, "rank") is split
