"""Unpacking within bounds: a zip, a gzipped table or a workbook may hold a thousand times what it weighs.

What an archive says of its own sizes is not believed: bytes are counted as they come out, and what exceeds a bound is
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
"""Files in a zip. The data sets that are read from zips have fewer than 30."""
MAX_MEMBER_BYTES = 4 * 2**30
"""Of one file in a zip, which is read as a whole: six times the ratings of MovieLens 25M."""
MAX_TABLE_BYTES = 64 * 2**30
"""Of an unpacked table. 20 bytes an event would be three billion events."""
MAX_RATIO = 200
"""Unpacked over packed bytes. Tables of events reach 5 to 20, deflate can reach 1,032."""
RATIO_FREE_BYTES = 16 * 2**20
"""So much may come out of a packed file whatever its ratio: a column that never changes packs well."""
BLOCK_BYTES = 1 << 20
PACKED = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x78\x9c": "zlib",
    b"\x78\xda": "zlib",
    b"PK\x03\x04": "zip",
}
"""First bytes of packed files."""

DAMAGED = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    RuntimeError,
)
"""What reading a damaged, encrypted or exotic archive raises; zipfile has no root of its own."""


def member_names(archive: Path) -> list[str]:
    """The files of a zip, with their folders. Raises SourceUnreadable for too many, or for no zip."""
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
    """One file of a zip. Raises SourceUnreadable where it is not there, damaged, encrypted or out of bounds."""
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
    """Refuse an .xlsx, which is a zip of XML, that unpacks to too much. Raises SourceUnreadable.

    Its own reader unpacks whole sheets into memory and has no bounds.
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
    """Refuse a table of text that is packed and unpacks to too much. Raises SourceUnreadable.

    polars tells packed files by their first bytes, whatever they are called, and unpacks them into memory. Gzip is
    counted first, which stops at the bound and takes 0.13 s for 45 MB; what else polars would unpack is refused.
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
    """Unpacked bytes. A file is looked at by several readers and counted once, as long as it does not change."""
    try:
        with gzip.open(file) as unpacking:
            return sum(map(len, _within(unpacking, str(file), packed, MAX_TABLE_BYTES)))
    except DAMAGED as error:
        raise unreadable(file, error) from error


def _within(
    unpacking: IO[bytes] | gzip.GzipFile, name: str, packed: int, max_bytes: int, *, n_before: int = 0
) -> Iterator[bytes]:
    """What comes out, block by block. packed: bytes that it comes out of. n_before: bytes that count as well."""
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
