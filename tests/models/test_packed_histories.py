"""Everybody's history in four arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import models.packed_histories
from models.errors import StillroomError
from models.history import Event, History
from models.packed_histories import ColdHistories, Histories
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


def test_times_of_a_bundle_are_widened_for_the_person_asked_for() -> None:
    packed = Histories.from_list([tiny_history(0), tiny_history(1)])
    stored = {
        name: array.astype(np.uint32) if "times" in name else array
        for name, array in packed.arrays("h").items()
    }
    read = Histories.from_arrays(stored, "h")
    assert read.times.dtype == np.uint32
    assert np.shares_memory(read.times, stored["h.times"])
    assert read[1].times.dtype == np.int64
    assert same(read[1], tiny_history(1))


@pytest.mark.parametrize("time", [-1, 2**32])
def test_time_that_a_bundle_cannot_hold_is_refused_by_name(
    time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models.packed_histories, "TIMES_DTYPE", np.dtype(np.uint32))
    with pytest.raises(StillroomError, match=str(time)):
        Histories.from_list([History.from_events([Event(0, time)])]).arrays("h")


def test_times_take_four_bytes_where_a_bundle_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.packed_histories, "TIMES_DTYPE", np.dtype(np.uint32))
    packed = Histories.from_list([tiny_history(1)])
    assert packed.arrays("h")["h.times"].dtype == np.uint32
    assert same(Histories.from_arrays(packed.arrays("h"), "h")[0], tiny_history(1))


def test_random_reads_are_expected_of_mapped_files_and_nothing_else(tmp_path: Path) -> None:
    people = tiny_people()
    people.expect_random_reads()
    for name, array in people.histories.arrays("h").items():
        np.save(tmp_path / name, array)
    mapped = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in people.histories.arrays("h")}
    again = ColdHistories(people.people, Histories.from_arrays(mapped, "h"))
    again.expect_random_reads()
    if Path("/proc/self/smaps").exists():
        maps = Path("/proc/self/smaps").read_text().partition(str(tmp_path))[2].partition("VmFlags:")[2]
        assert " rr " in maps.partition("\n")[0]
    found = again.find("user-3")
    assert found is not None
    assert same(found, tiny_history(3))
