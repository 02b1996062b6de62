"""A killed export, a stream that was trimmed and a Redis that lost its log: nothing is lost or doubled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from service.events.stream import delete_command
from service.log.export.part_files import PartFiles
from service.log.export.state import State
from service.log.records import (
    EVENTS_STREAM,
    GENERATION_KEY,
)
from tests.support.events import event, spooled
from tests.support.exports import event_ids, export, exported_ids, ship
from tests.support.redis import RedisServer


class Killed(BaseException):
    """What a kill is to the code: nothing after it runs."""


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
    assert exported_ids(tmp_path / "out") == event_ids(*batches)
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
    assert exported_ids(tmp_path / "out") == event_ids(*batches)


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
    assert exported_ids(tmp_path / "out") == event_ids(spooled(1), spooled(2), spooled(3))
