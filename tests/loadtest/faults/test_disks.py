"""A small disk is full when it is full, and gone afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.errors import ServerMissing
from loadtest.faults.disks import fill, small_disk


def test_disk_is_full_until_the_filler_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    try:
        with small_disk(folder, 2**20):
            filler = fill(folder)
            with pytest.raises(OSError, match="No space left"):
                (folder / "more").write_bytes(b"x")
            filler.unlink()
            (folder / "more").write_bytes(b"x" * 1000)
    except ServerMissing as missing:
        pytest.skip(str(missing))
    assert not list(folder.iterdir())  # unmounted


def test_who_may_not_mount_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerMissing, match="no mount command"), small_disk(tmp_path / "disk", 2**20):
        pass
