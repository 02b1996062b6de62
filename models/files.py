"""The files of a bundle: written and synced, listed with size and sha256, read back only as listed."""

from __future__ import annotations

import os
import re
from hashlib import file_digest
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from models.errors import FileCorrupt, FileMissing, FileUnlisted, PathEscapes
from models.manifest import FileEntry, Manifest

MANIFEST = "manifest.json"
PLAIN_NAME = re.compile(r"[a-z0-9_]{1,64}(\.[a-z0-9_]{1,16}){1,2}")
"""What a bundle's files are called: no folder, no hidden file, nothing a file system reads otherwise."""

T = TypeVar("T")


def write_file(file: Path, content: bytes) -> FileEntry:
    """Write and sync bytes; returns the file's entry."""
    with file.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    return file_entry(file)


def write_array(file: Path, array: npt.NDArray[Any]) -> FileEntry:
    """Write and sync a plain .npy; returns the file's entry. Raises ValueError for an array of objects."""
    with file.open("wb") as opened:
        np.lib.format.write_array(opened, np.ascontiguousarray(array), allow_pickle=False)
        opened.flush()
        os.fsync(opened.fileno())
    return msgspec.structs.replace(file_entry(file), shape=array.shape, dtype=array.dtype.str)


def sync_folder(folder: Path) -> None:
    """Make names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_entry(file: Path) -> FileEntry:
    """Size and sha256 of a file as it lies there."""
    with file.open("rb") as opened:
        return FileEntry(file_digest(opened, "sha256").hexdigest(), file.stat().st_size)


def check_listing(folder: Path, manifest: Manifest) -> None:
    """Check that the folder holds exactly the listed files, each with its size and sha256.

    Raises PathEscapes, FileMissing, FileCorrupt or FileUnlisted.
    """
    for name in manifest.files:
        if not PLAIN_NAME.fullmatch(name) or (folder / name).is_symlink():
            raise PathEscapes(
                f"the manifest lists {name!r}; a bundle's files lie directly in its folder, none is a link"
            )
    for name, entry in manifest.files.items():
        _check_file(folder / name, entry)
    unlisted = {file.name for file in folder.iterdir()} - set(manifest.files) - {MANIFEST}
    if unlisted:
        raise FileUnlisted(f"{folder} holds files that the manifest does not list: {sorted(unlisted)}")


def read_array(file: Path, entry: FileEntry) -> npt.NDArray[Any]:
    """Memory-map one array and compare it with its entry. An empty array cannot be mapped and is read.

    Raises FileCorrupt for another shape or dtype, and for anything but a plain array.
    """
    try:
        if entry.shape is not None and 0 in entry.shape:
            with file.open("rb") as opened:
                array: npt.NDArray[Any] = np.lib.format.read_array(opened, allow_pickle=False)
        else:
            array = np.lib.format.open_memmap(file, mode="r")
    except (ValueError, TypeError, OverflowError) as error:
        raise FileCorrupt(f"{file.name} is not a plain array: {error}") from error
    if array.shape != entry.shape or array.dtype.str != entry.dtype:
        raise FileCorrupt(
            f"{file.name} holds {array.dtype.str}{array.shape}, the manifest says {entry.dtype}{entry.shape}"
        )
    return array


def read_json(file: Path, shape: type[T]) -> T:
    """Decode a JSON file. Raises FileCorrupt where it is not JSON of this shape."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FileCorrupt(f"{file.name} cannot be parsed: {error}") from error


def _check_file(file: Path, entry: FileEntry) -> None:
    if not file.is_file():
        raise FileMissing(f"{file.name} is listed in the manifest but not in {file.parent}")
    size = file.stat().st_size
    if size != entry.size_bytes:
        raise FileCorrupt(
            f"{file.name} has {size} bytes, the manifest says {entry.size_bytes}: truncated write?"
        )
    found = file_entry(file).sha256
    if found != entry.sha256:
        raise FileCorrupt(f"{file.name} has sha256 {found[:12]}…, the manifest says {entry.sha256[:12]}…")
