"""Bins and what lies outside them, and the design effect between the sizes that were measured."""

from __future__ import annotations

import numpy as np
import pytest

from models.monitoring.histogram import Histogram


def test_a_bin_has_its_lower_edge_and_the_outer_ones_have_all_that_lies_outside() -> None:
    found = Histogram.of(np.array([-5.0, 0.0, 0.99, 1.0, 2.0, 99.0]), [0, 1, 2])
    assert found.counts == [3, 3]


def test_what_is_unknown_is_not_counted() -> None:
    assert Histogram.of(np.array([0.5, np.nan]), [0, 1, 2]).counts == [1, 0]


def test_edges_that_fall_together_are_one() -> None:
    assert Histogram.of(np.array([3.0]), [3.0, 3.0, 3.0]).edges == [3.0, 4.0]


@pytest.mark.parametrize(("n", "effect"), [(50, 2.0), (100, 2.0), (150, 3.0), (200, 4.0), (400, 7.0)])
def test_design_effects_are_joined_by_lines_and_grow_beyond_the_largest_window(n: int, effect: float) -> None:
    measured = Histogram([0, 1, 2], [10, 10], {"100": 2.0, "200": 4.0})
    assert measured.design_effect(n) == pytest.approx(effect)


def test_without_a_measured_effect_numbers_are_independent() -> None:
    assert Histogram([0, 1, 2], [10, 10]).design_effect(500) == 1.0
