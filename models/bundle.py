"""The bundle: an immutable folder that training writes once and any number of services read.

    manifest.json       what is here, with a sha256 and size of each file
    user_tower.onnx     events to user vectors          catalogue.onnx   user vectors to the top k items
    *.npy               item metadata, student tables, everybody's recent history, all memory-mapped
    golden.json         requests with their answers     reference.json   histograms for drift

Nothing in it is a pickle. Reading verifies everything before anything is used.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from models.errors import (
    BundleMissing,
    FeaturesReordered,
    FileCorrupt,
    FileMissing,
    FileUnlisted,
    ManifestInvalid,
    PathEscapes,
    VocabularyMismatch,
)
from models.golden import GoldenRequest
from models.histories import ColdHistories, Histories
from models.history import FEATURE_ORDER
from models.items import Items
from models.manifest import (
    SCHEMA_VERSION,
    FileEntry,
    Manifest,
    StudentEntry,
    TrainingEntry,
    VocabularyEntry,
    parse_manifest,
)
from models.student import Student, StudentFiles
from models.vocabulary import Vocabulary

MANIFEST = "manifest.json"

Arrays = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class BundleContents:
    """Everything that goes into a bundle. reference: histograms for drift, JSON-serialisable."""

    items: Items
    people: ColdHistories
    student: StudentFiles
    golden: list[GoldenRequest]
    reference: dict[str, Any]
    student_entry: StudentEntry
    training_entry: TrainingEntry


@dataclass(frozen=True)
class Bundle:
    """A verified bundle, its arrays memory-mapped."""

    path: Path
    manifest: Manifest
    items: Items
    people: ColdHistories
    student_files: StudentFiles
    golden: list[GoldenRequest]
    reference: dict[str, Any]

    @property
    def version(self) -> str:
        """The bundle's name: creation time and content hash."""
        return self.manifest.version

    def load_student(self, *, n_threads: int = 1) -> Student:
        """Start the student of this bundle."""
        return Student(self.student_files, n_threads=n_threads, max_events=self.manifest.student.max_events)


def write_bundle(store: Path, contents: BundleContents, *, now: datetime | None = None) -> Path:
    """Write a bundle into a store and return its folder.

    Everything is written to a hidden temporary folder, synced and renamed, so a crash leaves nothing that a
    reader would see. now: creation time, UTC; the clock's if None.
    """
    store.mkdir(parents=True, exist_ok=True)
    temporary = store / f".writing-{secrets.token_hex(6)}"
    temporary.mkdir()
    try:
        files = _write_files(temporary, contents)
        manifest = _manifest(contents, files, now or datetime.now(UTC))
        _write_synced(temporary / MANIFEST, manifest.to_json())
        _sync_folder(temporary)
        final = store / manifest.version
        temporary.rename(final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync_folder(store)
    return final


def read_bundle(path: Path) -> Bundle:
    """Read and fully verify a bundle.

    Raises a BundleError that names what is wrong: a missing, extra, truncated or altered file, a path that
    leaves the folder, another schema version, reordered features, ids that hash to another value.
    """
    manifest = read_manifest(path)
    _check_listing(path, manifest)
    arrays = {
        name.removesuffix(".npy"): _read_array(path / name, entry)
        for name, entry in manifest.files.items()
        if name.endswith(".npy")
    }
    if manifest.feature_order != FEATURE_ORDER:
        raise FeaturesReordered(
            f"the student reads {list(manifest.feature_order)}, this code feeds {list(FEATURE_ORDER)}"
        )
    try:
        items = Items.from_arrays(arrays)
        people = ColdHistories(
            Vocabulary.from_arrays(arrays, "user_ids"), Histories.from_arrays(arrays, "histories")
        )
        student_files = _student_files(path, arrays, manifest)
    except KeyError as error:
        raise FileMissing(f"the manifest lists no {error.args[0]}.npy; this bundle is incomplete") from error
    _check_vocabulary("items", items.vocabulary, manifest.items)
    _check_vocabulary("people", people.people, manifest.people)
    golden = msgspec.json.decode((path / "golden.json").read_bytes(), type=list[GoldenRequest])
    reference = msgspec.json.decode((path / "reference.json").read_bytes(), type=dict[str, Any])
    return Bundle(path, manifest, items, people, student_files, golden, reference)


def read_manifest(path: Path) -> Manifest:
    """Read the manifest alone, checking it against the folder's name. Raises a BundleError."""
    try:
        raw = (path / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BundleMissing(f"no bundle at {path}: there is no {MANIFEST}") from error
    manifest = parse_manifest(raw)
    if path.name != manifest.version:
        raise ManifestInvalid(f"folder {path.name!r} holds the bundle {manifest.version!r}: it was renamed")
    return manifest


def _bundle_arrays(contents: BundleContents) -> Arrays:
    return {
        **contents.items.arrays(),
        **contents.people.people.arrays("user_ids"),
        **contents.people.histories.arrays("histories"),
        "history_vectors": contents.student.history_vectors,
        "history_scales": contents.student.history_scales,
        "item_vectors": contents.student.item_vectors,
    }


def _student_files(path: Path, arrays: Mapping[str, npt.NDArray[Any]], manifest: Manifest) -> StudentFiles:
    for name in ("user_tower.onnx", "catalogue.onnx", "golden.json", "reference.json"):
        if name not in manifest.files:
            raise FileMissing(f"the manifest lists no {name}; this bundle is incomplete")
    return StudentFiles(
        user_tower=(path / "user_tower.onnx").read_bytes(),
        catalogue=(path / "catalogue.onnx").read_bytes(),
        history_vectors=arrays["history_vectors"],
        history_scales=arrays["history_scales"],
        item_vectors=arrays["item_vectors"],
        precision=manifest.student.precision,
    )


def _write_files(folder: Path, contents: BundleContents) -> dict[str, FileEntry]:
    blobs = {
        "user_tower.onnx": contents.student.user_tower,
        "catalogue.onnx": contents.student.catalogue,
        "golden.json": msgspec.json.encode(contents.golden),
        "reference.json": msgspec.json.encode(contents.reference),
    }
    for name, blob in blobs.items():
        _write_synced(folder / name, blob)
    arrays = _bundle_arrays(contents)
    for name, array in arrays.items():
        with (folder / f"{name}.npy").open("wb") as file:
            np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
    entries = {name: _entry(folder / name) for name in blobs}
    for name, array in arrays.items():
        entry = _entry(folder / f"{name}.npy")
        entries[f"{name}.npy"] = FileEntry(entry.sha256, entry.size_bytes, array.shape, array.dtype.str)
    return entries


def _manifest(contents: BundleContents, files: dict[str, FileEntry], now: datetime) -> Manifest:
    items, people = contents.items.vocabulary, contents.people.people
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        version="",
        created_at=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        feature_order=FEATURE_ORDER,
        items=VocabularyEntry(len(items), items.sha256()),
        people=VocabularyEntry(len(people), people.sha256()),
        student=contents.student_entry,
        training=contents.training_entry,
        files=files,
    )
    return msgspec.structs.replace(manifest, version=manifest.expected_version())


def _check_listing(path: Path, manifest: Manifest) -> None:
    """The folder holds exactly the listed files, each with its size and sha256."""
    for name, entry in manifest.files.items():
        file = path / name
        if name != Path(name).name or name in ("", ".", "..") or file.is_symlink():
            raise PathEscapes(f"the manifest lists {name!r}; a bundle's files lie directly in its folder")
        if not file.is_file():
            raise FileMissing(f"{name} is listed in the manifest but not in {path}")
        size = file.stat().st_size
        if size != entry.size_bytes:
            raise FileCorrupt(
                f"{name} has {size} bytes, the manifest says {entry.size_bytes}: truncated write?"
            )
        found = _entry(file).sha256
        if found != entry.sha256:
            raise FileCorrupt(f"{name} has sha256 {found[:12]}…, the manifest says {entry.sha256[:12]}…")
    unlisted = {file.name for file in path.iterdir()} - set(manifest.files) - {MANIFEST}
    if unlisted:
        raise FileUnlisted(f"{path} holds files that the manifest does not list: {sorted(unlisted)}")


def _read_array(file: Path, entry: FileEntry) -> npt.NDArray[Any]:
    """Memory-map one array and compare it with its entry. An empty array cannot be mapped and is read."""
    is_empty = entry.shape is not None and 0 in entry.shape
    try:
        array: npt.NDArray[Any] = np.load(file, mmap_mode=None if is_empty else "r", allow_pickle=False)
    except ValueError as error:
        raise FileCorrupt(f"{file.name} is not a plain array: {error}") from error
    if array.shape != entry.shape or array.dtype.str != entry.dtype:
        raise FileCorrupt(
            f"{file.name} holds {array.dtype.str}{array.shape}, the manifest says {entry.dtype}{entry.shape}"
        )
    return array


def _check_vocabulary(kind: str, vocabulary: Vocabulary, entry: VocabularyEntry) -> None:
    found = VocabularyEntry(len(vocabulary), vocabulary.sha256())
    if found != entry:
        raise VocabularyMismatch(
            f"the {kind} hash to {found.sha256[:12]}… ({found.n_ids} ids), "
            f"the manifest says {entry.sha256[:12]}… ({entry.n_ids} ids)"
        )


def _entry(file: Path) -> FileEntry:
    with file.open("rb") as opened:
        return FileEntry(file_digest(opened, "sha256").hexdigest(), file.stat().st_size)


def _write_synced(file: Path, content: bytes) -> None:
    with file.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
