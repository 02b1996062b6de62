"""Read the bytes of a file block by block, unpacked and within bounds, whatever it is packed with."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from training.base.errors import SourceUnreadable
from training.data.files.archives import DAMAGED, MAX_TABLE_BYTES, within_bounds
from training.data.files.errors import unreadable

PACKERS: Final[dict[bytes, tuple[str, Callable[..., Any]]]] = {
    b"\x1f\x8b": ("gzip", gzip.open),
    b"BZh": ("bzip2", bz2.open),
    b"\xfd7zXZ\x00": ("xz", lzma.open),
}
"""How a file is packed, by its first bytes: a name may lie."""
OTHER_PACKERS: Final = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "rar",
    b"\x78\x9c": "zlib",
}
"""Ways of packing that are not read, by first bytes."""
SUFFIXES: Final = (".gz", ".bz2", ".xz")
"""The endings of packed files, left out of a table's name."""


def packing(path: Path) -> str | None:
    """Return what a file is packed with, or None. Raises SourceUnreadable if it cannot be opened."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise unreadable(path, error) from error
    other = next((name for magic, name in OTHER_PACKERS.items() if head.startswith(magic)), None)
    if other is not None:
        raise SourceUnreadable(
            f"{path} is packed with {other}; gzip, bzip2, xz, zip and tar are read. "
            "Unpack it and name the unpacked file."
        )
    return next((name for magic, (name, _) in PACKERS.items() if head.startswith(magic)), None)


def unpacked_blocks(path: Path, *, max_bytes: int | None = None) -> Iterator[bytes]:
    """Yield the bytes of a file, unpacked, in blocks of 1 MiB; of the first max_bytes only, if given.

    Raises SourceUnreadable if it is damaged or unpacks to too much.
    """
    name = packing(path)
    opener = next((opener for label, opener in PACKERS.values() if label == name), None)
    try:
        with opener(path) if opener else path.open("rb") as file:
            n_bytes = 0
            packed = path.stat().st_size if opener else MAX_TABLE_BYTES
            for block in within_bounds(file, str(path), packed, MAX_TABLE_BYTES):
                yield block
                n_bytes += len(block)
                if max_bytes is not None and n_bytes >= max_bytes:
                    return
    except DAMAGED as error:
        raise unreadable(path, error) from error
