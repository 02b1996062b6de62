"""Files of the repository that are no code, and programs that a machine may lack."""

from __future__ import annotations

import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def read_yaml(name: str) -> dict[str, Any]:
    """Read a file by its path from the root."""
    content: dict[str, Any] = import_module("yaml").safe_load((ROOT / name).read_text())
    return content


def program(name: str) -> str:
    """Where a program of Debian's prometheus or prometheus-alertmanager is; without it the test is skipped."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install prometheus prometheus-alertmanager")
    return found
