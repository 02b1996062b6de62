"""What was acknowledged is on disk, whoever dies; what was not is cut off."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.errors import SpoolUnavailable
from service.log.frames import frame
from service.log.records import SpooledBatch
from service.log.segments import EXPORTED, ShippedNote
from service.log.spool import Spool, Unshipped, stream_position
from tests.support.events import encoded, event, spooled

NOTE = ShippedNote("redis-1:a", "5-0", 1_800_000_000.0)
EVERYTHING = 2**30


def opened(
    root: Path, *, with_redis: bool = True, max_bytes: int = EVERYTHING, segment_bytes: int = 2**20
) -> Spool:
    """A spool whose worker lives."""
    spool = Spool(root, max_bytes=max_bytes, with_redis=with_redis, segment_bytes=segment_bytes)
    spool.open()
    return spool


def die(spool: Spool) -> None:
    """As a kill does: the lock is let go and nothing else is done."""
    assert spool._lock_descriptor is not None
    os.close(spool._lock_descriptor)
    spool._lock_descriptor = None


def ids(found: list[Unshipped] | Iterator[SpooledBatch]) -> list[str]:
    """Of batches, as numbers."""
    batches = [one.batch if isinstance(one, Unshipped) else one for one in found]
    return [batch.batch_id.lstrip("0") for batch in batches]


@contextmanager
def files_of_at_most(n_bytes: int) -> Iterator[None]:
    """The kernel lets no file grow beyond it, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_batches_are_handed_on_in_order_until_they_are_marked(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append(encoded(spooled(1), spooled(2)))
    spool.append(encoded(spooled(3)))
    assert ids(spool.unshipped(EVERYTHING)) == ["1", "2", "3"]
    spool.mark_shipped(spool.unshipped(EVERYTHING)[1], NOTE)
    assert ids(spool.unshipped(EVERYTHING)) == ["3"]
    spool.mark_shipped(spool.unshipped(EVERYTHING)[0], NOTE)
    assert spool.unshipped(EVERYTHING) == []
    assert spool.n_unshipped_bytes == 0


def test_batch_that_is_longer_than_a_trip_goes_alone(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append(encoded(spooled(1), spooled(2)))
    assert ids(spool.unshipped(1)) == ["1"]


def test_living_worker_keeps_its_segments_and_a_dead_ones_are_adopted(tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path)
    first.append(encoded(spooled(1)))
    assert second.adopt() == 0
    die(first)
    assert second.adopt() == 1
    assert ids(second.unshipped(EVERYTHING)) == ["1"]
    assert second.adopt() == 0
    assert len(list(tmp_path.glob("worker-*"))) == 1


def test_torn_tail_is_cut_off_and_counted(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.append(encoded(spooled(1)))
    [path] = tmp_path.glob("worker-*/*.open")
    whole = path.stat().st_size
    with path.open("ab") as file:
        file.write(frame(encoded(spooled(2))[0])[:-1])
    n_torn = path.stat().st_size - whole
    die(first)
    second = opened(tmp_path)
    second.adopt()
    assert ids(second.unshipped(EVERYTHING)) == ["1"]
    assert second.n_torn_bytes == n_torn
    [adopted] = tmp_path.glob("worker-*/*.seg")
    assert adopted.stat().st_size == whole


def test_adopted_segments_that_redis_has_are_not_handed_on_again(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.append(encoded(spooled(1)))
    first.mark_shipped(first.unshipped(EVERYTHING)[0], NOTE)
    first.close()
    second = opened(tmp_path)
    second.adopt()
    assert second.unshipped(EVERYTHING) == []
    assert second.unship_all_but(NOTE.incarnation) == 0
    assert second.unship_all_but("redis-2:b") == 1
    assert ids(second.unshipped(EVERYTHING)) == ["1"]


def test_full_disk_accepts_nothing_of_a_group_and_goes_on_afterwards(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append(encoded(spooled(1)))
    size = spool.n_bytes
    with files_of_at_most(size + 100), pytest.raises(SpoolUnavailable, match="free space there"):
        spool.append(encoded(spooled(2), spooled(3)))
    assert ids(spool.unshipped(EVERYTHING)) == ["1"]
    spool.append(encoded(spooled(4)))
    die(spool)
    second = opened(tmp_path)
    second.adopt()
    assert sorted(ids(second.batches())) == ["1", "4"]
    assert second.n_torn_bytes == 0


def test_spool_at_its_bound_refuses_with_the_remedy(tmp_path: Path) -> None:
    spool = opened(tmp_path, max_bytes=1000)
    with pytest.raises(SpoolUnavailable, match="make export-events"):
        spool.append(encoded(*map(spooled, range(1, 20))))
    assert spool.n_bytes == 0


@pytest.mark.parametrize(("with_redis", "mark"), [(True, "shipped"), (False, "exported")])
def test_at_its_bound_the_oldest_leave_that_are_elsewhere(
    tmp_path: Path, with_redis: bool, mark: str
) -> None:
    size = len(frame(encoded(spooled(1))[0]))
    spool = opened(tmp_path, with_redis=with_redis, max_bytes=2 * size, segment_bytes=size)
    for number in (1, 2):
        spool.append(encoded(spooled(number)))
        spool.mark_shipped(spool.unshipped(EVERYTHING)[0], NOTE)
    if mark == "exported":
        with pytest.raises(SpoolUnavailable):
            spool.append(encoded(spooled(3)))
        for path in tmp_path.glob("worker-*/*.seg"):
            path.with_suffix(EXPORTED).touch()
    spool.append(encoded(spooled(3)))
    assert ids(spool.batches()) == ["2", "3"]


def test_segments_go_once_an_export_has_them_or_redis_had_them_for_long(tmp_path: Path) -> None:
    spool = opened(tmp_path, segment_bytes=1)
    for number in (1, 2, 3):
        spool.append(encoded(spooled(number)))
    for last_id in ("5-0", "6-0"):
        spool.mark_shipped(spool.unshipped(EVERYTHING)[0], ShippedNote("redis-1:a", last_id, 4e9))
    spool.release("", keep_seconds=0)
    assert ids(spool.batches()) == [
        "1",
        "2",
        "3",
    ]  # shipped in the year 2096, by a clock that has stepped back since
    spool.release("5-0", keep_seconds=1000)
    assert ids(spool.batches()) == ["2", "3"]
    spool.unship_all_but("another")
    spool.mark_shipped(spool.unshipped(EVERYTHING)[0], ShippedNote("redis-1:a", "6-0", 0.0))
    spool.release("5-0", keep_seconds=1000)
    assert ids(spool.batches()) == ["3"]


def test_unexported_segments_stay_without_redis(tmp_path: Path) -> None:
    spool = opened(tmp_path, with_redis=False, segment_bytes=1)
    for number in (1, 2):
        spool.append(encoded(spooled(number)))
        spool.mark_shipped(spool.unshipped(EVERYTHING)[0], NOTE)
    spool.release("", keep_seconds=0)
    assert ids(spool.batches()) == ["1", "2"]
    [first] = tmp_path.glob("worker-*/*.seg")
    first.with_suffix(EXPORTED).touch()
    spool.release("", keep_seconds=0)
    assert ids(spool.batches()) == ["2"]


def test_person_is_taken_out_of_segments_and_others_stay(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    theirs, others = event(user_id="ünge"), event(user_id="other")
    spool.append(encoded(spooled(1, theirs, others, theirs), spooled(2, theirs)))
    spool.append(encoded(spooled(3, theirs, received_ms=2_000_000_000_000)))
    assert spool.erase("ünge", 1_900_000_000_000) == 3
    kept = [one.event_id for batch in spool.batches() for one in batch.events]
    assert kept == [f"{1:032x}-1", f"{3:032x}-0"]
    assert ids(spool.batches()) == ["1", "2", "3"]  # their keys count on
    assert "ünge".encode() in b"".join(path.read_bytes() for path in tmp_path.glob("worker-*/*.seg"))
    assert spool.erase("ünge", 1_900_000_000_000) == 0


def test_mark_for_a_segment_that_was_written_anew_meanwhile_does_not_count(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append(encoded(spooled(1), spooled(2, event(user_id="other"))))
    found = spool.unshipped(EVERYTHING)
    spool.erase("other", 2_000_000_000_000)
    spool.mark_shipped(found[-1], NOTE)
    assert ids(spool.unshipped(EVERYTHING)) == ["1", "2"]


def test_opening_again_after_an_error_waits_for_nothing(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.open()
    spool.append(encoded(spooled(1)))
    other = opened(tmp_path)
    assert other.adopt() == 0  # the first one is still taken to be alive


def test_what_cannot_be_taken_over_stays_until_it_can_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "worker-stray").write_text("no folder")
    for name in ("worker-a", "worker-b"):
        dead = opened(tmp_path)
        dead.append(encoded(spooled(1 if name == "worker-a" else 2)))
        folder = dead._folder
        die(dead)
        folder.rename(tmp_path / name)
    (unreadable := tmp_path / "worker-a" / "unreadable.seg").mkdir()
    spool = opened(tmp_path)
    assert [spool.adopt(), spool.adopt()] == [1, 0]
    assert ids(spool.unshipped(EVERYTHING)) == ["2"]
    assert caplog.text.count("events of a dead worker wait in") == 1
    unreadable.rmdir()
    assert spool.adopt() == 1
    assert sorted(ids(spool.batches())) == ["1", "2"]


def test_at_its_bound_what_is_being_written_goes_too_once_redis_has_it(tmp_path: Path) -> None:
    spool = opened(tmp_path, max_bytes=600)
    for number in range(20):
        spool.append(encoded(spooled(number)))
        spool.mark_shipped(spool.unshipped(EVERYTHING)[-1], NOTE)
    assert spool.n_bytes <= 600


def test_damage_inside_a_dead_workers_segment_is_counted(tmp_path: Path) -> None:
    dead = opened(tmp_path)
    dead.append(encoded(spooled(1), spooled(2), spooled(3)))
    [path] = tmp_path.glob("worker-*/*.open")
    die(dead)
    data = bytearray(path.read_bytes())
    data[len(frame(encoded(spooled(1))[0])) + 20] ^= 1
    path.write_bytes(data)
    spool = opened(tmp_path)
    spool.adopt()
    assert ids(spool.batches()) == ["1", "3"]
    assert spool.n_torn_bytes == len(frame(encoded(spooled(2))[0]))


def test_folder_that_cannot_be_made_is_said_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolUnavailable, match="STILLROOM_SPOOL"):
        opened(tmp_path / "file" / "spool")


def test_stream_entries_are_ordered_by_number_and_not_by_text() -> None:
    assert stream_position("") < stream_position("9-10") < stream_position("10-2") < stream_position("10-10")
