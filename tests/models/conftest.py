"""A tiny bundle to spoil: written once, copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.scan import KERNEL, available_kernels, choose_kernel
from tests.support.bundles import tiny_bundle


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle that `bundle` copies; leave it as it is."""
    return tiny_bundle(tmp_path_factory.mktemp("pristine"), promote=False)


@pytest.fixture
def bundle(pristine: Path, tmp_path: Path) -> Path:
    """A tiny bundle of this test's own, in a store of its own."""
    return Path(shutil.copytree(pristine, tmp_path / "bundles" / pristine.name))


@pytest.fixture(params=available_kernels())
def kernel(request: pytest.FixtureRequest) -> Iterator[str]:
    """Searches use these instructions, in turn all that the processor has."""
    yield choose_kernel(request.param)
    choose_kernel(KERNEL)
