"""What is on disk is handed on in order, marked, and taken out with a person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.log.frames import read_frames
from service.log.spool import stream_position
from tests.support.events import encoded, event, spooled
from tests.support.spools import (
    EVERYTHING,
    NOTE,
    before,
    merge,
    numbers_of,
    opened_spool,
)


def test_batches_are_handed_on_in_order_until_they_are_marked(tmp_path: Path) -> None:
    spool = opened_spool(tmp_path)
    spool.append(encoded(spooled(1), spooled(2)))
    spool.append(encoded(spooled(3)))
    assert numbers_of(spool.unshipped(EVERYTHING)) == ["1", "2", "3"]
    spool.mark_shipped(spool.unshipped(EVERYTHING)[1], NOTE)
    assert numbers_of(spool.unshipped(EVERYTHING)) == ["3"]
    spool.mark_shipped(spool.unshipped(EVERYTHING)[0], NOTE)
    assert spool.unshipped(EVERYTHING) == []
    assert spool.n_unshipped_bytes == 0


def test_batch_that_is_longer_than_a_trip_goes_alone(tmp_path: Path) -> None:
    spool = opened_spool(tmp_path)
    spool.append(encoded(spooled(1), spooled(2)))
    assert numbers_of(spool.unshipped(1)) == ["1"]


def test_first_batch_of_a_long_segment_costs_no_more_than_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked for after each batch, to say how old what waits is."""
    spool = opened_spool(tmp_path)
    spool.append(encoded(*(spooled(number) for number in range(1000))))
    n_decoded = 0

    def read(data: bytes) -> Iterator[tuple[bytes, int]]:
        nonlocal n_decoded
        for each in read_frames(data):
            n_decoded += 1
            yield each

    monkeypatch.setattr("service.log.segments.read_frames", read)
    assert len(spool.unshipped(1)) == 1
    assert 1 <= n_decoded <= 4


def test_person_is_taken_out_of_segments_and_others_stay(tmp_path: Path) -> None:
    spool = opened_spool(tmp_path)
    theirs, others = event(user_id="ünge"), event(user_id="other")
    spool.append(encoded(spooled(1, theirs, others, theirs), spooled(2, theirs)))
    spool.append(encoded(spooled(3, theirs, received_ms=2_000_000_000_000)))
    assert spool.erase("ünge", before(1_900_000_000_000)) == 3
    kept = [one.event_id for batch in spool.batches() for one in batch.events]
    assert kept == [f"{1:032x}-1", f"{3:032x}-0"]
    assert numbers_of(spool.batches()) == ["1", "2", "3"]  # their keys count on
    assert "ünge".encode() in b"".join(path.read_bytes() for path in tmp_path.glob("worker-*/*.seg"))
    assert spool.erase("ünge", before(1_900_000_000_000)) == 0


def test_mark_for_a_segment_that_was_written_anew_meanwhile_does_not_count(tmp_path: Path) -> None:
    spool = opened_spool(tmp_path)
    spool.append(encoded(spooled(1), spooled(2, event(user_id="other"))))
    found = spool.unshipped(EVERYTHING)
    spool.erase("other", before(2_000_000_000_000))
    spool.mark_shipped(found[-1], NOTE)
    assert numbers_of(spool.unshipped(EVERYTHING)) == ["1", "2"]


def test_stream_entries_are_ordered_by_number_and_not_by_text() -> None:
    assert stream_position("") < stream_position("9-10") < stream_position("10-2") < stream_position("10-10")


def test_what_is_merged_and_what_is_shipped_do_not_wait_for_each_other(tmp_path: Path) -> None:
    spool = opened_spool(tmp_path)
    spool.append(encoded(spooled(1), spooled(2), spooled(3)))
    merge(spool, spool.unmerged(EVERYTHING)[:2])
    assert numbers_of(spool.unmerged(EVERYTHING)) == ["3"]
    assert numbers_of(spool.unshipped(EVERYTHING)) == ["1", "2", "3"]
    spool.mark_shipped(spool.unshipped(EVERYTHING)[-1], NOTE)
    assert numbers_of(spool.unmerged(EVERYTHING)) == ["3"]
    assert numbers_of(spool.unshipped(EVERYTHING)) == []


def test_batches_may_be_merged_in_any_order(tmp_path: Path) -> None:
    spool = opened_spool(tmp_path)
    found = spool.append(encoded(*map(spooled, range(1, 5))))
    for place, left in ((found[2], "1234"), (found[0], "234"), (found[1], "4"), (found[3], "")):
        spool.mark_merged([place], "a")
        assert "".join(numbers_of(spool.unmerged(EVERYTHING))) == left


def test_another_redis_merges_everything_that_is_still_there(tmp_path: Path) -> None:
    spool = opened_spool(tmp_path, segment_bytes=1)
    for number in (1, 2):
        spool.append(encoded(spooled(number)))
        merge(spool, spool.unmerged(EVERYTHING))
    assert spool.unmerge_all_but("a") == 0
    assert spool.unmerge_all_but("b") == 2
    merge(spool, spool.unmerged(EVERYTHING), "b")
    assert numbers_of(spool.unmerged(EVERYTHING)) == ["2"]
    merge(spool, spool.unmerged(EVERYTHING), "b")
    assert spool.unmerge_all_but("b") == 0
