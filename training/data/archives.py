"""Unpack within bounds: a zip, a gzipped table or a workbook may unpack to a thousand times its size.

The sizes that an archive states are not trusted: bytes are counted as they come out, and anything beyond a bound is
refused before it fills memory or the disk.
"""

from __future__ import annotations

import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO

from training.base.errors import SourceUnreadable
from training.data.cleaning import unreadable

MAX_MEMBERS = 10_000
"""The most files in a zip; the data sets that are read from zips have fewer than 30."""
MAX_MEMBER_BYTES = 4 * 2**30
"""The largest file in a zip, which is read as a whole; six times the ratings of MovieLens 25M."""
MAX_TABLE_BYTES = 64 * 2**30
"""The largest unpacked table; at 20 bytes per event, it holds three billion events."""
MAX_RATIO = 200
"""The largest ratio of unpacked to packed bytes; tables of events reach 5 to 20, deflate can reach 1,032."""
RATIO_FREE_BYTES = 16 * 2**20
"""Unpacked bytes that are allowed at any ratio, since a column that never changes packs well."""
BLOCK_BYTES = 1 << 20
PACKED = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x78\x9c": "zlib",
    b"\x78\xda": "zlib",
    b"PK\x03\x04": "zip",
}
"""Formats of packed files by their first bytes."""

DAMAGED = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    RuntimeError,
)
"""Errors raised on reading a damaged, encrypted or exotic archive; zipfile's have no common base class."""


def member_names(archive: Path) -> list[str]:
    """List the files of a zip, with their folders. Raises SourceUnreadable for too many, or if it is no zip."""
    try:
        with zipfile.ZipFile(archive) as opened:
            names = opened.namelist()
    except DAMAGED as error:
        raise unreadable(archive, error) from error
    if len(names) > MAX_MEMBERS:
        raise SourceUnreadable(
            f"{archive} holds {len(names):,} files, at most {MAX_MEMBERS:,} are looked through. Unpack it and name "
            "the folder."
        )
    return names


def read_member(archive: Path, member: str, *, max_bytes: int = MAX_MEMBER_BYTES) -> bytes:
    """Read one file of a zip. Raises SourceUnreadable if it is missing, damaged, encrypted or too large."""
    try:
        with zipfile.ZipFile(archive) as opened:
            info = opened.getinfo(member)
            packed = min(info.compress_size, archive.stat().st_size)
            with opened.open(info) as unpacking:
                return b"".join(_within(unpacking, f"{member} in {archive}", packed, max_bytes))
    except KeyError:
        raise SourceUnreadable(f"{archive} holds no {member}.") from None
    except DAMAGED as error:
        raise unreadable(archive, error) from error


def require_bounded_workbook(content: bytes, name: str, *, max_bytes: int) -> None:
    """Refuse an .xlsx, which is a zip of XML, if it unpacks to more than max_bytes. Raises SourceUnreadable.

    The library that reads it unpacks whole sheets into memory without bounds.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as opened:
            members, n_bytes = opened.infolist(), 0
            if len(members) > MAX_MEMBERS:
                raise SourceUnreadable(
                    f"{name} holds {len(members):,} files, at most {MAX_MEMBERS:,} are read; a workbook has dozens."
                )
            for info in members:
                with opened.open(info) as unpacking:
                    packed = min(info.compress_size, len(content))
                    blocks = _within(unpacking, name, packed, max_bytes, n_before=n_bytes)
                    n_bytes += sum(map(len, blocks))
    except DAMAGED as error:
        raise SourceUnreadable(f"{name} cannot be read as a workbook: {error!r}.") from error


def require_bounded_text(file: Path) -> None:
    """Refuse a packed text table that unpacks to too much. Raises SourceUnreadable.

    polars recognises packed files by their first bytes, whatever they are called, and unpacks them into memory. So
    the unpacked bytes of gzip are counted first, up to the bound, which takes 0.13 s for 45 MB; the other formats
    that polars would unpack are refused.
    """
    status = file.stat()
    with file.open("rb") as opened:
        head = opened.read(max(map(len, PACKED)))
    kind = next((kind for magic, kind in PACKED.items() if head.startswith(magic)), None)
    if kind == "gzip":
        _count_gzip(file, status.st_size, status.st_mtime_ns)
    elif kind is not None:
        raise SourceUnreadable(
            f"{file} is packed with {kind}; text or gzip is read. Unpack it and name the unpacked file."
        )


@lru_cache(maxsize=64)
def _count_gzip(file: Path, packed: int, modified_ns: int) -> int:
    """Count the unpacked bytes. Several readers look at a file, and it is counted once until it changes."""
    try:
        with gzip.open(file) as unpacking:
            return sum(map(len, _within(unpacking, str(file), packed, MAX_TABLE_BYTES)))
    except DAMAGED as error:
        raise unreadable(file, error) from error


def _within(
    unpacking: IO[bytes] | gzip.GzipFile, name: str, packed: int, max_bytes: int, *, n_before: int = 0
) -> Iterator[bytes]:
    """Yield blocks within bounds. packed: size of what is unpacked. n_before: bytes that count towards max_bytes."""
    by_ratio = max(MAX_RATIO * packed, RATIO_FREE_BYTES)
    n_bytes = 0
    while block := unpacking.read(BLOCK_BYTES):
        n_bytes += len(block)
        if n_before + n_bytes > max_bytes:
            raise SourceUnreadable(
                f"{name} unpacks to more than {max_bytes:,} bytes, which is the limit. If that is what it should "
                "hold, unpack it and name the unpacked file."
            )
        if n_bytes > by_ratio:
            raise SourceUnreadable(
                f"{name} unpacks to more than {MAX_RATIO} times its {packed:,} bytes, as no table of events does. If "
                "it is yours, unpack it and name the unpacked file."
            )
        yield block
