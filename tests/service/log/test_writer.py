"""What was acknowledged is on disk, also when the disk is full or somebody deletes the folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from service.contract.errors import SpoolUnavailable
from service.log.frames import frame
from tests.support.events import encoded, spooled
from tests.support.spools import (
    EVERYTHING,
    NOTE,
    die,
    files_of_at_most,
    merge,
    numbers_of,
    opened_spool,
)


def test_full_disk_accepts_nothing_of_a_group_and_goes_on_afterwards(tmp_path: Path) -> None:
    spool = opened_spool(tmp_path)
    spool.append(encoded(spooled(1)))
    size = spool.n_bytes
    with files_of_at_most(size + 100), pytest.raises(SpoolUnavailable, match="free space there"):
        spool.append(encoded(spooled(2), spooled(3)))
    assert numbers_of(spool.unshipped(EVERYTHING)) == ["1"]
    spool.append(encoded(spooled(4)))
    die(spool)
    second = opened_spool(tmp_path)
    second.adopt()
    assert sorted(numbers_of(second.batches())) == ["1", "4"]
    assert second.n_torn_bytes == 0


def test_folder_that_cannot_be_made_is_said_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolUnavailable, match="STILLROOM_SPOOL"):
        opened_spool(tmp_path / "file" / "spool")


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced"])
def test_folder_that_goes_under_the_service_is_made_anew_with_what_was_in_it(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "spool"
    spool = opened_spool(root)
    spool.append(encoded(spooled(1)))
    if how == "deleted":
        shutil.rmtree(root)
    else:
        root.rename(tmp_path / "elsewhere")
        if how == "replaced":
            root.mkdir()
    spool.append(encoded(spooled(2)))
    assert "was deleted or replaced" in caplog.text
    assert spool.n_lost_bytes == 0
    die(spool)
    second = opened_spool(root)
    second.adopt()
    assert numbers_of(second.batches()) == ["1", "2"]
    assert numbers_of(second.unshipped(EVERYTHING)) == ["1", "2"]


def test_deleted_folder_is_found_out_also_while_nothing_is_written(tmp_path: Path) -> None:
    root = tmp_path / "spool"
    spool = opened_spool(root)
    spool.append(encoded(spooled(1)))
    spool.look_after()
    [before] = root.glob("worker-*/*.open")
    shutil.rmtree(root)
    spool.look_after()
    [after] = root.glob("worker-*/*.open")
    assert after.name != before.name
    assert numbers_of(spool.batches()) == ["1"]


def test_what_is_lost_with_a_deleted_file_is_counted_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing holds a complete segment open, so it cannot be read any more."""
    spool = opened_spool(tmp_path, segment_bytes=1)
    for number in (1, 2, 3):
        spool.append(encoded(spooled(number)))
    spool.mark_shipped(spool.unshipped(EVERYTHING)[0], NOTE)
    for path in tmp_path.glob("worker-*/*.seg"):
        path.unlink()
    spool.look_after()
    assert numbers_of(spool.batches()) == ["3"]
    assert spool.n_lost_bytes == len(frame(encoded(spooled(2))[0]))
    assert "none of events in it were nowhere else" in caplog.text
    assert f"{spool.n_lost_bytes:,} bytes of events in it were nowhere else" in caplog.text


def test_what_was_rescued_waits_for_a_place_to_be_written_to(tmp_path: Path) -> None:
    root = tmp_path / "spool"
    spool = opened_spool(root)
    spool.append(encoded(spooled(1)))
    shutil.rmtree(root)
    root.touch()
    with pytest.raises(SpoolUnavailable, match="STILLROOM_SPOOL"):
        spool.append(encoded(spooled(2)))
    root.unlink()
    spool.append(encoded(spooled(3)))
    assert numbers_of(spool.batches()) == ["1", "3"]
    assert spool.n_lost_bytes == 0


def test_folder_that_is_deleted_again_and_again_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = opened_spool(tmp_path / "spool")
    spool.append(encoded(spooled(1)))
    really_sync = os.fdatasync

    def sync_and_delete(descriptor: int) -> None:
        really_sync(descriptor)
        shutil.rmtree(tmp_path / "spool")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", sync_and_delete)
        with pytest.raises(SpoolUnavailable, match="send it again"):
            spool.append(encoded(spooled(2)))
    spool.append(encoded(spooled(3)))
    assert numbers_of(spool.batches()) == ["1", "3"]


def test_nobody_else_may_read_what_people_did(tmp_path: Path) -> None:
    root = tmp_path / "spool"
    root.mkdir(mode=0o755)
    spool = opened_spool(root)
    spool.append(encoded(spooled(1)))
    spool.mark_shipped(spool.unshipped(EVERYTHING)[0], NOTE)
    merge(spool, spool.unmerged(EVERYTHING))
    spool.close()
    modes = {path.name: path.stat().st_mode & 0o777 for path in (root, *root.rglob("*"))}
    assert {mode for name, mode in modes.items() if "." in name or name == "lock"} == {0o600}
    assert {mode for name, mode in modes.items() if "." not in name and name != "lock"} == {0o700}
    assert any(name.endswith(".learnt") for name in modes)
