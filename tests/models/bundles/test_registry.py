"""The registry: what is current changes in one step, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from models.bundles.locks import lock_if_free
from models.bundles.registry import LOCK, MAX_PROMOTIONS_KEPT, Registry
from models.errors import (
    BundleError,
    BundleInconsistent,
    FileCorrupt,
    ManifestInvalid,
    RegistryError,
)
from tests.models.forging import reseal
from tests.support.bundles import leftovers, tiny_items, tiny_student


def spoil(registry: Registry, version: str) -> None:
    (registry.store / version / "golden.json").write_bytes(b"")


def add_file(registry: Registry, version: str) -> None:
    (registry.store / version / "extra").touch()


def current_file(registry: Registry) -> str:
    return (registry.store / "current").read_text()


def test_versions_are_listed_oldest_first(registry: Registry) -> None:
    assert [version[:4] for version in registry.versions()] == ["2021", "2022", "2023", "2024"]


def test_only_visible_folders_with_a_manifest_are_versions(registry: Registry) -> None:
    before = registry.versions()
    (registry.store / "empty").mkdir()
    (registry.store / "notes.txt").touch()
    shutil.copytree(registry.store / before[0], registry.store / ".writing-abc")
    assert registry.versions() == before


def test_store_that_does_not_exist_holds_nothing(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "nowhere")
    assert registry.versions() == []
    assert registry.promotions() == []


@pytest.mark.parametrize("change", [lambda r: r.promote("x"), lambda r: r.prune(1), lambda r: r.roll_back()])
def test_store_that_does_not_exist_cannot_be_changed(
    tmp_path: Path, change: Callable[[Registry], Any]
) -> None:
    with pytest.raises(RegistryError, match="nowhere"):
        change(Registry(tmp_path / "nowhere"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_nothing_promoted_is_said_with_what_to_do(registry: Registry, content: str | None) -> None:
    if content is not None:
        (registry.store / "current").write_text(content)
    with pytest.raises(
        RegistryError, match=r"`make train` trains a bundle and promotes it.*models promote VERSION"
    ):
        registry.current()


def test_promoted_bundle_is_current_and_its_path_is_known(registry: Registry) -> None:
    version = registry.versions()[1]
    registry.promote(version)
    assert registry.current() == version
    assert registry.path(version) == registry.store / version


def test_current_is_a_file_to_read_with_eyes(registry: Registry) -> None:
    first, second, *_ = registry.versions()
    registry.promote(first)
    registry.promote(second)
    assert current_file(registry) == f"{second}\n{first}\n"


def test_promoting_what_is_current_changes_nothing(registry: Registry) -> None:
    first, second, *_ = registry.versions()
    for version in (first, second, second):
        registry.promote(version)
    assert registry.promotions() == [second, first]


def test_promotions_are_not_remembered_for_ever(registry: Registry) -> None:
    pair = registry.versions()[:2]
    (registry.store / "current").write_text(
        "".join(f"{pair[turn % 2]}\n" for turn in range(MAX_PROMOTIONS_KEPT))
    )
    registry.promote(registry.versions()[2])
    assert len(registry.promotions()) == MAX_PROMOTIONS_KEPT


@pytest.mark.parametrize("damage", [spoil, add_file])
def test_broken_bundle_is_refused_and_current_stays(
    registry: Registry, damage: Callable[[Registry, str], None]
) -> None:
    good, bad, *_ = registry.versions()
    registry.promote(good)
    before = current_file(registry)
    damage(registry, bad)
    with pytest.raises(BundleError):
        registry.promote(bad)
    assert current_file(registry) == before
    assert leftovers(registry) == []


def test_whole_bundle_whose_graph_does_not_fit_is_refused_and_current_stays(registry: Registry) -> None:
    good, bad, *_ = registry.versions()
    registry.promote(good)
    of_other_width = tiny_student(tiny_items(), n_blocks=5).user_tower
    wrong = reseal(registry.store / bad, blobs={"user_tower.onnx": of_other_width})
    with pytest.raises(BundleInconsistent, match=r"user_tower\.onnx takes"):
        registry.promote(wrong.name)
    assert registry.promotions() == [good]


def test_renamed_bundle_is_refused(registry: Registry) -> None:
    (registry.store / registry.versions()[0]).rename(registry.store / "my-favourite")
    with pytest.raises(ManifestInvalid, match="renamed"):
        registry.promote("my-favourite")


@pytest.mark.parametrize(
    "version", ["../outside", "..", ".", "", "/", "current", ".lock", "no-such", "a/../b"]
)
def test_version_that_is_no_folder_of_the_store_is_refused(registry: Registry, version: str) -> None:
    shutil.copytree(registry.store / registry.versions()[0], registry.store.parent / "outside")
    with pytest.raises(RegistryError, match="it holds: 2021"):
        registry.promote(version)


def test_absolute_path_is_no_version(registry: Registry) -> None:
    with pytest.raises(RegistryError):
        registry.path(str(registry.store / registry.versions()[0]))


def test_current_with_a_path_in_it_leads_nowhere(registry: Registry) -> None:
    (registry.store / "current").write_text("../outside\n")
    with pytest.raises(RegistryError, match=r"no version '\.\./outside'"):
        registry.path(registry.current())


def test_current_that_is_not_text_leads_nowhere(registry: Registry) -> None:
    (registry.store / "current").write_bytes(b"\xff\xfe\n")
    with pytest.raises(RegistryError, match="no version"):
        registry.path(registry.current())


def test_roll_back_takes_the_version_before(registry: Registry) -> None:
    first, second, third, _ = registry.versions()
    for version in (first, second, third):
        registry.promote(version)
    assert [registry.roll_back(), registry.roll_back()] == [second, first]
    assert registry.current() == first


@pytest.mark.parametrize("n_promoted", [0, 1])
def test_roll_back_needs_a_version_before(registry: Registry, n_promoted: int) -> None:
    for version in registry.versions()[:n_promoted]:
        registry.promote(version)
    with pytest.raises(RegistryError, match=f"has {n_promoted} promotion"):
        registry.roll_back()
    assert registry.promotions() == registry.versions()[:n_promoted]


def test_roll_back_to_a_broken_bundle_is_refused_and_current_stays(registry: Registry) -> None:
    first, second, *_ = registry.versions()
    registry.promote(first)
    registry.promote(second)
    spoil(registry, first)
    with pytest.raises(FileCorrupt):
        registry.roll_back()
    assert registry.promotions() == [second, first]


@pytest.mark.parametrize("step", ["open", "replace"])
def test_promotion_that_fails_leaves_current_as_it_was(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    first, second, *_ = registry.versions()
    registry.promote(first)
    before = current_file(registry)

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(Registry, "_verify", lambda *_: None)
        patched.setattr(Path, step, fail)
        with pytest.raises(OSError, match="no space"):
            registry.promote(second)
    assert current_file(registry) == before
    assert leftovers(registry) == []


CHANGES = [lambda r: r.promote(r.versions()[2]), lambda r: r.roll_back()]


@pytest.mark.parametrize("change", CHANGES, ids=["promote", "roll back"])
def test_bundle_is_verified_while_nobody_else_can_prune_it(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, change: Callable[[Registry], Any]
) -> None:
    registry.promote(registry.versions()[0])
    registry.promote(registry.versions()[1])
    was_free = []

    def look(*_: Any) -> None:
        with lock_if_free(registry.store / LOCK) as is_free:
            was_free.append(is_free)

    monkeypatch.setattr(Registry, "_verify", look)
    change(registry)
    assert was_free == [False]


def test_reader_sees_only_whole_versions_while_others_promote(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = registry.versions()
    registry.promote(versions[0])
    monkeypatch.setattr(Registry, "_verify", lambda *_: None)
    seen: set[str] = set()
    has_read, is_over = Event(), Event()

    def read() -> None:
        while not is_over.is_set():
            seen.update(registry.promotions() or ["nothing"])
            has_read.set()

    reader = Thread(target=read)
    reader.start()
    assert has_read.wait(30)
    for turn in range(100):
        registry.promote(versions[turn % 4])
    is_over.set()
    reader.join()
    assert seen <= set(versions)
