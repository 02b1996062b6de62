"""Pruning removes old versions and left-overs, and nothing that is in use or being written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from models.bundles.bundle import WRITING_LOCK, write_bundle
from models.bundles.files import MANIFEST
from models.bundles.locks import lock, lock_if_free
from models.bundles.registry import Registry
from models.errors import (
    RegistryError,
)
from tests.support.bundles import leftovers, tiny_contents


def test_prune_keeps_the_newest(registry: Registry) -> None:
    *old, third, fourth = registry.versions()
    assert registry.prune(2) == old
    assert registry.versions() == [third, fourth]


def test_prune_keeps_the_current_version_and_the_one_before(registry: Registry) -> None:
    first, second, third, fourth = registry.versions()
    registry.promote(second)
    registry.promote(first)
    assert registry.prune(1) == [third]
    assert registry.versions() == [first, second, fourth]
    assert registry.roll_back() == second


def test_pruned_versions_are_forgotten_and_no_version_follows_itself(registry: Registry) -> None:
    first, second, third, fourth = registry.versions()
    for version in (first, second, first, third, first, fourth):
        registry.promote(version)
    assert registry.prune(1) == [second, third]
    assert registry.promotions() == [fourth, first]


def test_prune_of_nothing_leaves_current_alone(registry: Registry) -> None:
    assert registry.prune(4) == []
    assert not (registry.store / "current").exists()


@pytest.mark.parametrize("keep", [0, -1])
def test_prune_keeps_at_least_one(registry: Registry, keep: int) -> None:
    with pytest.raises(RegistryError, match="at least 1"):
        registry.prune(keep)
    assert len(registry.versions()) == 4


def test_prune_clears_what_interrupted_writes_left(registry: Registry) -> None:
    for folder in (".writing-abc", ".deleting-abc"):
        (registry.store / folder).mkdir()
        (registry.store / folder / "file").touch()
    (registry.store / ".current-abc").touch()
    registry.prune(4)
    assert leftovers(registry) == []


def test_prune_leaves_a_bundle_alone_that_is_being_written(registry: Registry) -> None:
    (registry.store / ".writing-abc").mkdir()
    with lock(registry.store / WRITING_LOCK, is_shared=True):
        registry.prune(4)
        assert leftovers(registry) == [".writing-abc"]


def test_bundle_is_written_under_the_writing_lock(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    was_free = []

    def look(*_: Any) -> None:
        with lock_if_free(registry.store / WRITING_LOCK) as is_free:
            was_free.append(is_free)

    monkeypatch.setattr("models.bundles.bundle.sync_folder", look)
    write_bundle(registry.store, tiny_contents())
    assert was_free == [False, False]


def test_interrupted_prune_leaves_no_half_bundle_to_be_seen(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(folder: Path) -> None:
        (folder / MANIFEST).unlink(missing_ok=True)
        raise OSError("the disk went away")

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    *_, third, fourth = registry.versions()
    with pytest.raises(OSError, match="went away"):
        registry.prune(2)
    assert registry.versions()[-2:] == [third, fourth]
    for version in registry.versions():
        registry.promote(version)


def test_prune_takes_away_a_link_and_not_what_it_leads_to(registry: Registry) -> None:
    oldest = registry.versions()[0]
    elsewhere = registry.store.parent / oldest
    (registry.store / oldest).rename(elsewhere)
    (registry.store / oldest).symlink_to(elsewhere)
    assert registry.prune(3) == [oldest]
    assert (elsewhere / MANIFEST).is_file()
