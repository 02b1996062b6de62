"""Arrays written piece by piece come back whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.scale.appended import AppendedArrays


def test_pieces_lie_one_after_the_other_in_the_dtype_of_their_array(tmp_path: Path) -> None:
    arrays = AppendedArrays(tmp_path, {"small": np.uint8, "large": np.int64})
    with arrays:
        arrays.append(small=np.array([1, 2]), large=np.array([[3, 4], [5, 6]], np.int32))
        arrays.append(small=np.array([7.0]))
    small, large = arrays.mapped("small"), arrays.mapped("large")
    np.testing.assert_array_equal(small, np.array([1, 2, 7], np.uint8), strict=True)
    np.testing.assert_array_equal(large, np.array([3, 4, 5, 6], np.int64), strict=True)
    assert isinstance(small, np.memmap)
    assert not small.flags.writeable
