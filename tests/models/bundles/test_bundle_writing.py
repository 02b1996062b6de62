"""A bundle comes back as it was written, shared by memory map, and is whole or not there at all."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

import models.bundles.bundle
from models.bundles.bundle import read_bundle, write_bundle
from models.bundles.files import write_array
from models.bundles.registry import Registry
from models.errors import BundleInconsistent, FeaturesReordered, FileCorrupt, ManifestInvalid
from models.history import FEATURE_ORDER
from models.packed_histories import ColdHistories, Histories
from models.vocabulary import Vocabulary
from tests.models.forging import FILES, reseal
from tests.support.bundles import WRITTEN_AT, tiny_bundle, tiny_contents, tiny_history


def is_mapped(array: npt.NDArray[Any]) -> bool:
    """The array, or one that it is a view of, lies in a file."""
    base: Any = array
    while base is not None and not isinstance(base, np.memmap):
        base = getattr(base, "base", None)
    return base is not None


def visible(store: Path) -> list[str]:
    return [file.name for file in store.iterdir() if not file.name.startswith(".")]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_what_was_written_is_read(tmp_path: Path, precision: str) -> None:
    contents = tiny_contents(precision)
    bundle = read_bundle(write_bundle(tmp_path, contents, now=WRITTEN_AT))
    read = {
        **bundle.items.arrays(),
        **bundle.people.people.arrays("p"),
        **bundle.people.histories.arrays("h"),
    }
    for name, array in {
        **contents.items.arrays(),
        **contents.people.people.arrays("p"),
        **contents.people.histories.arrays("h"),
    }.items():
        np.testing.assert_array_equal(read[name], array, strict=True)
    assert bundle.golden == contents.golden
    assert bundle.reference == contents.reference
    assert bundle.student_files.user_tower == contents.student.user_tower
    for name, array in contents.student.arrays().items():
        np.testing.assert_array_equal(bundle.student_files.arrays()[name], array, strict=True)
    assert bundle.manifest.student == contents.student_entry
    assert bundle.manifest.training == contents.training_entry


def test_shares_of_other_members_than_their_entry_names_are_not_written(tmp_path: Path) -> None:
    contents = tiny_contents()
    renamed = dataclasses.replace(contents.member_shares, members=("blocks", "contrary", "popular"))
    with pytest.raises(
        BundleInconsistent, match=r"'contrary', 'popular'\], their entry says .*'popular', 'contrary'"
    ):
        write_bundle(tmp_path, dataclasses.replace(contents, member_shares=renamed))
    assert visible(tmp_path) == []


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_student_answers_as_before_it_was_written(tmp_path: Path, precision: str) -> None:
    contents = tiny_contents(precision)
    student = read_bundle(write_bundle(tmp_path, contents)).load_student()
    ranked = student.recommend([tiny_history(0)], 10)
    assert ranked.item_indices[0].tolist() == contents.golden.requests[0].item_indices
    assert student.precision == precision


def test_nobody_and_nothing_in_memory_but_maps_of_the_files(bundle: Path) -> None:
    read = read_bundle(bundle)
    arrays = {
        **read.items.arrays(),
        **read.people.people.arrays("user_ids"),
        **read.people.histories.arrays("histories"),
        "item_vectors": read.student_files.item_vectors,
        "history_vectors": read.student_files.history_vectors,
        **read.student_files.cooccurrence.arrays(),
    }
    assert [name for name, array in arrays.items() if not is_mapped(array)] == []
    with pytest.raises(ValueError, match="read-only"):
        arrays["item_prices"][0] = 1.0


def test_person_found_in_a_bundle_is_a_view_of_its_file(bundle: Path) -> None:
    found = read_bundle(bundle).people.find("user-5")
    assert found is not None
    assert is_mapped(found.item_indices)


def test_mapped_arrays_are_plain_views_because_memmaps_are_slow_to_index(bundle: Path) -> None:
    read = read_bundle(bundle)
    assert {type(array) for array in read.people.people.arrays("p").values()} == {np.ndarray}
    assert {type(array) for array in read.people.histories.arrays("h").values()} == {np.ndarray}


def test_bundle_without_people_is_whole(tmp_path: Path) -> None:
    nobody = ColdHistories(Vocabulary.from_ids([]), Histories.from_list([]))
    contents = dataclasses.replace(tiny_contents(), people=nobody)
    assert read_bundle(write_bundle(tmp_path, contents)).people.find("user-1") is None


def test_titles_may_all_be_empty(tmp_path: Path) -> None:
    contents = tiny_contents()
    titles = type(contents.items.titles).from_strings([""] * len(contents.items))
    contents = dataclasses.replace(contents, items=dataclasses.replace(contents.items, titles=titles))
    assert read_bundle(write_bundle(tmp_path, contents)).items.titles[7] == ""


def test_bundle_is_named_by_its_time_and_content(tmp_path: Path) -> None:
    here, there = (tiny_bundle(tmp_path / name, promote=False) for name in ("here", "there"))
    assert here.name == there.name
    assert here.name.startswith("20240101T000000Z-")


def test_file_list_is_what_the_folder_holds(bundle: Path) -> None:
    assert sorted(file.name for file in bundle.iterdir()) == sorted([*FILES, "manifest.json"])


@pytest.mark.parametrize("order", [FEATURE_ORDER[::-1], FEATURE_ORDER[:2], (*FEATURE_ORDER, "price"), ()])
def test_other_features_or_another_order_are_refused(bundle: Path, order: tuple[str, ...]) -> None:
    with pytest.raises(FeaturesReordered, match="this code feeds"):
        read_bundle(reseal(bundle, feature_order=order))


def test_same_contents_in_the_same_second_are_the_same_bundle(tmp_path: Path) -> None:
    first = tiny_bundle(tmp_path, promote=False)
    before = first.stat().st_ino
    assert tiny_bundle(tmp_path, promote=False) == first
    assert first.stat().st_ino == before
    assert visible(tmp_path) == [first.name]
    assert list(tmp_path.glob(".writing-*")) == []


def test_writers_of_the_same_bundle_in_the_same_second_all_succeed(tmp_path: Path) -> None:
    contents, together = tiny_contents(), Barrier(4)

    def write() -> Path:
        together.wait(30)
        return write_bundle(tmp_path, contents, now=WRITTEN_AT)

    with ThreadPoolExecutor(4) as pool:
        written = {future.result() for future in [pool.submit(write) for _ in range(4)]}
    assert visible(tmp_path) == [read_bundle(path).version for path in written]
    assert list(tmp_path.glob(".writing-*[!k]")) == []


def test_bundle_that_another_writer_finished_first_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents, rename = tiny_contents(), Path.rename

    def be_late(folder: Path, target: Path) -> Path:
        shutil.copytree(folder, target)
        return rename(folder, target)

    monkeypatch.setattr(Path, "rename", be_late)
    assert read_bundle(write_bundle(tmp_path, contents)).reference == contents.reference


def test_same_bundle_is_not_taken_as_written_where_it_is_broken(tmp_path: Path) -> None:
    first = tiny_bundle(tmp_path, promote=False)
    (first / "reference.json").write_bytes(b"")
    with pytest.raises(FileCorrupt, match=r"reference\.json"):
        tiny_bundle(tmp_path, promote=False)


def test_other_contents_in_the_same_second_are_another_bundle(tmp_path: Path) -> None:
    write_bundle(tmp_path, tiny_contents(n_items=40), now=WRITTEN_AT)
    write_bundle(tmp_path, tiny_contents(n_items=20), now=WRITTEN_AT)
    assert len(Registry(tmp_path).versions()) == 2


class Crash(BaseException):
    """The power goes."""


def crash(*_: object, **__: object) -> None:
    raise Crash


def before_the_last_array(monkeypatch: pytest.MonkeyPatch) -> None:
    def until_item_vectors(file: Path, array: npt.NDArray[Any]) -> Any:
        if file.name == "item_vectors.npy":
            raise Crash
        return write_array(file, array)

    monkeypatch.setattr(models.bundles.bundle, "write_array", until_item_vectors)


def before_the_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.bundles.bundle, "_manifest", crash)


def after_the_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.bundles.bundle, "sync_folder", crash)


def at_the_rename(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "rename", crash)


CRASHES = [before_the_last_array, before_the_manifest, after_the_manifest, at_the_rename]


@pytest.mark.parametrize("when", CRASHES)
def test_crash_leaves_nothing_a_reader_would_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: Callable[[pytest.MonkeyPatch], None]
) -> None:
    contents = tiny_contents()
    when(monkeypatch)
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)  # a dead process cleans nothing up
    with pytest.raises(Crash):
        write_bundle(tmp_path, contents)
    assert visible(tmp_path) == []
    assert Registry(tmp_path).versions() == []
    assert len(list(tmp_path.glob(".writing-*[!k]"))) == 1


@pytest.mark.parametrize("when", CRASHES)
def test_failure_cleans_up_after_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: Callable[[pytest.MonkeyPatch], None]
) -> None:
    contents = tiny_contents()
    when(monkeypatch)
    with pytest.raises(Crash):
        write_bundle(tmp_path, contents)
    assert list(tmp_path.glob(".writing-*")) == []


def test_contents_that_would_be_refused_are_not_written(tmp_path: Path) -> None:
    contents = tiny_contents()
    short = dataclasses.replace(contents.items, prices=contents.items.prices[:-1])
    with pytest.raises(BundleInconsistent, match=r"item_prices\.npy: 39 rows"):
        write_bundle(tmp_path, dataclasses.replace(contents, items=short))
    assert list(tmp_path.iterdir()) == []


def test_metric_that_json_cannot_hold_is_refused_before_anything_is_visible(tmp_path: Path) -> None:
    contents = tiny_contents()
    entry = msgspec.structs.replace(contents.training_entry, metrics={"protocol": {"als": {"ndcg": np.nan}}})
    with pytest.raises(ManifestInvalid):
        write_bundle(tmp_path, dataclasses.replace(contents, training_entry=entry))
    assert visible(tmp_path) == []


def test_student_of_another_precision_than_its_entry_is_not_written(tmp_path: Path) -> None:
    contents = tiny_contents()
    entry = msgspec.structs.replace(contents.student_entry, precision="int8")
    with pytest.raises(BundleInconsistent, match="the student is fp32, its entry says int8"):
        write_bundle(tmp_path, dataclasses.replace(contents, student_entry=entry))


def test_student_reads_as_many_events_as_the_manifest_says(bundle: Path) -> None:
    entry = msgspec.structs.replace(read_bundle(bundle).manifest.student, max_events=1)
    student = read_bundle(reseal(bundle, student=entry)).load_student()
    only_last = tiny_history(0).last(1)
    np.testing.assert_array_equal(student.user_vectors([tiny_history(0)]), student.user_vectors([only_last]))
    assert student.max_events == 1
