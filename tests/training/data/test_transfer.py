import hashlib
from functools import partial
from pathlib import Path

import pytest

from tests.training.data.file_server import FileServer, serving
from training.base.errors import ChecksumMismatch, DownloadFailed
from training.data.transfer import fetch_file as fetch_file_within
from training.data.transfer import md5_of

CONTENT = bytes(range(256)) * 5_000  # 1.28 MB: several blocks
MD5 = hashlib.md5(CONTENT).hexdigest()
fetch_file = partial(fetch_file_within, max_bytes=len(CONTENT))


def part_of(destination: Path) -> Path:
    return destination.with_name(destination.name + ".part")


def test_file_arrives_whole_and_leaves_no_part(tmp_path: Path) -> None:
    with serving(FileServer(CONTENT)) as server:
        fetched = fetch_file(server.url, tmp_path / "new" / "file.bin", md5=MD5)
    assert fetched.read_bytes() == CONTENT
    assert list(fetched.parent.iterdir()) == [fetched]


def test_broken_transfer_keeps_what_arrived(tmp_path: Path) -> None:
    destination = tmp_path / "file.bin"
    with (
        serving(FileServer(CONTENT, breaks_off_after=1_000_000)) as server,
        pytest.raises(DownloadFailed, match="run the command again"),
    ):
        fetch_file(server.url, destination, md5=MD5)
    assert part_of(destination).read_bytes() == CONTENT[:1_000_000]
    assert not destination.exists()


def test_next_try_asks_only_for_the_rest(tmp_path: Path) -> None:
    destination = tmp_path / "file.bin"
    part_of(destination).write_bytes(CONTENT[:1_000_000])
    with serving(FileServer(CONTENT)) as server:
        fetch_file(server.url, destination, md5=MD5)
    assert server.ranges == ["bytes=1000000-"]
    assert destination.read_bytes() == CONTENT


def test_server_that_ignores_range_starts_the_file_anew(tmp_path: Path) -> None:
    destination = tmp_path / "file.bin"
    part_of(destination).write_bytes(CONTENT[:1_000_000])
    with serving(FileServer(CONTENT, knows_ranges=False)) as server:
        fetch_file(server.url, destination, md5=MD5)
    assert destination.read_bytes() == CONTENT


@pytest.mark.parametrize("stale", [CONTENT, CONTENT + b"more"])
def test_part_that_cannot_be_continued_is_fetched_anew(tmp_path: Path, stale: bytes) -> None:
    destination = tmp_path / "file.bin"
    part_of(destination).write_bytes(stale)
    with serving(FileServer(CONTENT)) as server:
        fetch_file(server.url, destination, md5=MD5)
    assert server.ranges == [f"bytes={len(stale)}-", None]
    assert destination.read_bytes() == CONTENT


def test_wrong_checksum_removes_the_file(tmp_path: Path) -> None:
    with (
        serving(FileServer(CONTENT[:-1] + b"!")) as server,
        pytest.raises(ChecksumMismatch, match=MD5),
    ):
        fetch_file(server.url, tmp_path / "file.bin", md5=MD5)
    assert list(tmp_path.iterdir()) == []


def test_stale_start_of_another_file_is_found_by_the_checksum(tmp_path: Path) -> None:
    destination = tmp_path / "file.bin"
    part_of(destination).write_bytes(b"x" * 1_000)
    with serving(FileServer(CONTENT)) as server:
        with pytest.raises(ChecksumMismatch):
            fetch_file(server.url, destination, md5=MD5)
        assert fetch_file(server.url, destination, md5=MD5).read_bytes() == CONTENT


@pytest.mark.parametrize("tells_length", [True, False])
def test_a_file_that_is_larger_than_it_may_be_is_not_kept(tmp_path: Path, tells_length: bool) -> None:
    with (
        serving(FileServer(CONTENT, tells_length=tells_length)) as server,
        pytest.raises(DownloadFailed, match=r"at most 999,999 are expected of it; nothing is kept"),
    ):
        fetch_file_within(server.url, tmp_path / "file.bin", max_bytes=999_999)
    assert list(tmp_path.iterdir()) == []


def test_refusal_of_the_server_is_told(tmp_path: Path) -> None:
    with (
        serving(FileServer(CONTENT, status=404)) as server,
        pytest.raises(DownloadFailed, match="404"),
    ):
        fetch_file(server.url, tmp_path / "file.bin")


def test_no_server_says_where_to_put_the_file_by_hand(tmp_path: Path) -> None:
    with serving(FileServer(b"")) as server:
        url = server.url
    with pytest.raises(DownloadFailed, match=r"by hand and put it at .*file\.bin"):
        fetch_file(url, tmp_path / "file.bin")


def test_progress_ends_at_the_full_size_even_when_resumed(tmp_path: Path) -> None:
    destination = tmp_path / "file.bin"
    part_of(destination).write_bytes(CONTENT[:1_000_000])
    seen: list[tuple[int, int | None]] = []
    with serving(FileServer(CONTENT)) as server:
        fetch_file(server.url, destination, on_bytes=lambda *progress: seen.append(progress))
    assert seen[0][0] > 1_000_000
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_md5_is_that_of_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(CONTENT)
    assert md5_of(path) == MD5
