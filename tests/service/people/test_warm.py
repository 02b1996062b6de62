"""Warming a real Redis from a bundle: who is there stays, who is not is written as the service would."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import redis

from loadtest.servers import free_port
from models.bundles.bundle import read_bundle
from models.history import Event, History
from models.packed_histories import ColdHistories, Histories
from service.bundles.serving import ServingBundle, as_stored
from service.contract.errors import RedisUnavailable
from service.limits.deadline import RequestClock
from service.people.blobs import decode_person
from service.people.lookup import People
from service.people.memory import PeopleInMemory
from service.people.redis import KEY_PREFIX, RedisPeople
from service.people.warm import Reporter, Warmed, people_to_warm, warm
from service.redis.circuit import Circuit
from service.telemetry.metrics import Metrics
from tests.support.bundles import N_PEOPLE, tiny_bundle
from tests.support.redis import RedisServer

ROWS = np.arange(N_PEOPLE)


@pytest.fixture
def serving(tmp_path: Path) -> ServingBundle:
    return ServingBundle(read_bundle(tiny_bundle(tmp_path / "store")))


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_server.url) as connected:
        yield connected


def warm_all(serving: ServingBundle, client: redis.Redis, rows: np.ndarray = ROWS) -> Warmed:
    return list(warm(serving, client, rows, ttl_seconds=100))[-1]


async def test_warmed_person_is_found_as_the_service_would_have_made_them(
    serving: ServingBundle, client: redis.Redis, redis_server: RedisServer
) -> None:
    warm_all(serving, client)
    circuit = Circuit(5, 1.0)
    redis_people = RedisPeople(redis_server.url, circuit, connect_seconds=5, read_seconds=5, ttl_seconds=100)
    people = People(PeopleInMemory(2**20), redis_people, Metrics(), max_age_seconds=1000.0)
    found = await people.find("user-5", serving, RequestClock(10.0))
    await redis_people.close()
    history = serving.people.find("user-5")
    assert history is not None
    assert found.layer == "redis"
    assert found.person.history.times.tolist() == history.times.tolist()
    assert found.person.touched.tolist() == history.item_indices.tolist()
    assert found.person.vector is not None
    np.testing.assert_array_equal(found.person.vector, as_stored(serving.student.user_vectors([history]))[0])


def test_everybody_is_written_with_an_expiry_and_counted(serving: ServingBundle, client: redis.Redis) -> None:
    warmed = warm_all(serving, client)
    blobs = [client.get(f"{KEY_PREFIX}user-{person}") for person in range(N_PEOPLE)]
    assert warmed == Warmed(
        N_PEOPLE, N_PEOPLE, N_PEOPLE, sum(len(blob) for blob in blobs if isinstance(blob, bytes))
    )
    assert 0 < int(client.ttl(f"{KEY_PREFIX}user-0")) <= 100


def test_person_who_is_there_is_left_alone(serving: ServingBundle, client: redis.Redis) -> None:
    client.set(f"{KEY_PREFIX}user-3", b"newer")
    assert warm_all(serving, client).n_written == N_PEOPLE - 1
    assert client.get(f"{KEY_PREFIX}user-3") == b"newer"
    assert warm_all(serving, client).n_written == 0


def test_person_who_came_while_vectors_were_made_is_left_alone(
    serving: ServingBundle, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors_of = serving.student.vectors_of

    def slowly(people: list[object]) -> object:
        client.set(f"{KEY_PREFIX}user-3", b"newer")
        return vectors_of(people)  # type: ignore[arg-type]

    monkeypatch.setattr(serving.student, "vectors_of", slowly)
    assert warm_all(serving, client).n_written == N_PEOPLE - 1
    assert client.get(f"{KEY_PREFIX}user-3") == b"newer"


def test_each_person_gets_their_own_vector_however_they_are_batched(
    serving: ServingBundle, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.people.warm.TOWER_BATCH", 2)
    monkeypatch.setattr("service.people.warm.CHUNK", 5)
    histories = [
        History.from_events(Event(person + step, step) for step in range(1 + 5 * person % 7))
        for person in range(N_PEOPLE)
    ]
    serving.people = ColdHistories(serving.people.people, Histories.from_list(histories))
    warm_all(serving, client)
    for person in range(N_PEOPLE):
        blob = client.get(f"{KEY_PREFIX}user-{person}")
        assert isinstance(blob, bytes)
        history = serving.people.histories[person]
        expected = serving.student.user_vectors([history])[0].astype(np.float16)
        np.testing.assert_array_equal(decode_person(blob, f"user-{person}").vector, expected)


def test_only_people_with_events_are_warmed_and_the_latest_ones_first() -> None:
    times = [[5], [], [9], [1, 7], [2]]
    histories = Histories.from_list([History.from_events(Event(0, time) for time in each) for each in times])
    assert people_to_warm(histories, None).tolist() == [0, 2, 3, 4]
    assert people_to_warm(histories, 2).tolist() == [2, 3]
    assert people_to_warm(histories, 9).tolist() == [0, 2, 3, 4]


def test_nobody_to_warm_is_done_at_once(serving: ServingBundle, client: redis.Redis) -> None:
    assert warm_all(serving, client, ROWS[:0]) == Warmed(0, 0, 0, 0)


def test_redis_that_is_full_is_named_with_its_limit(serving: ServingBundle, client: redis.Redis) -> None:
    client.config_set("maxmemory", 1000)
    with pytest.raises(RedisUnavailable, match="maxmemory is 1,000"):
        warm_all(serving, client)


def test_redis_that_fills_up_on_the_way_is_named_with_its_limit(
    serving: ServingBundle, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.people.warm.FULL_SHARE", 1e9)
    client.config_set("maxmemory", 1000)
    with pytest.raises(RedisUnavailable, match="raise maxmemory"):
        warm_all(serving, client)


def test_redis_that_goes_away_stops_it(
    serving: ServingBundle, client: redis.Redis, redis_server: RedisServer
) -> None:
    redis_server.kill()
    with pytest.raises(RedisUnavailable, match="ConnectionError"):
        warm_all(serving, client)


def test_progress_is_said_once_a_second_and_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    moments = iter([0.0, 1.0, 1.5, 2.5, 2.6])
    report = Reporter(lambda: next(moments))
    for n_seen in (100, 150, 250, 1000):
        report(Warmed(n_seen, 1000, n_seen - 10, n_seen * 2**20))
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" people")[0] for line in lines] == [
        "100 of 1,000",
        "250 of 1,000",
        "1,000 of 1,000",
    ]
    assert lines[1] == ("250 of 1,000 people, 100 a second; 240 written, 250.0 MiB, 10 were there; 8 s left")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "no Redis is named"),
        (["--redis-url", "http://nowhere"], 2, "begins with none of redis://"),
        (
            ["--redis-url", "redis://127.0.0.1:{closed}/0"],
            1,
            "refused. What was written stays in Redis; run it again to go on",
        ),
        (["--limit", "0"], 2, "at least 1 is needed"),
    ],
)
def test_command_says_what_is_wrong_without_a_stack_trace(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    tiny_bundle(tmp_path)
    asked = [each.format(closed=free_port()) for each in arguments]
    ended = subprocess.run(
        [sys.executable, "-m", "service.people.warm", *asked],
        env={"STILLROOM_STORE": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, "Traceback" in ended.stderr) == (code, False)
    assert message in ended.stderr


def test_command_warms_and_says_so(tmp_path: Path, redis_server: RedisServer, client: redis.Redis) -> None:
    tiny_bundle(tmp_path)
    ended = subprocess.run(
        [sys.executable, "-m", "service.people.warm", "--limit", "3"],
        env={"STILLROOM_STORE": str(tmp_path), "STILLROOM_REDIS_URL": redis_server.url},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    assert "3 of 3 people" in ended.stderr
    assert client.dbsize() == 3
