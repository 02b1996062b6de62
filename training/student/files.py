"""Store a student's files in the run's folder, so that the report can measure each precision in its own process."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.cooccurrence import COOCCURRENCE_ARRAYS
from models.index import INDEX_ARRAYS
from models.repeats import REPEAT_ARRAYS, REPEATS
from models.student import STUDENT_ARRAYS, StudentFiles


def save_student(files: StudentFiles, folder: Path) -> None:
    """Write the tower and the tables as they lie in a bundle."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "user_tower.onnx").write_bytes(files.user_tower)
    (folder / "n_probes.txt").write_text(str(files.index.n_probes))
    (folder / "precision.txt").write_text(files.precision)
    for name, array in files.arrays().items():
        np.save(folder / f"{name}.npy", array)


def load_student(folder: Path) -> StudentFiles:
    """Read what `save_student` wrote; tables are memory-mapped."""
    of_repeats = (f"{REPEATS}{name}" for name in REPEAT_ARRAYS)
    names = (*STUDENT_ARRAYS, *INDEX_ARRAYS, *COOCCURRENCE_ARRAYS, *of_repeats)
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
    return StudentFiles.from_arrays(
        arrays,
        user_tower=(folder / "user_tower.onnx").read_bytes(),
        n_probes=int((folder / "n_probes.txt").read_text()),
        precision=(folder / "precision.txt").read_text(),
    )
