"""What a removal undoes, against the events walked one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.history import EventKind
from models.removals import REMOVAL, RETURN, as_seen, standing

VIEW, CART, PURCHASE = EventKind.VIEW, EventKind.CART, EventKind.PURCHASE

Given = tuple[int, int, int, int]
"""subject, kind, time, arrival."""


def stands(events: Sequence[Given]) -> list[bool]:
    subjects, kinds, times, arrivals = np.array(events, np.int64).reshape(-1, 4).T
    return standing(subjects, kinds.astype(np.uint8), times, arrivals).tolist()


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], []),
        ([(1, VIEW, 1, 0), (1, CART, 2, 0), (1, REMOVAL, 3, 0)], [True, False, False]),
        ([(1, PURCHASE, 1, 0), (1, CART, 2, 0), (1, REMOVAL, 3, 0)], [True, False, False]),
        ([(1, CART, 2, 0), (1, REMOVAL, 1, 1)], [True, False]),  # put there after it was taken out
        ([(1, CART, 1, 0), (1, REMOVAL, 2, 1), (1, CART, 3, 2)], [False, False, True]),
        ([(1, CART, 1, 0), (2, REMOVAL, 2, 1)], [True, False]),  # of another item
        ([(1, REMOVAL, 5, 1), (1, CART, 5, 0)], [False, False]),  # of one second: the removal arrived later
        ([(1, REMOVAL, 5, 0), (1, CART, 5, 1)], [False, True]),
        ([(1, CART, 5, 0), (1, REMOVAL, 5, 0)], [False, False]),  # not even arrival tells: as given
        ([(1, REMOVAL, 5, 0), (1, CART, 5, 0)], [False, True]),
    ],
)
def test_removal_undoes_the_carts_of_its_item_before_it(events: list[Given], expected: list[bool]) -> None:
    assert stands(events) == expected


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([(1, PURCHASE, 1, 0), (1, RETURN, 2, 0)], [False, True]),
        ([(1, PURCHASE, 1, 0), (1, PURCHASE, 3, 0), (1, RETURN, 4, 0)], [True, False, True]),
        ([(1, PURCHASE, 1, 0), (1, RETURN, 2, 0), (1, PURCHASE, 3, 0)], [False, True, True]),  # bought again
        ([(1, PURCHASE, 1, 0), (1, RETURN, 2, 0), (1, RETURN, 3, 0)], [False, True, False]),
        ([(1, RETURN, 2, 0)], [False]),  # of nothing that was bought
        ([(1, PURCHASE, 3, 0), (1, RETURN, 2, 0)], [True, False]),
        (
            [(1, RETURN, 2, 0), (1, PURCHASE, 2, 0)],
            [True, False],
        ),  # of one second: first bought, then sent back
        ([(1, PURCHASE, 1, 0), (2, RETURN, 2, 0)], [True, False]),
        ([(1, VIEW, 1, 0), (1, CART, 1, 0), (1, RETURN, 2, 0)], [True, True, False]),
    ],
)
def test_return_undoes_the_last_purchase_of_its_item_before_it(
    events: list[Given], expected: list[bool]
) -> None:
    assert stands(events) == expected


def test_return_is_seen_as_a_dislike() -> None:
    assert as_seen(np.array([VIEW, PURCHASE, RETURN], np.uint8)).tolist() == [
        VIEW,
        PURCHASE,
        EventKind.DISLIKE,
    ]


def walked(events: Sequence[Given]) -> list[bool]:
    """The same, one event after the other."""
    result = [True] * len(events)
    in_cart: dict[int, list[int]] = {}
    for place in sorted(range(len(events)), key=lambda place: events[place][2:]):
        subject, kind, *_ = events[place]
        if kind == CART:
            in_cart.setdefault(subject, []).append(place)
        elif kind == REMOVAL:
            result[place] = False
            for undone in in_cart.pop(subject, []):
                result[undone] = False
    bought: dict[int, list[int]] = {}
    for place in sorted(range(len(events)), key=lambda place: (events[place][2], events[place][1] == RETURN)):
        subject, kind, *_ = events[place]
        if kind == PURCHASE:
            bought.setdefault(subject, []).append(place)
        elif kind == RETURN and bought.get(subject):
            result[bought[subject].pop()] = False
        elif kind == RETURN:
            result[place] = False
    return result


EVENTS = st.lists(
    st.tuples(st.integers(-1, 2), st.integers(0, RETURN), st.integers(0, 4), st.integers(0, 2)), max_size=25
)


@given(EVENTS)
def test_rule_is_that_of_a_walk_in_the_order_of_time_and_arrival(events: list[Given]) -> None:
    assert stands(events) == walked(events)
