"""Each accepted event is in Parquet once, whenever the export is killed and wherever the event came from."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
import redis

from service.events.stream import add_commands, add_erasure_command, delete_command
from service.log.erasures import ErasureFile
from service.log.export.errors import ExportFailed
from service.log.export.part_files import PartFiles
from service.log.export.run import Exported, opened, tell_services
from service.log.export.sources import LogStreams, SpoolFolder
from service.log.export.state import State
from service.log.frames import frame
from service.log.records import (
    EVENTS_STREAM,
    EXPORTED_KEY,
    EXPOSURES_STREAM,
    GENERATION_KEY,
    ErasureRecord,
    EventRecord,
    ExposureRecord,
    SpooledBatch,
    pack_scores,
    session_key,
)
from service.log.segments import EXPORTED
from tests.service.log.test_spool import before
from tests.service.log.test_spool import opened as opened_spool
from tests.support.events import RECEIVED_MS, encoded, event, spooled
from tests.support.redis import RedisServer
from training.data.read import read_shop

TABLES = ("interactions", "visits", "impressions", "removals")


class Killed(BaseException):
    """What a kill is to the code: nothing after it runs."""


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """Of the log's Redis."""
    with redis.Redis.from_url(redis_server.url) as connected:
        yield connected


def ship(client: redis.Redis, *batches: SpooledBatch, max_entries: int = 10**6) -> None:
    """As a service does."""
    for batch in batches:
        for command in add_commands(batch, 86_400, max_entries):
            client.execute_command(*command)  # type: ignore[no-untyped-call]


def export(out: Path, client: redis.Redis | None = None, spool: Path | None = None) -> Exported:
    """One run, in this process."""
    with opened(out) as exporting:
        if spool is not None:
            exporting.read_spool(SpoolFolder(spool))
        if client is not None:
            exporting.read_streams(LogStreams(client))
            tell_services(client, exporting, keep_hours=0)
        exporting.finish(remember_days=7)
        return exporting.done


def ids(out: Path, tables: Sequence[str] = TABLES) -> list[str]:
    """Ids of all events in an export; an event that is there twice is in it twice."""
    parts = [path for name in tables for path in sorted((out / name).glob("part-*.parquet"))]
    return sorted(event_id for path in parts for event_id in pl.read_parquet(path)["event_id"].to_list())


def ids_of(*batches: SpooledBatch) -> list[str]:
    """Ids of all events of batches."""
    return sorted(one.event_id for batch in batches for one in batch.events)


def test_each_run_adds_what_is_new_and_nothing_twice(tmp_path: Path, client: redis.Redis) -> None:
    first, second = spooled(1, event(), event()), spooled(2)
    ship(client, first)
    assert export(tmp_path / "out", client).events == 2
    ship(client, second, first)
    done = export(tmp_path / "out", client)
    assert (done.events, done.trimmed, done.is_stream_new) == (1, 0, False)
    assert export(tmp_path / "out", client).parts == 0
    assert ids(tmp_path / "out") == ids_of(first, second)


def test_spool_and_stream_together_count_once(tmp_path: Path, client: redis.Redis) -> None:
    spool = opened_spool(tmp_path / "spool")
    batches = [spooled(number) for number in (1, 2, 3)]
    spool.append(encoded(*batches[:2]))
    ship(client, *batches[1:])
    done = export(tmp_path / "out", client, tmp_path / "spool")
    assert (done.events, done.already_there) == (3, 1)
    spool.append(encoded(spooled(4)))
    assert export(tmp_path / "out", client, tmp_path / "spool").events == 1
    assert ids(tmp_path / "out") == ids_of(*batches, spooled(4))


def test_segment_that_was_written_anew_without_somebody_is_read_to_its_end(tmp_path: Path) -> None:
    spool = opened_spool(tmp_path / "spool")
    others = event(user_id="other")
    spool.append(encoded(spooled(1, *[others] * 20)))
    export(tmp_path / "out", spool=tmp_path / "spool")
    spool.append(encoded(spooled(2)))
    spool.erase("other", before(RECEIVED_MS + 1))
    assert export(tmp_path / "out", spool=tmp_path / "spool").events == 1
    assert ids(tmp_path / "out")[-1:] == ids_of(spooled(2))


def test_segment_that_was_written_anew_in_the_very_place_of_the_old_one_is_read_again(tmp_path: Path) -> None:
    """As a file system gives a freed inode out again, to a file that may be longer than the one before."""
    spool = opened_spool(tmp_path / "spool")
    spool.append(encoded(spooled(1, *[event(user_id="gone")] * 5), spooled(2)))
    export(tmp_path / "out", spool=tmp_path / "spool")
    [path] = tmp_path.glob("spool/worker-*/*.open")
    later = [spooled(number, event(user_id=f"other-{number}")) for number in range(2, 30)]
    path.write_bytes(b"".join(map(frame, encoded(*later))))
    export(tmp_path / "out", spool=tmp_path / "spool")
    assert set(ids_of(*later)) <= set(ids(tmp_path / "out"))


def test_segment_is_marked_once_it_is_complete_and_exported(tmp_path: Path) -> None:
    spool = opened_spool(tmp_path / "spool", with_redis=False)
    spool.append(encoded(spooled(1)))
    export(tmp_path / "out", spool=tmp_path / "spool")
    assert not list(tmp_path.glob(f"spool/worker-*/*{EXPORTED}"))
    spool.append(encoded(spooled(2)))
    spool.close()
    assert export(tmp_path / "out", spool=tmp_path / "spool").events == 1
    assert len(list(tmp_path.glob(f"spool/worker-*/*{EXPORTED}"))) == 1


@pytest.mark.parametrize(
    "where", ["before the commit", "before the parts are published", "within a publication"]
)
def test_killed_export_neither_loses_nor_doubles(
    tmp_path: Path, client: redis.Redis, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    batches = [spooled(1, event(), event(kind="impression"), event(kind="removal")), spooled(2), spooled(3)]
    ship(client, batches[2])
    export(tmp_path / "out", client)
    (tmp_path / "out" / "staging" / "left by a run that was killed over a rewrite").touch()
    ship(client, *batches)

    def kill(*arguments: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        if where == "before the commit":
            patched.setattr(State, "remember", kill)
        elif where == "within a publication":
            patched.setattr(State, "published", kill)
        else:
            patched.setattr(PartFiles, "publish", lambda parts: kill() if parts._state.staged() else 0)
        with pytest.raises(Killed):
            export(tmp_path / "out", client)
    export(tmp_path / "out", client)
    assert ids(tmp_path / "out") == ids_of(*batches)
    assert not list((tmp_path / "out" / "staging").iterdir())


def test_stream_trimmed_before_it_was_read_is_counted_exactly(tmp_path: Path, client: redis.Redis) -> None:
    ship(client, *map(spooled, range(1, 6)))
    assert export(tmp_path / "out", client).trimmed == 0
    ship(client, *map(spooled, range(6, 16)))
    client.xtrim(EVENTS_STREAM, maxlen=7, approximate=False)
    done = export(tmp_path / "out", client)
    assert (done.events, done.trimmed) == (7, 3)
    assert export(tmp_path / "out", client).trimmed == 0
    client.xtrim(EVENTS_STREAM, maxlen=0, approximate=False)
    assert export(tmp_path / "out", client).trimmed == 0  # all of that was read


def test_what_was_deleted_with_a_person_is_not_taken_for_trimmed(tmp_path: Path, client: redis.Redis) -> None:
    ship(client, *map(spooled, range(1, 4)))
    export(tmp_path / "out", client)
    ship(client, *map(spooled, range(4, 8)))
    entries: Any = client.xrange(EVENTS_STREAM)
    deleted = [entries[0][0], entries[-1][0], entries[-3][0]]
    client.execute_command(*delete_command(EVENTS_STREAM, deleted))  # type: ignore[no-untyped-call]
    done = export(tmp_path / "out", client)
    assert (done.events, done.trimmed) == (2, 0)


def test_redis_that_lost_its_log_is_read_from_the_beginning(tmp_path: Path, client: redis.Redis) -> None:
    batches = [spooled(number) for number in (1, 2, 3)]
    ship(client, *batches[:2])
    export(tmp_path / "out", client)
    client.flushall()
    ship(client, *batches)
    done = export(tmp_path / "out", client)
    assert (done.events, done.already_there, done.trimmed, done.is_stream_new) == (1, 2, 0, True)
    assert ids(tmp_path / "out") == ids_of(*batches)


def test_redis_that_lost_its_end_may_give_the_same_ids_out_again(
    tmp_path: Path, client: redis.Redis, redis_server: RedisServer
) -> None:
    """A restart with less, by a clock that has stepped back: new entries lie before the cursor."""
    ship(client, spooled(1))
    client.xadd(EVENTS_STREAM, {b"r": msgspec.msgpack.encode(spooled(2).events[0])}, id="99999999999999-0")
    client.incr("stillroom:log:events:added")
    export(tmp_path / "out", client)
    generation: Any = client.get(GENERATION_KEY)
    redis_server.kill()
    redis_server.start()
    client.set(GENERATION_KEY, generation)
    ship(client, spooled(1), spooled(3))
    export(tmp_path / "out", client)
    assert ids(tmp_path / "out") == ids_of(spooled(1), spooled(2), spooled(3))


def test_services_are_told_what_is_safe_and_exported_entries_leave_redis(
    tmp_path: Path, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
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
    [visits, impressions, removals] = [ids(tmp_path / "out", [name]) for name in TABLES[1:]]
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


@pytest.mark.parametrize("told_by", ["stream", "spool"])
def test_erased_person_is_in_no_part_old_or_new(tmp_path: Path, client: redis.Redis, told_by: str) -> None:
    theirs, others = event(user_id="ünge"), event(user_id="other")
    ship(client, spooled(1, theirs, others), spooled(2, theirs))
    export(tmp_path / "out", client, tmp_path / "spool")
    record = ErasureRecord("e", "ünge", RECEIVED_MS + 1000)
    if told_by == "stream":
        client.execute_command(*add_erasure_command(record))  # type: ignore[no-untyped-call]
    else:
        (tmp_path / "spool").mkdir()
        ErasureFile(tmp_path / "spool").append([record])
    back = spooled(4, theirs, received_ms=RECEIVED_MS + 1000)
    ship(client, spooled(3, theirs, others), back)
    done = export(tmp_path / "out", client, tmp_path / "spool")
    assert (done.of_erased, done.erased_rows) == (1, 2)
    assert ids(tmp_path / "out") == sorted([f"{1:032x}-1", f"{3:032x}-1", *ids_of(back)])
    erased = pl.read_parquet(tmp_path / "out" / "erasures").to_dicts()
    assert erased == [{"event_id": "e", "user_id": "ünge", "received_ms": RECEIVED_MS + 1000}]
    again = export(tmp_path / "out", client, tmp_path / "spool")
    assert (again.parts, again.erased_rows) == (0, 0)


def test_exposures_of_who_is_erased_stay_out(tmp_path: Path, client: redis.Redis) -> None:
    record = ErasureRecord("e", "gone", RECEIVED_MS)
    client.execute_command(*add_erasure_command(record))  # type: ignore[no-untyped-call]
    for number, (user_id, sent_ms) in enumerate(
        [("gone", RECEIVED_MS), ("gone", RECEIVED_MS + 1), ("other", RECEIVED_MS)]
    ):
        scores = pack_scores([1.0])
        shown = ExposureRecord(
            f"r{number}", sent_ms, ["x"], scores, "v", "student", "student", 1000, user_id=user_id
        )
        client.xadd(EXPOSURES_STREAM, {b"r": msgspec.msgpack.encode(shown)})
    assert export(tmp_path / "out", client).exposures == 2
    [part] = (tmp_path / "out" / "exposures").iterdir()
    assert pl.read_parquet(part)["request_id"].to_list() == ["r1", "r2"]


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


NOW_MS = RECEIVED_MS + 1_000_000
DAY_MS = 86_400_000
AHEAD_MS = NOW_MS + 400 * DAY_MS


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The present of exports, Unix milliseconds, which may be changed."""
    moment = [NOW_MS]
    monkeypatch.setattr("service.log.erasures.wall_ms", lambda: moment[0])
    return moment


def tell(client: redis.Redis, *records: ErasureRecord) -> None:
    """As a service does."""
    for record in records:
        client.execute_command(*add_erasure_command(record))  # type: ignore[no-untyped-call]


def erasures(out: Path) -> list[tuple[str, int]]:
    """Who is to be forgotten, as training reads it."""
    found = pl.read_parquet(out / "erasures")
    return sorted(zip(found["user_id"].to_list(), found["received_ms"].to_list(), strict=True))


def test_erasure_of_a_wrong_clock_swallows_nothing_that_comes_later(
    tmp_path: Path, client: redis.Redis, now: list[int]
) -> None:
    tell(client, ErasureRecord("e", "user-1", AHEAD_MS))
    ship(client, spooled(1, received_ms=NOW_MS - 1), spooled(2, received_ms=NOW_MS + 60_000))
    done = export(tmp_path / "out", client)
    assert (done.events, done.of_erased) == (1, 1)
    assert erasures(tmp_path / "out") == [("user-1", NOW_MS)]
    now[0] += 10 * DAY_MS
    ship(client, spooled(3, received_ms=now[0]))
    assert export(tmp_path / "out", client).events == 1


def test_what_the_wrong_clock_received_before_is_not_resurrected(
    tmp_path: Path, client: redis.Redis, now: list[int]
) -> None:
    ship(client, spooled(1, received_ms=AHEAD_MS - 5000), spooled(2, received_ms=AHEAD_MS + 5000))
    export(tmp_path / "out", client)
    tell(client, ErasureRecord("e", "user-1", AHEAD_MS), ErasureRecord("e", "user-1", NOW_MS - 10, AHEAD_MS))
    assert export(tmp_path / "out", client).erased_rows == 1
    assert ids(tmp_path / "out") == ids_of(spooled(2))


def test_correction_that_comes_later_takes_the_place_of_what_it_corrects(
    tmp_path: Path, client: redis.Redis, now: list[int]
) -> None:
    within = NOW_MS + 200_000
    tell(client, ErasureRecord("e", "user-1", within), ErasureRecord("f", "user-2", NOW_MS))
    export(tmp_path / "out", client)
    assert erasures(tmp_path / "out") == [("user-1", within), ("user-2", NOW_MS)]
    tell(client, ErasureRecord("e", "user-1", NOW_MS - 7, within))
    export(tmp_path / "out", client)
    assert erasures(tmp_path / "out") == [("user-1", NOW_MS - 7), ("user-2", NOW_MS)]
    ship(client, spooled(1, received_ms=NOW_MS))
    assert export(tmp_path / "out", client).events == 1


def test_erasures_of_an_earlier_release_count_on(tmp_path: Path, client: redis.Redis) -> None:
    (tmp_path / "out").mkdir()
    database = sqlite3.connect(tmp_path / "out" / "state.sqlite")
    database.execute(
        "CREATE TABLE erasures (user_id TEXT PRIMARY KEY, received_ms INTEGER NOT NULL, is_applied INTEGER NOT NULL)"
    )
    database.execute("INSERT INTO erasures VALUES ('user-1', ?, 1)", (RECEIVED_MS + 1,))
    database.commit()
    database.close()
    ship(client, spooled(1), spooled(2, event(user_id="user-2")))
    done = export(tmp_path / "out", client)
    assert (done.events, done.of_erased) == (1, 1)
    assert export(tmp_path / "out", client).of_erased == 0


def visited(user_id: str | None = None, **more: Any) -> EventRecord:
    """A view of a visit, of nobody in particular unless somebody is named."""
    return event(**{"user_id": user_id, "session_id": "visit", **more})


def test_visits_of_a_person_go_with_the_person(tmp_path: Path, client: redis.Redis, now: list[int]) -> None:
    """They are found in what is exported, also where no service knows of them any more."""
    ship(client, spooled(1, visited(), visited(session_id="another")), spooled(2, visited("user-1")))
    export(tmp_path / "out", client)
    tell(client, ErasureRecord("e", "user-1", NOW_MS))
    assert export(tmp_path / "out", client).erased_rows == 2
    assert ids(tmp_path / "out") == [f"{1:032x}-1"]
    assert erasures(tmp_path / "out") == [("user-1", NOW_MS)]
    ship(client, spooled(3, visited()), spooled(4, visited(), received_ms=NOW_MS))
    assert (done := export(tmp_path / "out", client)).of_erased == 1
    assert (done.events, ids(tmp_path / "out")) == (1, [f"{1:032x}-1", *ids_of(spooled(4))])


def test_visit_that_is_to_be_forgotten_is_in_no_part(
    tmp_path: Path, client: redis.Redis, now: list[int]
) -> None:
    ship(client, spooled(1, visited(), visited("user-1"), visited(session_id="another")))
    export(tmp_path / "out", client)
    tell(client, ErasureRecord("e", session_key("visit"), NOW_MS))
    assert export(tmp_path / "out", client).erased_rows == 1
    assert ids(tmp_path / "out") == [f"{1:032x}-1", f"{1:032x}-2"]
