"""Segments leave the disk once they are elsewhere, and no sooner; at its bound the spool refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.contract.errors import SpoolUnavailable
from service.log.frames import frame
from service.log.segments import EXPORTED, ShippedNote
from tests.support.events import encoded, spooled
from tests.support.spools import (
    EVERYTHING,
    NOTE,
    numbers_of,
    opened_spool,
)


def test_spool_at_its_bound_refuses_with_the_remedy(tmp_path: Path) -> None:
    spool = opened_spool(tmp_path, max_bytes=1000)
    with pytest.raises(SpoolUnavailable, match="make export-events"):
        spool.append(encoded(*map(spooled, range(1, 20))))
    assert spool.n_bytes == 0


@pytest.mark.parametrize(("with_redis", "mark"), [(True, "shipped"), (False, "exported")])
def test_at_its_bound_the_oldest_leave_that_are_elsewhere(
    tmp_path: Path, with_redis: bool, mark: str
) -> None:
    size = len(frame(encoded(spooled(1))[0]))
    spool = opened_spool(tmp_path, with_redis=with_redis, max_bytes=2 * size, segment_bytes=size)
    for number in (1, 2):
        spool.append(encoded(spooled(number)))
        spool.mark_shipped(spool.unshipped(EVERYTHING)[0], NOTE)
    if mark == "exported":
        with pytest.raises(SpoolUnavailable):
            spool.append(encoded(spooled(3)))
        for path in tmp_path.glob("worker-*/*.seg"):
            path.with_suffix(EXPORTED).touch()
    spool.append(encoded(spooled(3)))
    assert numbers_of(spool.batches()) == ["2", "3"]


def test_segments_go_once_an_export_has_them_or_redis_had_them_for_long(tmp_path: Path) -> None:
    spool = opened_spool(tmp_path, segment_bytes=1)
    for number in (1, 2, 3):
        spool.append(encoded(spooled(number)))
    for last_id in ("5-0", "6-0"):
        spool.mark_shipped(spool.unshipped(EVERYTHING)[0], ShippedNote("redis-1:a", last_id, 4e9))
    spool.release("", shipped_before=2e9)
    assert numbers_of(spool.batches()) == ["1", "2", "3"]  # shipped later
    spool.release("5-0", shipped_before=0)
    assert numbers_of(spool.batches()) == [
        "1",
        "2",
        "3",
    ]  # exported, and people's histories do not have it yet
    spool.mark_merged([each.place for each in spool.unmerged(EVERYTHING)], "a world")
    spool.release("5-0", shipped_before=0)
    assert numbers_of(spool.batches()) == ["2", "3"]
    spool.unship_all_but("another")
    spool.mark_shipped(spool.unshipped(EVERYTHING)[0], ShippedNote("redis-1:a", "6-0", 1000.0))
    spool.release("5-0", shipped_before=1001.0)
    assert numbers_of(spool.batches()) == ["3"]


def test_unexported_segments_stay_without_redis(tmp_path: Path) -> None:
    spool = opened_spool(tmp_path, with_redis=False, segment_bytes=1)
    for number in (1, 2):
        spool.append(encoded(spooled(number)))
        spool.mark_shipped(spool.unshipped(EVERYTHING)[0], NOTE)
    spool.release("", shipped_before=5e9)
    assert numbers_of(spool.batches()) == ["1", "2"]
    [first] = tmp_path.glob("worker-*/*.seg")
    first.with_suffix(EXPORTED).touch()
    spool.release("", shipped_before=0)
    assert numbers_of(spool.batches()) == ["2"]


def test_at_its_bound_what_is_being_written_goes_too_once_redis_has_it(tmp_path: Path) -> None:
    spool = opened_spool(tmp_path, max_bytes=600)
    for number in range(20):
        spool.append(encoded(spooled(number)))
        spool.mark_shipped(spool.unshipped(EVERYTHING)[-1], NOTE)
    assert spool.n_bytes <= 600
