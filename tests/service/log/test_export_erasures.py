"""Who is to be forgotten is in no part, old or new, whatever a clock said."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
import redis

from service.events.stream import add_erasure_command
from service.log.erasures import ErasureFile
from service.log.records import (
    EXPOSURES_STREAM,
    ErasureRecord,
    EventRecord,
    ExposureRecord,
    pack_scores,
    session_key,
)
from tests.support.events import RECEIVED_MS, event, spooled
from tests.support.exports import event_ids, export, exported_ids, ship


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
    assert exported_ids(tmp_path / "out") == sorted([f"{1:032x}-1", f"{3:032x}-1", *event_ids(back)])
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
    assert exported_ids(tmp_path / "out") == event_ids(spooled(2))


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
    assert exported_ids(tmp_path / "out") == [f"{1:032x}-1"]
    assert erasures(tmp_path / "out") == [("user-1", NOW_MS)]
    ship(client, spooled(3, visited()), spooled(4, visited(), received_ms=NOW_MS))
    assert (done := export(tmp_path / "out", client)).of_erased == 1
    assert (done.events, exported_ids(tmp_path / "out")) == (1, [f"{1:032x}-1", *event_ids(spooled(4))])


def test_visit_that_is_to_be_forgotten_is_in_no_part(
    tmp_path: Path, client: redis.Redis, now: list[int]
) -> None:
    ship(client, spooled(1, visited(), visited("user-1"), visited(session_id="another")))
    export(tmp_path / "out", client)
    tell(client, ErasureRecord("e", session_key("visit"), NOW_MS))
    assert export(tmp_path / "out", client).erased_rows == 1
    assert exported_ids(tmp_path / "out") == [f"{1:032x}-1", f"{1:032x}-2"]
