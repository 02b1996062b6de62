"""A student's folder holds all of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.bundles import tiny_items, tiny_student
from training.student.files import load_student, save_student


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_files_survive_a_round_trip(precision: str, tmp_path: Path) -> None:
    files = tiny_student(tiny_items(), precision)
    save_student(files, tmp_path)
    loaded = load_student(tmp_path)
    assert (loaded.user_tower, loaded.index.n_probes) == (files.user_tower, files.index.n_probes)
    assert (loaded.precision, loaded.size_bytes()) == (precision, files.size_bytes())
    for name, array in files.arrays().items():
        np.testing.assert_array_equal(loaded.arrays()[name], array, strict=True)
