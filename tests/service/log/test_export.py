"""Each accepted event is in Parquet once, wherever it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
import redis

from service.log.export.errors import ExportFailed
from service.log.export.run import opened
from service.log.frames import frame
from service.log.records import (
    EVENTS_STREAM,
    EXPORTED_KEY,
    EXPOSURES_STREAM,
    EventRecord,
    ExposureRecord,
    pack_scores,
)
from service.log.segments import EXPORTED
from tests.support.events import RECEIVED_MS, encoded, event, spooled
from tests.support.exports import TABLES, event_ids, export, exported_ids, ship
from tests.support.spools import before, opened_spool
from training.data.read import read_shop


def test_each_run_adds_what_is_new_and_nothing_twice(tmp_path: Path, client: redis.Redis) -> None:
    first, second = spooled(1, event(), event()), spooled(2)
    ship(client, first)
    assert export(tmp_path / "out", client).events == 2
    ship(client, second, first)
    done = export(tmp_path / "out", client)
    assert (done.events, done.trimmed, done.is_stream_new) == (1, 0, False)
    assert export(tmp_path / "out", client).parts == 0
    assert exported_ids(tmp_path / "out") == event_ids(first, second)


def test_spool_and_stream_together_count_once(tmp_path: Path, client: redis.Redis) -> None:
    spool = opened_spool(tmp_path / "spool")
    batches = [spooled(number) for number in (1, 2, 3)]
    spool.append(encoded(*batches[:2]))
    ship(client, *batches[1:])
    done = export(tmp_path / "out", client, tmp_path / "spool")
    assert (done.events, done.already_there) == (3, 1)
    spool.append(encoded(spooled(4)))
    assert export(tmp_path / "out", client, tmp_path / "spool").events == 1
    assert exported_ids(tmp_path / "out") == event_ids(*batches, spooled(4))


def test_segment_that_was_written_anew_without_somebody_is_read_to_its_end(tmp_path: Path) -> None:
    spool = opened_spool(tmp_path / "spool")
    others = event(user_id="other")
    spool.append(encoded(spooled(1, *[others] * 20)))
    export(tmp_path / "out", spool=tmp_path / "spool")
    spool.append(encoded(spooled(2)))
    spool.erase("other", before(RECEIVED_MS + 1))
    assert export(tmp_path / "out", spool=tmp_path / "spool").events == 1
    assert exported_ids(tmp_path / "out")[-1:] == event_ids(spooled(2))


def test_segment_that_was_written_anew_in_the_very_place_of_the_old_one_is_read_again(tmp_path: Path) -> None:
    """As a file system gives a freed inode out again, to a file that may be longer than the one before."""
    spool = opened_spool(tmp_path / "spool")
    spool.append(encoded(spooled(1, *[event(user_id="gone")] * 5), spooled(2)))
    export(tmp_path / "out", spool=tmp_path / "spool")
    [path] = tmp_path.glob("spool/worker-*/*.open")
    later = [spooled(number, event(user_id=f"other-{number}")) for number in range(2, 30)]
    path.write_bytes(b"".join(map(frame, encoded(*later))))
    export(tmp_path / "out", spool=tmp_path / "spool")
    assert set(event_ids(*later)) <= set(exported_ids(tmp_path / "out"))


def test_segment_is_marked_once_it_is_complete_and_exported(tmp_path: Path) -> None:
    spool = opened_spool(tmp_path / "spool", with_redis=False)
    spool.append(encoded(spooled(1)))
    export(tmp_path / "out", spool=tmp_path / "spool")
    assert not list(tmp_path.glob(f"spool/worker-*/*{EXPORTED}"))
    spool.append(encoded(spooled(2)))
    spool.close()
    assert export(tmp_path / "out", spool=tmp_path / "spool").events == 1
    assert len(list(tmp_path.glob(f"spool/worker-*/*{EXPORTED}"))) == 1


def test_services_are_told_what_is_safe_and_exported_entries_leave_redis(
    tmp_path: Path, client: redis.Redis
) -> None:
    ship(client, *map(spooled, range(1, 300)))
    export(tmp_path / "out", client)
    [told] = client.hvals(EXPORTED_KEY)
    entries: Any = client.xrevrange(EVENTS_STREAM, count=1)
    assert told == entries[0][0]
    assert client.xlen(EVENTS_STREAM) < 299
    assert export(tmp_path / "out", client).trimmed == 0


def test_tables_are_as_training_reads_them(tmp_path: Path, client: redis.Redis) -> None:
    events = [
        event(kind="purchase", item_id="x", value=2.5, request_id="r"),
        event(kind="view", item_id="y"),
        event(kind="click", user_id=None, session_id="s"),
        event(kind="impression"),
        event(kind="removal"),
    ]
    ship(client, spooled(1, *events))
    export(tmp_path / "out", client)
    [visits, impressions, removals] = [exported_ids(tmp_path / "out", [name]) for name in TABLES[1:]]
    assert [len(visits), len(impressions), len(removals)] == [1, 1, 1]
    [part] = (tmp_path / "out" / "interactions").iterdir()
    rows = pl.read_parquet(part).to_dicts()
    assert rows[0] == {
        **{
            "event_id": f"{1:032x}-0",
            "user_id": "user-1",
            "session_id": None,
            "item_id": "x",
            "kind": "purchase",
        },
        **{"time": RECEIVED_MS // 1000, "value": 2.5, "request_id": "r", "received_ms": RECEIVED_MS},
    }
    shop = read_shop(tmp_path / "out")
    assert sorted(shop.events["item_id"].to_list()) == ["x", "y"]


def test_exposures_are_exported_once_with_their_propensity(tmp_path: Path, client: redis.Redis) -> None:
    exposure = ExposureRecord(
        "r", 5, ["x", "y"], pack_scores([2.0, 1.0]), "v", "student", "student", 900, propensity=0.25
    )
    client.xadd(EXPOSURES_STREAM, {b"r": msgspec.msgpack.encode(exposure)})
    assert [export(tmp_path / "out", client).exposures for _ in range(2)] == [1, 0]
    [part] = (tmp_path / "out" / "exposures").iterdir()
    [row] = pl.read_parquet(part).to_dicts()
    assert (row["request_id"], row["item_ids"], row["propensity"]) == ("r", ["x", "y"], 0.25)


def test_entries_that_are_no_records_are_counted_and_passed_over(tmp_path: Path, client: redis.Redis) -> None:
    for stream in (EVENTS_STREAM, EXPOSURES_STREAM):
        client.xadd(stream, {b"r": msgspec.msgpack.encode({"from": "another release"})})
        client.xadd(stream, {b"other": b"5"})
    ship(client, spooled(1))
    done = export(tmp_path / "out", client)
    assert (done.unreadable, done.events, done.trimmed) == (4, 1, 0)
    assert export(tmp_path / "out", client).unreadable == 0


def test_two_exports_never_work_on_one_folder(tmp_path: Path) -> None:
    with (
        opened(tmp_path / "out"),
        pytest.raises(ExportFailed, match="another export"),
        opened(tmp_path / "out"),
    ):
        pass


def test_records_keep_their_names_on_the_wire() -> None:
    assert set(msgspec.msgpack.decode(msgspec.msgpack.encode(event(value=1.0)))) == {
        *("event_id", "kind", "item_id", "time", "received_ms", "user_id", "value")
    }
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(event()), type=EventRecord) == event()
