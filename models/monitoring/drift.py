"""Compares windows of live traffic with the bundle's reference: how far each input is away, and whether by chance."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import NamedTuple

import numpy as np

from models.monitoring.histogram import Histogram, Numbers
from models.monitoring.inputs import UNKNOWN_ITEM
from models.monitoring.two_sample import Counts, chi_square, population_stability_index
from models.statistics.chi_square import chi_square_survival

FALSE_ALARM_RATE = 0.001
"""The probability that a window of traffic like the reference raises an alarm for any input."""

NOTICEABLE_PSI = 0.1
"""Smaller shifts raise no alarm, however significant: with enough traffic every shift is."""


class InputDrift(NamedTuple):
    """The result of one window for one input. n: numbers in the window."""

    name: str
    n: int
    psi: float
    p_value: float
    is_alarm: bool


def compare(
    name: str, reference: Histogram, live: Counts, n_inputs: int, false_alarm_rate: float = FALSE_ALARM_RATE
) -> InputDrift:
    """Compare a window with the reference. n_inputs: tested together, so they divide the false alarm rate."""
    expected, n = reference.counted(), int(live.sum())
    psi = population_stability_index(expected, live)
    tail_degrees = inf if reference.tail_degrees is None else reference.tail_degrees
    p_value = chi_square_p_value(expected, live, reference.design_effect(n), tail_degrees)
    is_alarm = p_value < false_alarm_rate / n_inputs and psi >= NOTICEABLE_PSI
    if name == UNKNOWN_ITEM:  # the current bundle may know more items than the reference, which is no fault
        is_alarm &= _mean_bin(live) > _mean_bin(expected)
    return InputDrift(name, n, psi, p_value, is_alarm)


def chi_square_p_value(
    reference: Counts, live: Counts, design_effect: float = 1.0, tail_degrees: float = inf
) -> float:
    """Return the p-value of "both samples have one distribution", (n_bins,) counts each; 1 if one of them is empty.

    design_effect: how many times Pearson's statistic exceeds its degrees of freedom if nothing differs, since events
    of one visit are alike. tail_degrees: the degrees of the chi-square variable that varies as much, for its mean, as
    the statistic does; a few busy people make them fewer than the bins. These are the corrections of first and second
    order of Rao and Scott (1984), measured and not derived.
    """
    statistic, degrees = chi_square(reference, live)
    if not degrees:
        return 1.0
    own = min(tail_degrees, degrees)
    return chi_square_survival(statistic / (design_effect * degrees) * own, own)


def _mean_bin(counts: Counts) -> float:
    return float(np.arange(len(counts)) @ counts / max(counts.sum(), 1))


class DriftWindows:
    """Counts each input until its window is full, then compares it and begins the next one.

    reference: by input's name. minimum: how many numbers a window needs; one that has fewer in time stays
    open. seconds: how long a window lasts at least.
    """

    def __init__(self, reference: Mapping[str, Histogram], *, minimum: int, seconds: float) -> None:
        self._reference = dict(reference)
        self._minimum = minimum
        self._seconds = seconds
        self._live = {name: np.zeros(len(each.counts), np.int64) for name, each in self._reference.items()}
        self._since: dict[str, float] = {}

    @property
    def names(self) -> list[str]:
        """Return the names of the monitored inputs."""
        return list(self._reference)

    def add(self, name: str, numbers: Numbers, moment: float) -> None:
        """Count (n,) numbers of an input; one without a reference is ignored. moment: Unix seconds of the traffic."""
        reference = self._reference.get(name)
        if reference is not None and len(numbers):
            self._since.setdefault(name, moment)
            self._live[name] += reference.count(numbers)

    def n_waiting(self, name: str) -> int:
        """Return how many numbers the open window of an input has."""
        return int(self._live[name].sum())

    def close(self, moment: float) -> list[InputDrift]:
        """Compare the windows that are full, and begin new ones."""
        found = []
        for name, reference in self._reference.items():
            is_over = name in self._since and moment - self._since[name] >= self._seconds
            if is_over and self.n_waiting(name) >= self._minimum:
                found.append(compare(name, reference, self._live[name], len(self._reference)))
                self._live[name] = np.zeros(len(reference.counts), np.int64)
                del self._since[name]
        return found
