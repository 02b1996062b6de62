"""Bombs, and what looks like one: what comes out of an archive is counted, whatever the archive says of itself."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from pathlib import Path

import polars as pl
import pytest

from training.base.errors import SourceUnreadable
from training.data.files import archives, packed
from training.data.files.archives import (
    MAX_RATIO,
    RATIO_FREE_BYTES,
    member_names,
    read_member,
    require_bounded_workbook,
)
from training.data.files.packed import unpacked_blocks
from training.data.read import read_shop

ZEROS = bytes(RATIO_FREE_BYTES + 1)
"""Packs to a thousandth."""


def zip_of(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def gzip_of(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content))
    return path


def test_a_member_is_read_whole(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", {"folder/one.txt": b"one" * 1_000})
    assert member_names(archive) == ["folder/one.txt"]
    assert read_member(archive, "folder/one.txt") == b"one" * 1_000


def test_a_member_larger_than_may_be_is_refused_with_its_limit_and_the_remedy(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", {"one.txt": b"one" * 1_000})
    said = (
        r"one\.txt in .*a\.zip unpacks to more than 2,999 bytes, which is the limit.*name the unpacked file"
    )
    with pytest.raises(SourceUnreadable, match=said):
        read_member(archive, "one.txt", max_bytes=2_999)


def test_a_member_that_unpacks_to_hundreds_of_times_its_size_is_refused(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", {"ratings.dat": ZEROS, "movies.dat": b""})
    said = rf"ratings\.dat in .* more than {MAX_RATIO} times its [\d,]+ bytes"
    with pytest.raises(SourceUnreadable, match=said):
        read_shop(archive)


def test_a_member_that_lies_about_its_packed_size_gains_nothing(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", {"one.txt": ZEROS})
    content = bytearray(archive.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 20 : entry + 24] = struct.pack("<I", 2**31 - 1)  # the packed size, in the directory
    archive.write_bytes(content)
    with pytest.raises(SourceUnreadable, match=r"unpacks to more than 200 times|cannot be read"):
        read_member(archive, "one.txt")


def test_a_zip_of_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    archive = zip_of(tmp_path / "a.zip", dict.fromkeys(("u.data", "b", "c", "d"), b""))
    with pytest.raises(SourceUnreadable, match=r"holds 4 files, at most 3 .* Unpack it and name the folder"):
        read_shop(archive)


def test_an_encrypted_member_is_refused_as_unreadable(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", {"one.txt": b"one"})
    content = bytearray(archive.read_bytes())
    content[6] |= 1  # the flag for encryption, in the file's own header and in the directory
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(SourceUnreadable, match="encrypted"):
        read_member(archive, "one.txt")


def test_a_gzipped_table_that_unpacks_to_hundreds_of_times_its_size_is_refused(tmp_path: Path) -> None:
    bomb = gzip_of(tmp_path / "orders.csv.gz", b"user_id,item_id,time\n" + ZEROS.replace(b"\0", b" "))
    with pytest.raises(SourceUnreadable, match=rf"orders\.csv\.gz unpacks to more than {MAX_RATIO} times"):
        read_shop(bomb)


def test_a_gzipped_table_is_told_by_its_bytes_and_not_by_its_name(tmp_path: Path) -> None:
    bomb = gzip_of(tmp_path / "orders.csv", b"user_id,item_id,time\n" + ZEROS.replace(b"\0", b" "))
    with pytest.raises(SourceUnreadable, match="unpacks to more than"):
        read_shop(bomb)


def test_a_gzipped_table_larger_than_may_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "MAX_TABLE_BYTES", 999)
    with pytest.raises(SourceUnreadable, match="unpacks to more than 999 bytes"):
        list(unpacked_blocks(gzip_of(tmp_path / "a.csv.gz", bytes(1_000))))


def test_a_damaged_gzip_is_unreadable(tmp_path: Path) -> None:
    file = gzip_of(tmp_path / "a.csv.gz", b"a,b\n1,2\n" * 100)
    file.write_bytes(file.read_bytes()[:-12])
    with pytest.raises(SourceUnreadable, match="cannot be read"):
        list(unpacked_blocks(file))


def test_a_table_that_is_packed_another_way_says_which(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pl.DataFrame({"a": [1]}).write_csv(buffer, compression="zstd", check_extension=False)
    (tmp_path / "a.csv").write_bytes(buffer.getvalue())
    with pytest.raises(SourceUnreadable, match=r"packed with zstd.*Unpack it"):
        read_shop(tmp_path / "a.csv")


def test_a_workbook_counts_all_its_parts_together(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.xlsx", {"one.xml": b"x" * 600, "two.xml": b"y" * 600})
    require_bounded_workbook(archive.read_bytes(), "a.xlsx", max_bytes=1_200)
    with pytest.raises(SourceUnreadable, match=r"a\.xlsx unpacks to more than 1,199 bytes"):
        require_bounded_workbook(archive.read_bytes(), "a.xlsx", max_bytes=1_199)


def test_a_workbook_that_is_a_bomb_is_refused(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.xlsx", {"xl/worksheets/sheet1.xml": ZEROS})
    with pytest.raises(SourceUnreadable, match="unpacks to more than 200 times"):
        require_bounded_workbook(archive.read_bytes(), "a.xlsx", max_bytes=2**31)
