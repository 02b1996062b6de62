"""Windows of inputs: when they close, what raises an alarm and what does not."""

from __future__ import annotations

import numpy as np
import pytest

from models.monitoring.drift import DriftWindows, compare
from models.monitoring.histogram import Histogram
from models.monitoring.inputs import HISTORY_LENGTH, UNKNOWN_ITEM

EVEN = Histogram([0, 1, 2, 3, 4], [5_000, 5_000, 5_000, 5_000])
KNOWN = Histogram([0, 1, 2], [9_900, 100])


def windows(minimum: int = 100, seconds: float = 60) -> DriftWindows:
    return DriftWindows({HISTORY_LENGTH: EVEN}, minimum=minimum, seconds=seconds)


def test_traffic_like_the_reference_is_no_alarm() -> None:
    found = compare(HISTORY_LENGTH, EVEN, np.array([248, 252, 255, 245]), 8)
    assert found.p_value > 0.9
    assert not found.is_alarm


def test_traffic_of_another_shape_is_an_alarm() -> None:
    found = compare(HISTORY_LENGTH, EVEN, np.array([400, 300, 200, 100]), 8)
    assert found.is_alarm
    assert found.psi > 0.1


def test_a_shift_that_is_sure_but_small_is_no_alarm() -> None:
    found = compare(HISTORY_LENGTH, EVEN, np.array([27_000, 25_000, 25_000, 23_000]), 8)
    assert found.p_value < 1e-6
    assert not found.is_alarm


def test_a_large_shift_that_chance_may_make_is_no_alarm() -> None:
    clustered = Histogram(EVEN.edges, EVEN.counts, {"100": 30.0})
    found = compare(HISTORY_LENGTH, clustered, np.array([40, 30, 20, 10]), 8)
    assert found.psi > 0.1
    assert not found.is_alarm


@pytest.mark.parametrize(
    ("live", "n_inputs", "is_alarm"),
    [
        ([56, 38, 32, 22], 1, True),  # p = .00094
        ([53, 36, 30, 21], 1, False),  # p = .0015
        ([71, 48, 41, 28], 8, False),  # p = .00013: an eighth of one in a thousand is .000125
        ([74, 50, 43, 29], 8, True),  # p = .000086
    ],
)
def test_one_window_in_a_thousand_is_shared_by_the_inputs_that_are_watched(
    live: list[int], n_inputs: int, is_alarm: bool
) -> None:
    found = compare(HISTORY_LENGTH, EVEN, np.array(live), n_inputs)
    assert found.psi > 0.1
    assert (found.p_value < 0.001 / n_inputs, found.is_alarm) == (is_alarm, is_alarm)


@pytest.mark.parametrize(("step", "is_alarm"), [(0.195, False), (0.205, True)])
def test_a_sure_shift_is_an_alarm_from_an_index_of_a_tenth_on(step: float, is_alarm: bool) -> None:
    shares = 0.25 + step * np.array([0.5, 0.25, -0.25, -0.5])
    found = compare(HISTORY_LENGTH, EVEN, (100_000 * shares).astype(np.int64), 8)
    assert found.p_value < 1e-9
    assert (found.psi >= 0.1, found.is_alarm) == (is_alarm, is_alarm)


def test_knowing_more_items_than_the_reference_is_no_alarm_and_fewer_is() -> None:
    some = Histogram([0, 1, 2], [9_000, 1_000])
    assert not compare(UNKNOWN_ITEM, some, np.array([1_000, 0]), 8).is_alarm
    assert compare(UNKNOWN_ITEM, KNOWN, np.array([850, 150]), 8).is_alarm


def test_a_window_needs_its_time_and_its_minimum() -> None:
    watched = windows()
    watched.add(HISTORY_LENGTH, np.array([0.0] * 99), 1_000.0)
    assert watched.close(2_000.0) == []
    watched.add(HISTORY_LENGTH, np.array([0.0]), 2_000.0)
    assert watched.close(1_059.0) == []
    (found,) = watched.close(1_060.0)
    assert found.n == 100
    assert found.is_alarm


def test_the_next_window_begins_empty_and_with_its_own_first_record() -> None:
    watched = windows()
    watched.add(HISTORY_LENGTH, np.zeros(100), 1_000.0)
    watched.close(1_060.0)
    assert watched.n_waiting(HISTORY_LENGTH) == 0
    watched.add(HISTORY_LENGTH, np.tile(np.arange(4.0), 50), 1_070.0)
    assert watched.close(1_129.0) == []
    (found,) = watched.close(1_130.0)
    assert not found.is_alarm


def test_an_input_without_a_reference_is_not_watched() -> None:
    watched = windows(minimum=1, seconds=1)
    watched.add("heartbeats", np.ones(10), 0.0)
    assert watched.close(100.0) == []


@pytest.mark.parametrize("size", [250, 1_000])
def test_independent_windows_ring_no_oftener_than_stated(size: int) -> None:
    rng, shares = np.random.default_rng(0), np.array([0.4, 0.3, 0.2, 0.1])
    reference = Histogram([0, 1, 2, 3, 4], rng.multinomial(20_000, shares).tolist())
    drawn = rng.multinomial(size, shares, size=4_000)
    below = sum(compare(HISTORY_LENGTH, reference, live, 1).p_value < 0.01 for live in drawn)
    assert below < 65  # 40 expected; 4 standard deviations
