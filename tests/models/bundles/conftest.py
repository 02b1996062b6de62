"""Registries with bundles to promote, roll back and prune."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from models.bundles.bundle import write_bundle
from models.bundles.registry import Registry
from tests.support.bundles import WRITTEN_AT, tiny_contents


@pytest.fixture(scope="session")
def four_bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four bundles, one a year, none promoted."""
    store = tmp_path_factory.mktemp("four")
    for year, n_items in enumerate((20, 24, 28, 32), 2021):
        write_bundle(store, tiny_contents(n_items=n_items), now=WRITTEN_AT.replace(year=year))
    return store


@pytest.fixture
def registry(four_bundles: Path, tmp_path: Path) -> Registry:
    """A registry of this test's own with four bundles, none promoted."""
    return Registry(Path(shutil.copytree(four_bundles, tmp_path / "registry")))
