"""A shop before its first model."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A store that nobody has made yet."""
    return tmp_path / "empty" / "store"
