"""Arrays larger than memory: they are written piece by piece, and mapped when they are complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt


class AppendedArrays:
    """Flat arrays in a folder, one file each, as a context manager. dtypes: by name."""

    def __init__(self, folder: Path, dtypes: dict[str, npt.DTypeLike]) -> None:
        self._paths = {name: folder / name for name in dtypes}
        self._dtypes = {name: np.dtype(dtype) for name, dtype in dtypes.items()}

    def __enter__(self) -> Self:
        self._files = {name: path.open("wb") for name, path in self._paths.items()}
        return self

    def __exit__(self, *raised: object) -> None:
        for file in self._files.values():
            file.close()

    def append(self, **pieces: npt.NDArray[Any]) -> None:
        """Add a piece to the end of each named array, in that array's dtype."""
        for name, piece in pieces.items():
            self._files[name].write(np.ascontiguousarray(piece, self._dtypes[name]).data)

    def mapped(self, name: str) -> npt.NDArray[Any]:
        """Map one array from disk, read-only. Leave the context first: a file still has bytes in memory."""
        return np.memmap(self._paths[name], self._dtypes[name], mode="r")
