"""When an item is due again: from the shop's intervals and the person's own."""

from __future__ import annotations

import numpy as np
import pytest

from models.history import MAX_COUNT, SECONDS_PER_DAY
from models.repurchase import MIN_SHARE, Due, RepurchaseClock

NOW = 20_000 * SECONDS_PER_DAY + 40_000


def clock(days: float, *, share: float = 0.5, strength: float = 1.0) -> RepurchaseClock:
    """The clock of one item."""
    return RepurchaseClock(
        np.array([np.log(days)], np.float32), np.array([share], np.float32), np.array([strength], np.float32)
    )


def days_ago(*days: float) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([NOW - day * SECONDS_PER_DAY for day in days], np.int64)


def test_who_bought_once_has_the_interval_of_the_item() -> None:
    assert clock(7).due(0, days_ago(3), NOW) == Due(4, 7)


def test_what_is_overdue_is_due_in_less_than_no_days() -> None:
    assert clock(7).due(0, days_ago(10), NOW) == Due(-3, 7)


def test_own_intervals_count_as_much_as_the_strength_says() -> None:
    twice = days_ago(33, 5)  # 28 days apart
    assert clock(7).due(0, twice, NOW) == Due(9, 14)  # the geometric mean of 7 and 28
    assert clock(7, strength=1e6).due(0, twice, NOW) == Due(2, 7)
    assert clock(7, strength=1e-6).due(0, twice, NOW) == Due(23, 28)


def test_the_order_of_purchases_does_not_matter_and_those_of_a_day_are_one() -> None:
    assert clock(7).due(0, days_ago(5, 33, 5, 5.01), NOW) == clock(7).due(0, days_ago(33, 5), NOW)


def test_only_the_latest_purchases_count_as_no_more_are_kept_of_a_person() -> None:
    weekly = days_ago(*(7 * week for week in range(MAX_COUNT)))
    before = days_ago(400, 800, 1_200)
    assert clock(9).due(0, np.concatenate([before, weekly]), NOW) == clock(9).due(0, weekly, NOW)


def test_what_hardly_anybody_buys_again_is_not_due_until_somebody_did() -> None:
    fridge = clock(400, share=MIN_SHARE / 2)
    assert fridge.due(0, days_ago(3), NOW) is None
    assert fridge.due(0, days_ago(33, 3), NOW) is not None


def test_where_nothing_is_known_two_own_intervals_are_enough() -> None:
    unknown = RepurchaseClock.none(1)
    assert unknown.due(0, days_ago(3), NOW) is None
    assert unknown.due(0, days_ago(13, 3), NOW) is None
    assert unknown.due(0, days_ago(23, 13, 3), NOW) == Due(7, 10)


def test_what_was_not_bought_is_not_due() -> None:
    assert clock(7).due(0, days_ago(), NOW) is None


@pytest.mark.parametrize(("every", "words"), [(1, "about every day"), (23, "about every 23 days")])
def test_the_reason_says_how_often(every: int, words: str) -> None:
    assert Due(3, every).reason == words
