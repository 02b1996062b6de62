"""Every way a bundle can be wrong is refused, with an error that names it; and nothing half-written is ever seen."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from models.bundles import bundle as bundle_module
from models.bundles.bundle import read_bundle, read_manifest, write_bundle
from models.bundles.files import file_entry
from models.bundles.manifest import FileEntry, Manifest, VocabularyEntry, parse_manifest
from models.errors import (
    BundleError,
    BundleInconsistent,
    BundleMissing,
    FeaturesReordered,
    FileCorrupt,
    FileMissing,
    FileUnlisted,
    ManifestInvalid,
    PathEscapes,
    SchemaUnsupported,
    VocabularyMismatch,
)
from tests.support.bundles import N_ITEMS, N_PEOPLE, WRITTEN_AT, tiny_bundle, tiny_contents

FILES = ("golden.json", "reference.json", "user_tower.onnx")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tiny_bundle(tmp_path / "store")


def forge(path: Path, change: Callable[[Manifest], Manifest]) -> Path:
    """Rewrite the manifest so that it is valid in itself, and rename the folder to match."""
    manifest = change(parse_manifest((path / "manifest.json").read_bytes()))
    manifest = msgspec.structs.replace(manifest, version=manifest.expected_version())
    (path / "manifest.json").write_bytes(manifest.to_json())
    return path.rename(path.parent / manifest.version)


def with_file(path: Path, name: str, **changes: Any) -> Path:
    """Forge one file's entry."""

    def change(manifest: Manifest) -> Manifest:
        entry = msgspec.structs.replace(manifest.files[name], **changes)
        return msgspec.structs.replace(manifest, files=manifest.files | {name: entry})

    return forge(path, change)


def with_array(path: Path, name: str, array: np.ndarray) -> Path:
    """Put another array into a file, its entry forged to match."""
    file = path / f"{name}.npy"
    np.save(file, array)
    entry = file_entry(file)
    return with_file(
        path,
        file.name,
        sha256=entry.sha256,
        size_bytes=entry.size_bytes,
        shape=array.shape,
        dtype=array.dtype.str,
    )


def test_what_was_written_is_read(path: Path) -> None:
    bundle = read_bundle(path)
    contents = tiny_contents()
    assert bundle.version == path.name
    assert (len(bundle.items), len(bundle.people.people)) == (N_ITEMS, N_PEOPLE)
    assert bundle.golden == contents.golden
    assert bundle.reference == contents.reference
    assert bundle.items.titles[3] == "Item 3"
    found = bundle.people.find("user-5")
    assert found is not None
    np.testing.assert_array_equal(found.item_indices, contents.people.histories[5].item_indices)


def test_the_name_is_the_time_and_the_content(path: Path) -> None:
    assert path.name.startswith("20240101T000000Z-")
    assert path.name.endswith(read_manifest(path).content_hash()[:12])


def test_large_arrays_are_memory_mapped(path: Path) -> None:
    bundle = read_bundle(path)
    for array in (bundle.people.histories.item_indices, bundle.student_files.item_vectors):
        base: Any = array
        while base is not None and not isinstance(base, np.memmap):
            base = base.base
        assert isinstance(base, np.memmap)


def test_a_flipped_byte_in_any_file_is_refused_by_name(path: Path) -> None:
    for file in sorted(path.iterdir()):
        whole = file.read_bytes()
        if file.name == "manifest.json" or not whole:
            continue
        flipped = bytearray(whole)
        flipped[len(flipped) // 2] ^= 1
        file.write_bytes(flipped)
        with pytest.raises(FileCorrupt, match=file.name):
            read_bundle(path)
        file.write_bytes(whole)
    read_bundle(path)


def test_a_truncated_file_is_refused_with_both_sizes(path: Path) -> None:
    file = path / "item_vectors.npy"
    size = file.stat().st_size
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(
        FileCorrupt, match=rf"item_vectors\.npy has {size - 10} bytes, the manifest says {size}"
    ):
        read_bundle(path)


def test_a_missing_file_is_named(path: Path) -> None:
    (path / "user_tower.onnx").unlink()
    with pytest.raises(FileMissing, match=r"user_tower\.onnx"):
        read_bundle(path)


@pytest.mark.parametrize("name", FILES)
def test_a_file_the_manifest_forgot_is_named(path: Path, name: str) -> None:
    (path / name).unlink()
    forged = forge(
        path,
        lambda manifest: msgspec.structs.replace(
            manifest, files={key: entry for key, entry in manifest.files.items() if key != name}
        ),
    )
    with pytest.raises(FileMissing, match=name):
        read_bundle(forged)


def test_an_array_the_manifest_forgot_is_named(path: Path) -> None:
    (path / "item_prices.npy").unlink()
    forged = forge(
        path,
        lambda manifest: msgspec.structs.replace(
            manifest, files={key: entry for key, entry in manifest.files.items() if key != "item_prices.npy"}
        ),
    )
    with pytest.raises(FileMissing, match="item_prices"):
        read_bundle(forged)


def test_an_extra_file_is_named(path: Path) -> None:
    (path / "surprise.bin").write_bytes(b"?")
    with pytest.raises(FileUnlisted, match=r"surprise\.bin"):
        read_bundle(path)


def test_a_future_schema_says_what_is_read_here(path: Path) -> None:
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | {"schema_version": 99, "new_field": True}))
    with pytest.raises(SchemaUnsupported, match="schema version 99, this code reads 8"):
        read_bundle(path)


def test_reordered_features_are_refused(path: Path) -> None:
    order = ("gap_log_days", "item_row", "event_kind")
    forged = forge(path, lambda manifest: msgspec.structs.replace(manifest, feature_order=order))
    with pytest.raises(FeaturesReordered, match="gap_log_days"):
        read_bundle(forged)


@pytest.mark.parametrize("kind", ["items", "people"])
def test_ids_that_hash_otherwise_are_refused(path: Path, kind: str) -> None:
    n_ids = {"items": N_ITEMS, "people": N_PEOPLE}[kind]
    forged = forge(
        path, lambda manifest: msgspec.structs.replace(manifest, **{kind: VocabularyEntry(n_ids, "0" * 64)})
    )
    with pytest.raises(VocabularyMismatch, match=kind):
        read_bundle(forged)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"schema_version": 8}', b'{"schema_version": "1"}']
)
def test_a_manifest_that_is_none_is_refused(path: Path, content: bytes) -> None:
    (path / "manifest.json").write_bytes(content)
    with pytest.raises(ManifestInvalid):
        read_bundle(path)


def test_an_edited_manifest_is_refused(path: Path) -> None:
    text = (path / "manifest.json").read_text()
    (path / "manifest.json").write_text(text.replace("made for a test", "made for production"))
    with pytest.raises(ManifestInvalid, match="edited"):
        read_bundle(path)


def test_a_renamed_folder_is_refused(path: Path) -> None:
    renamed = path.rename(path.parent / "20240101T000000Z-000000000000")
    with pytest.raises(ManifestInvalid, match="renamed"):
        read_bundle(renamed)


def test_no_bundle_at_all_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleMissing, match="nowhere"):
        read_bundle(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["../outside.npy", "/etc/passwd", "sub/item.npy", "..", ".hidden.npy", ""])
def test_a_path_that_leaves_the_folder_is_refused(path: Path, name: str) -> None:
    (path.parent / "outside.npy").write_bytes(b"x")
    entry = FileEntry("0" * 64, 1)
    forged = forge(
        path, lambda manifest: msgspec.structs.replace(manifest, files=manifest.files | {name: entry})
    )
    with pytest.raises(PathEscapes):
        read_bundle(forged)


def test_a_symbolic_link_is_refused_even_to_the_right_bytes(path: Path) -> None:
    file = path / "item_prices.npy"
    moved = file.rename(path.parent / "elsewhere.npy")
    file.symlink_to(moved)
    with pytest.raises(PathEscapes, match="item_prices"):
        read_bundle(path)


@pytest.mark.parametrize(
    "changes", [{"shape": (N_ITEMS, 1)}, {"dtype": "<f8"}, {"shape": None, "dtype": None}]
)
def test_another_shape_or_dtype_than_listed_is_refused(path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(FileCorrupt, match="item_prices"):
        read_bundle(with_file(path, "item_prices.npy", **changes))


def test_a_pickle_is_never_loaded(path: Path) -> None:
    objects = np.array([{"a": 1}] * N_ITEMS, dtype=object)
    file = path / "item_prices.npy"
    np.save(file, objects, allow_pickle=True)
    entry = file_entry(file)
    forged = with_file(
        path, file.name, sha256=entry.sha256, size_bytes=entry.size_bytes, shape=(N_ITEMS,), dtype="|O"
    )
    with pytest.raises(FileCorrupt, match="item_prices"):
        read_bundle(forged)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("item_prices", np.ones(N_ITEMS - 1, np.float32)),
        ("item_vectors", np.ones((N_ITEMS + 1, 4), np.float16)),
        ("item_vectors", np.ones((N_ITEMS, 5), np.float16)),
        ("item_vectors", np.full((N_ITEMS, 4), np.nan, np.float16)),
        ("history_vectors", np.ones((N_ITEMS, 4), np.float32)),
        ("history_vectors", np.ones((N_ITEMS + 1, 4), np.float64)),
        ("history_scales", np.full(N_ITEMS + 1, np.inf, np.float32)),
        ("histories.item_indices", np.full(3 * N_PEOPLE, N_ITEMS, np.int32)),
        ("histories.item_indices", np.full(3 * N_PEOPLE, -1, np.int32)),
        ("histories.kinds", np.full(3 * N_PEOPLE, 9, np.uint8)),
        ("histories.times", np.arange(3 * N_PEOPLE, dtype=np.int64)[::-1]),
        ("histories.offsets", np.array([0, 5, 3, *([36] * (N_PEOPLE - 2))], np.int64)),
        ("histories.offsets", np.arange(N_PEOPLE + 1, dtype=np.int64) * 4),
        ("item_segments", np.full(N_ITEMS, 4, np.int32)),
        ("item_categories", np.full(N_ITEMS, 4, np.int32)),
        ("segment_popular", np.full((4, 3), N_ITEMS, np.int32)),
        ("item_popularity", np.full(N_ITEMS, -1.0, np.float32)),
        ("item_ids.rows", np.zeros(N_ITEMS, np.int32)),
        ("item_ids.keys", np.arange(N_ITEMS, dtype=np.uint64)),
        ("item_titles.offsets", np.zeros(N_ITEMS + 1, np.int64)),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused_by_name(
    path: Path, name: str, array: np.ndarray
) -> None:
    with pytest.raises(BundleInconsistent, match=name.replace(".", r"\.")):
        read_bundle(with_array(path, name, array))


def test_contents_that_would_be_refused_are_not_even_written(tmp_path: Path) -> None:
    contents = tiny_contents()
    shorter = replace(contents, items=replace(contents.items, prices=contents.items.prices[:-1]))
    with pytest.raises(BundleInconsistent, match="item_prices"):
        write_bundle(tmp_path, shorter)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("step", ["write_file", "sync_folder", "_manifest"])
def test_a_crash_while_writing_leaves_nothing_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(bundle_module, step, crash)
    with pytest.raises(OSError, match="no space"):
        write_bundle(tmp_path, tiny_contents())
    assert [file.name for file in tmp_path.iterdir() if not file.name.endswith(".lock")] == []


def test_the_same_contents_in_the_same_second_are_the_same_bundle(tmp_path: Path) -> None:
    first = write_bundle(tmp_path, tiny_contents(), now=WRITTEN_AT)
    assert write_bundle(tmp_path, tiny_contents(), now=WRITTEN_AT) == first
    assert [file for file in tmp_path.iterdir() if file.is_dir()] == [first]


def test_two_writers_at_once_both_succeed(tmp_path: Path) -> None:
    written: list[Path] = []
    contents = [tiny_contents(n_items=N_ITEMS + extra) for extra in (0, 4)]
    writers = [
        threading.Thread(target=lambda one=one: written.append(write_bundle(tmp_path, one, now=WRITTEN_AT)))
        for one in contents
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert {len(read_bundle(path).items) for path in written} == {N_ITEMS, N_ITEMS + 4}


def test_every_refusal_is_a_bundle_error() -> None:
    refusals = (
        BundleInconsistent,
        BundleMissing,
        FeaturesReordered,
        FileCorrupt,
        FileMissing,
        FileUnlisted,
        ManifestInvalid,
        PathEscapes,
        SchemaUnsupported,
        VocabularyMismatch,
    )
    assert all(issubclass(refusal, BundleError) for refusal in refusals)
