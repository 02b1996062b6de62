"""Unpack within bounds: a zip, a gzipped table or a workbook may unpack to a thousand times its size.

The sizes that an archive states are not trusted: bytes are counted as they come out, and anything beyond a bound is
refused before it fills memory or the disk.
"""

from __future__ import annotations

import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from training.base.errors import SourceUnreadable
from training.data.files.errors import unreadable

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
DAMAGED = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
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
                return b"".join(within_bounds(unpacking, f"{member} in {archive}", packed, max_bytes))
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
                    blocks = within_bounds(unpacking, name, packed, max_bytes, n_before=n_bytes)
                    n_bytes += sum(map(len, blocks))
    except DAMAGED as error:
        raise SourceUnreadable(f"{name} cannot be read as a workbook: {error!r}.") from error


def within_bounds(
    unpacking: IO[bytes], name: str, packed: int, max_bytes: int, *, n_before: int = 0
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


def is_archive(path: Path) -> bool:
    """Whether a file is a zip that is no workbook, or a tar, packed or not."""
    if zipfile.is_zipfile(path):
        return not any(name.startswith(("xl/", "[Content_Types]")) for name in member_names(path))
    return tarfile.is_tarfile(path)


def archive_names(archive: Path) -> list[str]:
    """List the files of a zip or a tar. Raises SourceUnreadable if there are too many, or if it is damaged."""
    if zipfile.is_zipfile(archive):
        return member_names(archive)
    try:
        with tarfile.open(archive) as opened:
            return [member.name for _, member in zip(range(MAX_MEMBERS), opened, strict=False)]
    except DAMAGED as error:
        raise unreadable(archive, error) from error


def unpack_archive(archive: Path, folder: Path) -> Path:
    """Unpack the files of a zip or a tar into `folder`, and return it. Raises SourceUnreadable beyond the bounds.

    Links and special files are left out, and no file leaves the folder.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                for name in member_names(archive):
                    if not name.endswith("/"):
                        info = opened.getinfo(name)
                        packed = min(info.compress_size, archive.stat().st_size)
                        with opened.open(info) as unpacking:
                            _unpack(unpacking, name, folder, archive, packed)
        else:
            with tarfile.open(archive) as opened_tar:
                for number, member in enumerate(opened_tar):
                    if number >= MAX_MEMBERS:
                        raise SourceUnreadable(
                            f"{archive} holds more than {MAX_MEMBERS:,} files. Unpack it and name the folder."
                        )
                    if member.isfile() and (content := opened_tar.extractfile(member)) is not None:
                        with content:
                            _unpack(content, member.name, folder, archive, archive.stat().st_size)
    except DAMAGED as error:
        raise unreadable(archive, error) from error
    return folder


def _unpack(unpacking: IO[bytes], name: str, folder: Path, archive: Path, packed: int) -> None:
    target = (folder / name.lstrip("/")).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise SourceUnreadable(f"{archive} holds {name!r}, which would leave the folder it is unpacked into.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        for block in within_bounds(unpacking, f"{name} in {archive}", packed, MAX_MEMBER_BYTES):
            file.write(block)
