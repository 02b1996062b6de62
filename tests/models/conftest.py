"""A tiny bundle to spoil: written once, copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.bundles import tiny_bundle


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle that `bundle` copies; leave it as it is."""
    return tiny_bundle(tmp_path_factory.mktemp("pristine"), promote=False)


@pytest.fixture
def bundle(pristine: Path, tmp_path: Path) -> Path:
    """A tiny bundle of this test's own, in a store of its own."""
    return Path(shutil.copytree(pristine, tmp_path / "bundles" / pristine.name))
