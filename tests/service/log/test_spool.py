"""What was acknowledged is on disk, whoever dies; what was not is cut off."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.contract.errors import SpoolUnavailable
from service.log.frames import frame, read_frames
from service.log.records import SpooledBatch
from service.log.segments import EXPORTED, ShippedNote
from service.log.spool import Spool, Spooled, stream_position
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
    spool._folder.close()


def ids(found: list[Spooled] | Iterator[SpooledBatch]) -> list[str]:
    """Of batches, as numbers."""
    batches = [one.batch if isinstance(one, Spooled) else one for one in found]
    return [batch.batch_id.lstrip("0") for batch in batches]


def before(moment: int) -> Callable[[int], bool]:
    """Whether something was received earlier."""
    return lambda received_ms: received_ms < moment


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


def test_first_batch_of_a_long_segment_costs_no_more_than_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked for after each batch, to say how old what waits is."""
    spool = opened(tmp_path)
    spool.append(encoded(*(spooled(number) for number in range(1000))))
    n_decoded = 0

    def read(data: bytes) -> Iterator[tuple[bytes, int]]:
        nonlocal n_decoded
        for each in read_frames(data):
            n_decoded += 1
            yield each

    monkeypatch.setattr("service.log.segments.read_frames", read)
    assert len(spool.unshipped(1)) == 1
    assert n_decoded <= 4


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
    spool.release("", shipped_before=2e9)
    assert ids(spool.batches()) == ["1", "2", "3"]  # shipped later
    spool.release("5-0", shipped_before=0)
    assert ids(spool.batches()) == ["1", "2", "3"]  # exported, and people's histories do not have it yet
    spool.mark_merged([each.place for each in spool.unmerged(EVERYTHING)], "a world")
    spool.release("5-0", shipped_before=0)
    assert ids(spool.batches()) == ["2", "3"]
    spool.unship_all_but("another")
    spool.mark_shipped(spool.unshipped(EVERYTHING)[0], ShippedNote("redis-1:a", "6-0", 1000.0))
    spool.release("5-0", shipped_before=1001.0)
    assert ids(spool.batches()) == ["3"]


def test_unexported_segments_stay_without_redis(tmp_path: Path) -> None:
    spool = opened(tmp_path, with_redis=False, segment_bytes=1)
    for number in (1, 2):
        spool.append(encoded(spooled(number)))
        spool.mark_shipped(spool.unshipped(EVERYTHING)[0], NOTE)
    spool.release("", shipped_before=5e9)
    assert ids(spool.batches()) == ["1", "2"]
    [first] = tmp_path.glob("worker-*/*.seg")
    first.with_suffix(EXPORTED).touch()
    spool.release("", shipped_before=0)
    assert ids(spool.batches()) == ["2"]


def test_person_is_taken_out_of_segments_and_others_stay(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    theirs, others = event(user_id="ünge"), event(user_id="other")
    spool.append(encoded(spooled(1, theirs, others, theirs), spooled(2, theirs)))
    spool.append(encoded(spooled(3, theirs, received_ms=2_000_000_000_000)))
    assert spool.erase("ünge", before(1_900_000_000_000)) == 3
    kept = [one.event_id for batch in spool.batches() for one in batch.events]
    assert kept == [f"{1:032x}-1", f"{3:032x}-0"]
    assert ids(spool.batches()) == ["1", "2", "3"]  # their keys count on
    assert "ünge".encode() in b"".join(path.read_bytes() for path in tmp_path.glob("worker-*/*.seg"))
    assert spool.erase("ünge", before(1_900_000_000_000)) == 0


def test_mark_for_a_segment_that_was_written_anew_meanwhile_does_not_count(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append(encoded(spooled(1), spooled(2, event(user_id="other"))))
    found = spool.unshipped(EVERYTHING)
    spool.erase("other", before(2_000_000_000_000))
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
        folder = dead._folder.path
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


def merge(spool: Spool, found: list[Spooled], world: str = "a", *, are_all: bool = True) -> None:
    """These batches are in people's histories."""
    spool.mark_merged([each.place for each in found], world, are_all=are_all)


def test_what_is_merged_and_what_is_shipped_do_not_wait_for_each_other(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append(encoded(spooled(1), spooled(2), spooled(3)))
    merge(spool, spool.unmerged(EVERYTHING)[:2])
    assert (ids(spool.unmerged(EVERYTHING)), ids(spool.unshipped(EVERYTHING))) == (["3"], ["1", "2", "3"])
    spool.mark_shipped(spool.unshipped(EVERYTHING)[-1], NOTE)
    assert (ids(spool.unmerged(EVERYTHING)), ids(spool.unshipped(EVERYTHING))) == (["3"], [])


def test_batches_may_be_merged_in_any_order(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    found = spool.append(encoded(*map(spooled, range(1, 5))))
    for place, left in ((found[2], "1234"), (found[0], "234"), (found[1], "4"), (found[3], "")):
        spool.mark_merged([place], "a")
        assert "".join(ids(spool.unmerged(EVERYTHING))) == left


def test_what_was_merged_is_known_after_a_restart_unless_somebody_was_set_aside(tmp_path: Path) -> None:
    first = opened(tmp_path, segment_bytes=1)
    first.append(encoded(spooled(1)))
    first.append(encoded(spooled(2)))
    merge(first, first.unmerged(1))
    merge(first, first.unmerged(1), are_all=False)
    assert first.unmerged(EVERYTHING) == []
    first.close()
    second = opened(tmp_path)
    second.adopt()
    assert ids(second.unmerged(EVERYTHING)) == ["2"]


def test_another_redis_merges_everything_that_is_still_there(tmp_path: Path) -> None:
    spool = opened(tmp_path, segment_bytes=1)
    for number in (1, 2):
        spool.append(encoded(spooled(number)))
        merge(spool, spool.unmerged(EVERYTHING))
    assert spool.unmerge_all_but("a") == 0
    assert spool.unmerge_all_but("b") == 2
    merge(spool, spool.unmerged(EVERYTHING), "b")
    assert ids(spool.unmerged(EVERYTHING)) == ["2"]
    merge(spool, spool.unmerged(EVERYTHING), "b")
    assert spool.unmerge_all_but("b") == 0


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced"])
def test_folder_that_goes_under_the_service_is_made_anew_with_what_was_in_it(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "spool"
    spool = opened(root)
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
    second = opened(root)
    second.adopt()
    assert ids(second.batches()) == ["1", "2"]
    assert ids(second.unshipped(EVERYTHING)) == ["1", "2"]


def test_deleted_folder_is_found_out_also_while_nothing_is_written(tmp_path: Path) -> None:
    root = tmp_path / "spool"
    spool = opened(root)
    spool.append(encoded(spooled(1)))
    spool.look_after()
    [before] = root.glob("worker-*/*.open")
    shutil.rmtree(root)
    spool.look_after()
    [after] = root.glob("worker-*/*.open")
    assert (after.name, ids(spool.batches())) != (before.name, [])


def test_what_is_lost_with_a_deleted_file_is_counted_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing holds a complete segment open, so it cannot be read any more."""
    spool = opened(tmp_path, segment_bytes=1)
    for number in (1, 2, 3):
        spool.append(encoded(spooled(number)))
    spool.mark_shipped(spool.unshipped(EVERYTHING)[0], NOTE)
    for path in tmp_path.glob("worker-*/*.seg"):
        path.unlink()
    spool.look_after()
    assert ids(spool.batches()) == ["3"]
    assert spool.n_lost_bytes == len(frame(encoded(spooled(2))[0]))
    assert "none of events in it were nowhere else" in caplog.text
    assert f"{spool.n_lost_bytes:,} bytes of events in it were nowhere else" in caplog.text


def test_what_was_rescued_waits_for_a_place_to_be_written_to(tmp_path: Path) -> None:
    root = tmp_path / "spool"
    spool = opened(root)
    spool.append(encoded(spooled(1)))
    shutil.rmtree(root)
    root.touch()
    with pytest.raises(SpoolUnavailable, match="STILLROOM_SPOOL"):
        spool.append(encoded(spooled(2)))
    root.unlink()
    spool.append(encoded(spooled(3)))
    assert ids(spool.batches()) == ["1", "3"]
    assert spool.n_lost_bytes == 0


def test_folder_that_is_deleted_again_and_again_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = opened(tmp_path / "spool")
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
    assert ids(spool.batches()) == ["1", "3"]


def test_nobody_else_may_read_what_people_did(tmp_path: Path) -> None:
    root = tmp_path / "spool"
    root.mkdir(mode=0o755)
    spool = opened(root)
    spool.append(encoded(spooled(1)))
    spool.mark_shipped(spool.unshipped(EVERYTHING)[0], NOTE)
    merge(spool, spool.unmerged(EVERYTHING))
    spool.close()
    modes = {path.name: path.stat().st_mode & 0o777 for path in (root, *root.rglob("*"))}
    assert {mode for name, mode in modes.items() if "." in name or name == "lock"} == {0o600}
    assert {mode for name, mode in modes.items() if "." not in name and name != "lock"} == {0o700}
    assert any(name.endswith(".learnt") for name in modes)
