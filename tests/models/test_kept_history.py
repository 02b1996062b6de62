from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import history as history_module
from models import kept_history as kept_histories
from models.history import Event, EventKind, History, encode_histories
from models.kept_history import kept_history

VIEW, CART, PURCHASE = EventKind.VIEW, EventKind.CART, EventKind.PURCHASE
EVENTS = st.lists(
    st.builds(Event, st.integers(0, 5), st.integers(0, 9), st.sampled_from(EventKind)), max_size=40
)


def kept(*events: tuple[int, int]) -> list[tuple[int, int]]:
    """Items and kinds, one event a second."""
    history = History.from_events(Event(item, second, kind) for second, (item, kind) in enumerate(events))
    found = kept_history(history)
    return list(zip(found.item_indices.tolist(), found.kinds.tolist(), strict=True))


def test_what_was_bought_before_it_went_into_the_cart_again_is_kept() -> None:
    """Live, the cart may be undone; then the purchase is what the person did."""
    assert kept((1, PURCHASE), (1, CART)) == [(1, PURCHASE), (1, CART)]


def test_of_each_item_and_kind_the_latest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "MAX_COUNT", 2)
    found = kept((1, VIEW), (2, VIEW), (1, VIEW), (1, CART), (1, VIEW))
    assert found == [(2, VIEW), (1, VIEW), (1, CART), (1, VIEW)]


def test_what_was_bought_outlives_what_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_histories, "MAX_PASSING_EVENTS", 3)
    found = kept((9, PURCHASE), *((item, VIEW) for item in range(8)))
    assert found == [(9, PURCHASE), (5, VIEW), (6, VIEW), (7, VIEW)]


@given(EVENTS)
def test_the_student_reads_the_same_of_what_is_kept(events: list[Event]) -> None:
    history = History.from_events(events)
    whole, less = (encode_histories([each]) for each in (history, kept_history(history)))
    for one, other in zip(whole, less, strict=True):
        np.testing.assert_array_equal(one, other)
