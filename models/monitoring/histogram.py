"""Numbers counted in bins: a bundle holds what it expects, and the monitor counts live traffic."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from models.monitoring.two_sample import Counts

Numbers = (
    npt.NDArray[np.float64]
    | npt.NDArray[np.float32]
    | npt.NDArray[np.int64]
    | npt.NDArray[np.int32]
    | npt.NDArray[np.bool_]
)


class Histogram(msgspec.Struct, frozen=True):
    """edges: rising, one more than bins; a bin includes its lower edge. Numbers outside count in the outer bins.

    design_effects, tail_degrees: of the two-sample test, as measured on reference traffic, the former by the window's
    size; tail_degrees is None if there was too little traffic.
    """

    edges: list[float]
    counts: list[int]
    design_effects: dict[str, float] = {}
    tail_degrees: float | None = None

    @staticmethod
    def of(numbers: Numbers, edges: Sequence[float]) -> Histogram:
        """Count (n,) numbers."""
        rising = sorted({float(edge) for edge in edges})
        if len(rising) < 2:
            rising = [rising[0], rising[0] + 1.0]
        return Histogram(rising, count(numbers, rising).tolist())

    def counted(self) -> Counts:
        """Return the counts as an array, (n_bins,)."""
        return np.array(self.counts, np.int64)

    def count(self, numbers: Numbers) -> Counts:
        """Count (n,) numbers in these bins."""
        return count(numbers, self.edges)

    def design_effect(self, n: int) -> float:
        """Interpolate the design effect for a window of n numbers, linearly; beyond the largest size it grows with n.

        Traffic that changes over time makes the statistic grow with n, so going on linearly is the careful choice.
        """
        if not self.design_effects:
            return 1.0
        sizes = np.array([float(size) for size in self.design_effects])
        effects = np.array(list(self.design_effects.values()))
        if n <= sizes[-1]:
            return float(np.interp(n, sizes, effects))
        return float(1 + (effects[-1] - 1) * n / sizes[-1])


def count(numbers: Numbers, edges: Sequence[float]) -> Counts:
    """Count (n,) numbers in bins between rising edges, as `Histogram` says; (n_bins,) int64. NaN is not counted."""
    known = numbers[~np.isnan(numbers)]
    return np.bincount(bins(known, edges), minlength=len(edges) - 1)


def bins(numbers: Numbers, edges: Sequence[float]) -> npt.NDArray[np.int64]:
    """Return the bin of each number, (n,)."""
    return np.searchsorted(np.asarray(edges[1:-1], np.float64), numbers, side="right")
