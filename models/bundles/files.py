"""The files of a bundle: written and synced, listed with size and sha256, read back only as listed."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from models.bundles.manifest import FileEntry, Manifest
from models.errors import FileCorrupt, FileMissing, FileUnlisted, PathEscapes

MANIFEST = "manifest.json"
PLAIN_NAME = re.compile(r"[a-z0-9_]{1,64}(\.[a-z0-9_]{1,16}){1,2}")
"""The form of a bundle's file names: no folder, no hidden file, nothing that a file system could read differently."""

HASHING_THREADS = 2
"""How many files are hashed at once in verification: a core hashes 1.7 GB/s, and a disk reads faster than that."""

GENTLE_NICENESS = 10
"""The niceness of a thread that hashes beside requests: with both cores busy it gets a tenth of one."""

CHUNK_BYTES = 1 << 20
"""How many bytes are written and hashed together: a chunk is hashed while it is in the processor's cache, and a
memory-mapped array of any size is written in this much memory."""

T = TypeVar("T")


def write_file(file: Path, content: bytes) -> FileEntry:
    """Write and sync bytes; return the file's entry."""
    with file.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    return file_entry(file)


def write_array(file: Path, array: npt.NDArray[Any]) -> FileEntry:
    """Write and sync a plain .npy; return the file's entry. Raises ValueError for an array of objects.

    An array in C order is read in chunks and hashed on the way; any other one is first copied whole.
    """
    if array.dtype.hasobject:
        raise ValueError(f"{file.name}: Object arrays cannot be saved, they would need a pickle")
    contiguous = np.asarray(array, order="C")
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(contiguous))
    digest = sha256()
    with file.open("wb") as opened:
        for chunk in (memoryview(header.getvalue()), *_byte_chunks(contiguous)):
            digest.update(chunk)
            opened.write(chunk)
        opened.flush()
        os.fsync(opened.fileno())
        size_bytes = opened.tell()
    return FileEntry(digest.hexdigest(), size_bytes, array.shape, array.dtype.str)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_entry(file: Path) -> FileEntry:
    """Return the size and sha256 of a file as it is now.

    It is hashed in large chunks, each without Python's lock, so that requests served meanwhile hardly wait.
    """
    digest, chunk = sha256(), memoryview(bytearray(CHUNK_BYTES))
    with file.open("rb", buffering=0) as opened:
        while n_bytes := opened.readinto(chunk):
            digest.update(chunk[:n_bytes])
        return FileEntry(digest.hexdigest(), os.fstat(opened.fileno()).st_size)


def check_listing(
    folder: Path, manifest: Manifest, *, is_gentle: bool = False, unhashed: tuple[str, ...] = ()
) -> None:
    """Check that the folder holds exactly the listed files, each with its size and sha256.

    unhashed: prefixes of file names whose hashes are left to their readers. is_gentle: hash on one thread that lets
    others go first, for a process that serves meanwhile. Raises PathEscapes, FileMissing, FileCorrupt or
    FileUnlisted; faults that can be seen without reading a file come first.
    """
    for name in manifest.files:
        if not PLAIN_NAME.fullmatch(name) or (folder / name).is_symlink():
            raise PathEscapes(
                f"the manifest lists {name!r}; a bundle's files lie directly in its folder, none is a link"
            )
    for name, entry in manifest.files.items():
        _check_size(folder / name, entry)
    unlisted = {file.name for file in folder.iterdir()} - set(manifest.files) - {MANIFEST}
    if unlisted:
        raise FileUnlisted(f"{folder} holds files that the manifest does not list: {sorted(unlisted)}")
    hashed = {name: entry for name, entry in manifest.files.items() if not name.startswith(unhashed)}
    check_hashes(folder, hashed, is_gentle=is_gentle)


def check_hashes(folder: Path, files: Mapping[str, FileEntry], *, is_gentle: bool = False) -> None:
    """Compare files with their sha256; is_gentle as in `check_listing`. Raises FileCorrupt.

    The largest files go first, so that no thread is left alone with one of them at the end.
    """
    names = sorted(files, key=lambda name: -files[name].size_bytes)
    n_threads, begin = (1, _let_others_go_first) if is_gentle else (HASHING_THREADS, None)
    with ThreadPoolExecutor(n_threads, "hashing", begin) as threads:
        found = dict(
            zip(names, threads.map(lambda name: file_entry(folder / name).sha256, names), strict=True)
        )
    for name, entry in files.items():
        if found[name] != entry.sha256:
            raise FileCorrupt(
                f"{name} has sha256 {found[name][:12]}…, the manifest says {entry.sha256[:12]}…"
            )


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
    """Decode a JSON file. Raises FileCorrupt if it is not JSON of this shape."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FileCorrupt(f"{file.name} cannot be parsed: {error}") from error


def _byte_chunks(array: npt.NDArray[Any]) -> Iterator[memoryview]:
    """Yield the bytes of an array in C order, `CHUNK_BYTES` at a time, without copying."""
    raw = array.reshape(-1).view(np.uint8)
    return (raw[start : start + CHUNK_BYTES].data for start in range(0, len(raw), CHUNK_BYTES))


def _check_size(file: Path, entry: FileEntry) -> None:
    if not file.is_file():
        raise FileMissing(f"{file.name} is listed in the manifest but not in {file.parent}")
    size = file.stat().st_size
    if size != entry.size_bytes:
        raise FileCorrupt(
            f"{file.name} has {size} bytes, the manifest says {entry.size_bytes}: truncated write?"
        )


def _let_others_go_first() -> None:
    """Lower the priority of this thread alone, which only Linux can do."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        niceness = max(GENTLE_NICENESS, os.getpriority(os.PRIO_PROCESS, thread))
        os.setpriority(os.PRIO_PROCESS, thread, niceness)
