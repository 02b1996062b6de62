"""A sparse matrix by rows (CSR), and the two products that members need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from models.members.member import Arrays, Floats, require

Indices = npt.NDArray[np.int32]


@dataclass(frozen=True)
class SparseRows:
    """offsets: (n_rows + 1,) int64 or int32, into the other two. columns: (n,) int32. values: (n,) float32."""

    offsets: npt.NDArray[np.int64] | npt.NDArray[np.int32]
    columns: Indices
    values: Floats
    n_columns: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[Any]], n_columns: int) -> SparseRows:
        """Read what `arrays` returned. Raises BundleInconsistent if an entry lies outside the matrix."""
        offsets, columns, values = (np.asarray(arrays[name]) for name in ("offsets", "columns", "values"))
        require(len(columns) == len(values), f"{len(columns):,} columns for {len(values):,} values")
        is_rising = bool(len(offsets)) and offsets[0] == 0 and not np.any(np.diff(offsets) < 0)
        require(is_rising and offsets[-1] == len(values), "rows do not lie one after the other")
        is_inside = not len(columns) or (columns.min() >= 0 and columns.max() < n_columns)
        require(is_inside, f"a column lies beyond the {n_columns:,} there are")
        return SparseRows(offsets, columns, values, n_columns)

    def arrays(self) -> Arrays:
        """Return named arrays for a bundle; the number of columns is stored elsewhere."""
        return {
            "offsets": np.asarray(self.offsets, np.int64),
            "columns": np.asarray(self.columns, np.int32),
            "values": np.asarray(self.values, np.float32),
        }

    def weighted_sum(self, rows: Indices, weights: Floats) -> tuple[Floats, int]:
        """Sum some rows, each times its weight; return (n_columns,) float32, and how many entries were summed."""
        entries, lengths = self._entries(rows)
        of_entries = self.values[entries] * np.repeat(weights, lengths)
        total = np.bincount(self.columns[entries], of_entries, self.n_columns)
        return total.astype(np.float32), len(entries)

    def times(self, vector: Floats) -> Floats:
        """Multiply the matrix by (n_columns,); (n_rows,) float32."""
        products = self.values * vector[self.columns]
        return np.bincount(self._row_of_entry, products, len(self)).astype(np.float32)

    def lengths(self) -> npt.NDArray[np.int64]:
        """Return the number of entries of each row; (n_rows,)."""
        return np.diff(self.offsets)

    @cached_property
    def _row_of_entry(self) -> Indices:
        return np.repeat(np.arange(len(self), dtype=np.int32), self.lengths())

    def _entries(self, rows: Indices) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return where the entries of these rows lie, row after row, and how many each row has."""
        starts = self.offsets[rows].astype(np.int64)
        lengths = self.offsets[rows + 1] - starts
        ends = np.cumsum(lengths)
        n_entries = int(ends[-1]) if len(ends) else 0
        return np.arange(n_entries) + np.repeat(starts - (ends - lengths), lengths), lengths
