"""Loads what `kernel/scan.c` was compiled to. Whoever calls it says how its functions are called."""

from __future__ import annotations

import ctypes
import sysconfig
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.errors import KernelMissing


def load_kernel() -> ctypes.CDLL:
    """Return the library. Raises KernelMissing."""
    file = Path(__file__).with_name(f"_scan{sysconfig.get_config_var('EXT_SUFFIX')}")
    if not file.exists():
        raise KernelMissing(
            f"{file.name} is not built; `pip install -e .` builds it and needs a C compiler (Debian: gcc, libc6-dev)"
        )
    return ctypes.CDLL(str(file))


def address(array: npt.NDArray[np.generic]) -> int:
    """Return where an array's first number lies; whoever uses it keeps the array."""
    return int(array.__array_interface__["data"][0])
