"""What a dead worker left is taken over, whole batches only, and what cannot be read waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.log.frames import frame
from tests.support.events import encoded, spooled
from tests.support.spools import (
    EVERYTHING,
    NOTE,
    die,
    merge,
    numbers_of,
    opened_spool,
)


def test_living_worker_keeps_its_segments_and_a_dead_ones_are_adopted(tmp_path: Path) -> None:
    first, second = opened_spool(tmp_path), opened_spool(tmp_path)
    first.append(encoded(spooled(1)))
    assert second.adopt() == 0
    die(first)
    assert second.adopt() == 1
    assert numbers_of(second.unshipped(EVERYTHING)) == ["1"]
    assert second.adopt() == 0
    assert len(list(tmp_path.glob("worker-*"))) == 1


def test_torn_tail_is_cut_off_and_counted(tmp_path: Path) -> None:
    first = opened_spool(tmp_path)
    first.append(encoded(spooled(1)))
    [path] = tmp_path.glob("worker-*/*.open")
    whole = path.stat().st_size
    with path.open("ab") as file:
        file.write(frame(encoded(spooled(2))[0])[:-1])
    n_torn = path.stat().st_size - whole
    die(first)
    second = opened_spool(tmp_path)
    second.adopt()
    assert numbers_of(second.unshipped(EVERYTHING)) == ["1"]
    assert second.n_torn_bytes == n_torn
    [adopted] = tmp_path.glob("worker-*/*.seg")
    assert adopted.stat().st_size == whole


def test_adopted_segments_that_redis_has_are_not_handed_on_again(tmp_path: Path) -> None:
    first = opened_spool(tmp_path)
    first.append(encoded(spooled(1)))
    first.mark_shipped(first.unshipped(EVERYTHING)[0], NOTE)
    first.close()
    second = opened_spool(tmp_path)
    second.adopt()
    assert second.unshipped(EVERYTHING) == []
    assert second.unship_all_but(NOTE.incarnation) == 0
    assert second.unship_all_but("redis-2:b") == 1
    assert numbers_of(second.unshipped(EVERYTHING)) == ["1"]


def test_opening_again_after_an_error_waits_for_nothing(tmp_path: Path) -> None:
    spool = opened_spool(tmp_path)
    spool.open()
    spool.append(encoded(spooled(1)))
    other = opened_spool(tmp_path)
    assert other.adopt() == 0  # the first one is still taken to be alive


def test_what_cannot_be_taken_over_stays_until_it_can_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "worker-stray").write_text("no folder")
    for name in ("worker-a", "worker-b"):
        dead = opened_spool(tmp_path)
        dead.append(encoded(spooled(1 if name == "worker-a" else 2)))
        folder = dead._folder.path
        die(dead)
        folder.rename(tmp_path / name)
    (unreadable := tmp_path / "worker-a" / "unreadable.seg").mkdir()
    spool = opened_spool(tmp_path)
    assert [spool.adopt(), spool.adopt()] == [1, 0]
    assert numbers_of(spool.unshipped(EVERYTHING)) == ["2"]
    assert caplog.text.count("events of a dead worker wait in") == 1
    unreadable.rmdir()
    assert spool.adopt() == 1
    assert sorted(numbers_of(spool.batches())) == ["1", "2"]


def test_damage_inside_a_dead_workers_segment_is_counted(tmp_path: Path) -> None:
    dead = opened_spool(tmp_path)
    dead.append(encoded(spooled(1), spooled(2), spooled(3)))
    [path] = tmp_path.glob("worker-*/*.open")
    die(dead)
    data = bytearray(path.read_bytes())
    data[len(frame(encoded(spooled(1))[0])) + 20] ^= 1
    path.write_bytes(data)
    spool = opened_spool(tmp_path)
    spool.adopt()
    assert numbers_of(spool.batches()) == ["1", "3"]
    assert spool.n_torn_bytes == len(frame(encoded(spooled(2))[0]))


def test_what_was_merged_is_known_after_a_restart_unless_somebody_was_set_aside(tmp_path: Path) -> None:
    first = opened_spool(tmp_path, segment_bytes=1)
    first.append(encoded(spooled(1)))
    first.append(encoded(spooled(2)))
    merge(first, first.unmerged(1))
    merge(first, first.unmerged(1), are_all=False)
    assert first.unmerged(EVERYTHING) == []
    first.close()
    second = opened_spool(tmp_path)
    second.adopt()
    assert numbers_of(second.unmerged(EVERYTHING)) == ["2"]
