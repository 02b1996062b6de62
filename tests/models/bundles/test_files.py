"""Files of a bundle: exactly those listed, byte for byte, and nothing that reaches outside."""

from __future__ import annotations

import io
import os
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

import models.bundles.files
from models.bundles.bundle import read_bundle, read_manifest
from models.bundles.files import GENTLE_NICENESS, check_listing, file_entry, write_array
from models.bundles.manifest import FileEntry
from models.errors import BundleError, FileCorrupt, FileMissing, FileUnlisted, PathEscapes
from tests.models.forging import FILES, reseal


def npy(array: npt.NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def test_table_of_files_is_what_a_bundle_holds(pristine: Path) -> None:
    assert sorted(read_manifest(pristine).files) == FILES


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("position", [0, -1], ids=["first", "last"])
def test_flipped_bit_is_refused(bundle: Path, name: str, position: int) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[position] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(FileCorrupt, match=rf"^{name} has sha256"):
        read_bundle(bundle)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_truncated_file_is_refused(bundle: Path, name: str, kept: float) -> None:
    content = (bundle / name).read_bytes()
    (bundle / name).write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(FileCorrupt, match=rf"^{name} has \d+ bytes.*truncated"):
        read_bundle(bundle)


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_refused(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(FileMissing, match=f"^{name} is listed"):
        read_bundle(bundle)


@pytest.mark.parametrize("name", FILES)
def test_file_that_the_manifest_forgot_is_named(bundle: Path, name: str) -> None:
    with pytest.raises(FileMissing, match=f"lists no {name}"):
        read_bundle(reseal(bundle, dropped=[name]))


@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "item_vectors.npy.bak", "model.pkl"])
def test_extra_file_is_refused(bundle: Path, name: str) -> None:
    (bundle / name).touch()
    with pytest.raises(FileUnlisted, match=name):
        read_bundle(bundle)


def test_extra_folder_is_refused(bundle: Path) -> None:
    (bundle / "extra").mkdir()
    with pytest.raises(FileUnlisted, match="extra"):
        read_bundle(bundle)


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../other.npy",
        "sub/file.npy",
        "..",
        ".",
        "",
        "nul\0.npy",
        "C:\\windows.npy",
        f"{'x' * 300}.npy",
        ".hidden.npy",
        "line\nbreak.npy",
        "item_vectors.npy\n",
    ],
)
def test_name_that_is_more_than_a_name_is_refused(bundle: Path, name: str) -> None:
    outside = FileEntry("0" * 64, 1, (1,), "|u1")
    with pytest.raises(PathEscapes, match="a bundle's files lie directly in its folder"):
        read_bundle(reseal(bundle, entries={name: outside}))


def test_link_is_refused_even_where_its_content_is_right(bundle: Path) -> None:
    elsewhere = bundle.parent / "elsewhere.npy"
    (bundle / "item_vectors.npy").rename(elsewhere)
    (bundle / "item_vectors.npy").symlink_to(elsewhere)
    with pytest.raises(PathEscapes, match=r"item_vectors\.npy"):
        read_bundle(bundle)


def test_folder_in_place_of_a_file_is_refused(bundle: Path) -> None:
    (bundle / "golden.json").unlink()
    (bundle / "golden.json").mkdir()
    with pytest.raises(FileMissing, match=r"golden\.json"):
        read_bundle(bundle)


@pytest.mark.parametrize(
    "claim",
    [{"shape": (41, 4)}, {"shape": (4, 40)}, {"shape": (160,)}, {"shape": (0,)}, {"shape": None}, {"dtype": "<f4"},
     {"dtype": ">f2"}, {"dtype": None}],
    ids=str,
)  # fmt: skip
def test_shape_or_dtype_that_the_file_does_not_have_is_refused(bundle: Path, claim: dict[str, Any]) -> None:
    entry = msgspec.structs.replace(read_manifest(bundle).files["item_vectors.npy"], **claim)
    with pytest.raises(FileCorrupt, match=r"^item_vectors\.npy holds <f2\(40, 4\)"):
        read_bundle(reseal(bundle, entries={"item_vectors.npy": entry}))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no array at all",
        b"PK\x03\x04 as a zip begins",
        b"\x80\x04N.",
        npy(np.zeros(4))[:20],
        npy(np.zeros(4))[:-1],
        npy(np.zeros(4)).replace(b"(4,)", b"(-4)"),
        npy(np.zeros(4)).replace(b"(4,)", b"4**9"),
        npy(np.array([{"an": "object"}], dtype=object)),
        npy(np.array([{"an": "object"}] * 0, dtype=object)),
    ],
    ids=[
        "empty",
        "text",
        "zip",
        "pickle",
        "cut header",
        "cut data",
        "negative",
        "expression",
        "object",
        "no objects",
    ],
)
def test_file_that_is_no_plain_array_is_refused_and_never_unpickled(bundle: Path, content: bytes) -> None:
    with pytest.raises(FileCorrupt, match=r"^item_prices\.npy is not a plain array"):
        read_bundle(reseal(bundle, blobs={"item_prices.npy": content}))


def test_empty_array_of_objects_is_refused_where_the_manifest_says_empty(bundle: Path) -> None:
    content = npy(np.array([], dtype=object))
    sealed = reseal(bundle, blobs={"item_prices.npy": content})
    written = read_manifest(sealed).files["item_prices.npy"]
    entry = msgspec.structs.replace(written, shape=(0,), dtype="|O")
    with pytest.raises(FileCorrupt, match=r"^item_prices\.npy is not a plain array"):
        read_bundle(reseal(sealed, entries={"item_prices.npy": entry}))


def test_array_of_objects_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_array(tmp_path / "objects.npy", np.array([{}], dtype=object))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(7),
        np.zeros((0, 3), np.float32),
        np.array(5),
        np.arange(12).reshape(3, 4).T,
        np.arange(24, dtype="<u2").reshape(2, 3, 4)[:, ::2],
    ],
    ids=["flat", "empty", "scalar", "transposed", "strided"],
)
@pytest.mark.parametrize("chunk_bytes", [1, 5, 1 << 20])
def test_array_is_written_as_numpy_writes_it_and_entered_as_it_lies_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, array: npt.NDArray[Any], chunk_bytes: int
) -> None:
    monkeypatch.setattr(models.bundles.files, "CHUNK_BYTES", chunk_bytes)
    entry = write_array(tmp_path / "array.npy", array)
    assert (tmp_path / "array.npy").read_bytes() == npy(np.asarray(array, order="C"))
    lying_there = file_entry(tmp_path / "array.npy")
    assert entry == msgspec.structs.replace(lying_there, shape=array.shape, dtype=array.dtype.str)


def test_array_larger_than_memory_is_written_from_its_file(tmp_path: Path) -> None:
    mapped = np.lib.format.open_memmap(tmp_path / "large", "w+", np.uint8, (64 << 20,))
    tracemalloc.start()
    write_array(tmp_path / "array.npy", mapped)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 1 << 20


@pytest.mark.parametrize("is_gentle", [False, True])
def test_every_file_is_hashed_gently_or_not(bundle: Path, is_gentle: bool) -> None:
    manifest = read_manifest(bundle)
    check_listing(bundle, manifest, is_gentle=is_gentle)
    for name in FILES:
        entries = manifest.files | {name: msgspec.structs.replace(manifest.files[name], sha256="0" * 64)}
        with pytest.raises(FileCorrupt, match=f"^{name} has sha256"):
            check_listing(bundle, msgspec.structs.replace(manifest, files=entries), is_gentle=is_gentle)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
def test_threads_that_hash_gently_let_others_go_first(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    niceness: list[int] = []

    def entry_of(file: Path) -> FileEntry:
        niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return file_entry(file)

    monkeypatch.setattr("models.bundles.files.file_entry", entry_of)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    check_listing(bundle, read_manifest(bundle), is_gentle=True)
    assert set(niceness) == {max(own, GENTLE_NICENESS)}
    assert os.getpriority(os.PRIO_PROCESS, 0) == own


def test_what_is_seen_without_reading_is_said_first(bundle: Path) -> None:
    content = bytearray((bundle / FILES[0]).read_bytes())
    content[-1] ^= 1
    (bundle / FILES[0]).write_bytes(content)
    (bundle / FILES[-1]).unlink()
    with pytest.raises(FileMissing, match=f"^{FILES[-1]} is listed"):
        read_bundle(bundle)


@pytest.mark.parametrize("name", ["golden.json", "reference.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"7", b"\xff", b'{"a": "\xff"}', b"[" * 100_000])
def test_json_of_another_shape_is_refused(bundle: Path, name: str, content: bytes) -> None:
    with pytest.raises(FileCorrupt, match=f"^{name} cannot be parsed"):
        read_bundle(reseal(bundle, blobs={name: content}))


def test_graph_that_does_not_load_is_named(bundle: Path) -> None:
    read = read_bundle(reseal(bundle, blobs={"user_tower.onnx": b"no graph"}))
    with pytest.raises(BundleError, match=r"^user_tower\.onnx does not load"):
        read.load_student()
