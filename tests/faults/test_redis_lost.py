"""Redis lost what it had, and two replicas answer: none is of the old world and says nothing of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
from redis import Redis

from loadtest.servers import PORTS, ROOT
from service.people.recovery import RECOVERING
from tests.faults.test_events import send
from tests.support.events import body, did
from tests.support.experiments import TWO_ARMS
from tests.support.redis import RedisServer
from tests.support.service import ServiceProcess, ids_of, running
from tests.support.waiting import wait_until

PEOPLE = [f"user-{number}" for number in range(40)]
CLUSTER_PORTS = range(PORTS.start, PORTS.stop - 10_000)
"""A node of a Cluster listens on the port 10,000 above it too, which no outgoing connection may have taken."""

QUIET_SECONDS = 2.0
"""After the last answer that said anything, so long is looked for one more that is wrong."""


def ask(service: ServiceProcess, user_id: str) -> dict[str, Any]:
    response = httpx.post(
        f"{service.url}/recommend", json={"limit": 5, "user_id": user_id, "known_items": "leave_out_touched"}
    )
    assert response.status_code == 200
    answer: dict[str, Any] = response.json()
    return answer


def item_of(user_id: str) -> str:
    """What this person bought, which the bundle does not know of and would recommend."""
    return f"item-{(int(user_id[5:]) % 4) + 12}"


def is_fresh(answer: dict[str, Any], user_id: str) -> bool:
    """Whether the answer knows of the purchase."""
    return item_of(user_id) not in ids_of(answer)


def is_fresh_and_says_nothing(service: ServiceProcess, user_id: str) -> bool:
    answer = ask(service, user_id)
    return is_fresh(answer, user_id) and answer["degraded"] is None


def lose(server: RedisServer, how: str) -> None:
    if how == "flushed":
        with Redis.from_url(server.url) as client:
            client.flushall()
    else:
        server.kill()
        server.start()


@pytest.mark.parametrize("how", ["flushed", "restarted empty"])
def test_answers_say_so_until_everything_is_merged_again(
    store: Path, redis_server: RedisServer, how: str
) -> None:
    settings = {
        "REDIS_URL": redis_server.url,
        "REDIS_READ_TIMEOUT_MS": "5000",
        "REDIS_CONNECT_TIMEOUT_MS": "5000",
        "CIRCUIT_OPEN_SECONDS": "0.01",
        "CACHE_BYTES": "0",  # nobody is held in memory, so that every answer shows what Redis has
    }
    with ServiceProcess(store, **settings) as one, ServiceProcess(store, **settings) as other:
        services = (one, other)
        for number, user_id in enumerate(PEOPLE):
            send(services[number % 2], body(user_id, did("purchase", item_of(user_id), user_id)))
        for service in services:
            for user_id in PEOPLE:
                wait_until(partial(is_fresh_and_says_nothing, service, user_id), "the purchases")
        lose(redis_server, how)
        n_said = n_requests = 0
        ends_at = monotonic() + QUIET_SECONDS
        while monotonic() < ends_at:
            for service in services:
                user_id = PEOPLE[n_requests % len(PEOPLE)]
                n_requests += 1
                answer = ask(service, user_id)
                assert is_fresh(answer, user_id) or answer["degraded"] is not None, answer
                if answer["degraded"] is not None:
                    n_said += answer["degraded"] == RECOVERING
                    ends_at = monotonic() + QUIET_SECONDS
        assert n_said
        for service in services:
            for user_id in PEOPLE:
                assert is_fresh_and_says_nothing(service, user_id)


class SentinelServer(RedisServer):
    """As `redis-server --sentinel` is; it needs a file that it may write to."""

    def start(self) -> None:
        file = self._folder / "sentinel.conf"
        file.write_text(f"port {self.port}\nbind 127.0.0.1\n")
        self._run([str(file), "--sentinel"])


@contextmanager
def special(folder: Path, mode: str) -> Iterator[RedisServer]:
    """A server that is more than one."""
    server: RedisServer = SentinelServer(folder)
    if mode == "cluster":
        server = RedisServer(folder, "--cluster-enabled", "yes")
        while server.port not in CLUSTER_PORTS:
            server = RedisServer(folder, "--cluster-enabled", "yes")
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.mark.parametrize("mode", ["cluster", "sentinel"])
async def test_cluster_or_sentinel_that_only_comes_up_later_counts_as_redis_away(
    store: Path, tmp_path: Path, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    with special(tmp_path, mode) as server:
        async with running(store, redis_url=server.url, circuit_open_seconds=0.01) as service:
            for _ in range(5):
                answer = await service.recommend(user_id="user-1")
                assert answer["degraded"] == "redis_unavailable"
    assert caplog.text.count(f"Redis is not used: at the address of Redis is a {mode.capitalize()}") == 1


PROGRAMS = {
    "service": (),
    "service.people.warm": (),
    "service.log.export": ("--out", "export"),
    "service.monitor": (),
    "service.experiments": ("vases",),
}


@pytest.mark.parametrize("mode", ["cluster", "sentinel"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_cluster_and_sentinel_are_refused_at_the_start(
    store: Path, tmp_path: Path, mode: str, program: str
) -> None:
    declared = tmp_path / "experiments.toml"
    declared.write_text(TWO_ARMS.replace('variant = "ensemble"\n', ""))
    with special(tmp_path, mode) as server:
        service = ServiceProcess(store, REDIS_URL=server.url, EXPERIMENTS=str(declared))
        ended = subprocess.run(
            [sys.executable, "-m", program, *PROGRAMS[program]],
            env={**service.environment, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
        )
    assert ended.returncode == 2
    assert f"is a {mode.capitalize()}, which is not served yet" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
