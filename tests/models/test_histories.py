"""Everybody's history in four arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.histories import ColdHistories, Histories
from models.history import Event, History
from models.vocabulary import Vocabulary
from tests.support.bundles import tiny_history, tiny_people


def same(left: History, right: History) -> bool:
    return all(
        np.array_equal(getattr(left, part), getattr(right, part))
        for part in ("item_indices", "times", "kinds")
    )


events = st.builds(Event, st.integers(0, 99), st.integers(0, 99), st.integers(0, 4))


@given(st.lists(st.lists(events, max_size=5), max_size=8))
def test_packed_histories_come_back_in_order(people: list[list[Event]]) -> None:
    histories = [History.from_events(events) for events in people]
    packed = Histories.from_arrays(Histories.from_list(histories).arrays("h"), "h")
    assert len(packed) == len(histories)
    assert all(same(*pair) for pair in zip(packed, histories, strict=True))


@pytest.mark.parametrize("row", [-1, 2])
def test_row_that_does_not_exist_is_refused(row: int) -> None:
    packed = Histories.from_list([tiny_history(0), tiny_history(1)])
    with pytest.raises(IndexError, match=f"row {row} of 2"):
        packed[row]


def test_history_is_a_view_and_no_copy() -> None:
    packed = Histories.from_list([tiny_history(0), tiny_history(1)])
    assert np.shares_memory(packed[1].times, packed.times)


def test_person_is_found_by_id() -> None:
    found = tiny_people().find("user-3")
    assert found is not None
    assert same(found, tiny_history(3))


def test_stranger_has_no_history() -> None:
    assert tiny_people().find("stranger") is None


def test_known_person_without_events_has_an_empty_history() -> None:
    people = ColdHistories(Vocabulary.from_ids(["new"]), Histories.from_list([History.empty()]))
    found = people.find("new")
    assert found is not None
    assert len(found) == 0
