"""The run around the generator: servers, timetable, and one real run from end to end.

Locust patches the standard library when it is imported, so it only ever runs in a process of its own.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.errors import IdsMissing, PortTaken, ServerFailed
from loadtest.redis_server import Redis
from loadtest.run import LOCUSTFILE, Target, Timetable, locust_command, run_against, run_with_own_servers
from loadtest.servers import HOST, Server, free_port
from loadtest.service_processes import Service
from loadtest.verdict import Settings


class FakeServer(Server):
    """Notes what is done to it."""

    def __init__(self) -> None:
        super().__init__(0, Path(os.devnull))
        self.done: list[str] = []

    def command(self) -> list[str]:
        return ["true"]

    def answers(self) -> bool:
        return True

    def kill(self) -> None:
        self.done.append("killed")

    def start(self) -> None:
        self.done.append("started")


def test_redis_is_killed_and_started_once_each_when_due() -> None:
    redis = FakeServer()
    timetable = Timetable(redis, Settings(kill_redis_at=20, restart_redis_at=40))
    for second, done in [(19.9, []), (20.0, ["killed"]), (39.9, ["killed"]), (40.1, ["killed", "started"])]:
        timetable.keep(second)
        timetable.keep(second)
        assert redis.done == done
    assert [happening.at_seconds for happening in timetable.happenings] == [20.0, 40.1]


def test_nothing_is_done_to_redis_by_default() -> None:
    redis = FakeServer()
    Timetable(redis, Settings()).keep(1000)
    assert redis.done == []


def test_users_share_the_rate() -> None:
    settings = Settings(rate=300, users=150, seconds=10, warmup_seconds=5)
    command = locust_command(Target("http://shop", "people", "items"), settings, Path("rows.csv"))
    assert command[command.index("--users") + 1] == "150"
    assert command[command.index("--requests-per-user") + 1] == "2.0"


def test_locust_runs_whole_seconds_and_covers_the_window() -> None:
    settings = Settings(seconds=2, warmup_seconds=0.5)
    command = locust_command(Target("http://shop", "people", "items"), settings, Path("rows.csv"))
    assert command[command.index("--run-time") + 1] == "4s"


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(PortTaken, match=f"port {port} for the service is taken"),
            Service(port, tmp_path / "log", {}),
        ):
            pass


def test_a_service_without_a_bundle_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLROOM_STORE", str(tmp_path / "nowhere"))
    with pytest.raises(ServerFailed, match="nothing is promoted"), Service(free_port(), tmp_path / "log", {}):
        pass


def test_an_address_where_nothing_answers_is_named() -> None:
    with pytest.raises(ServerFailed, match="nothing answers at"):
        run_against(f"http://{HOST}:{free_port()}", "user-{}:5", "item-{}:5", Settings())


def test_missing_ids_are_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(IdsMissing):
        run_with_own_servers(str(tmp_path / "none"), "item-{}:5", Settings(), tmp_path, None)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_redis_comes_back_empty_on_its_port(tmp_path: Path) -> None:
    with Redis(free_port(), tmp_path / "log") as redis:
        assert redis.answers()
        redis.kill()
        with pytest.raises(ConnectionRefusedError):
            redis.answers()
        redis.start()
        assert redis.answers()
    with pytest.raises(ConnectionRefusedError):
        redis.answers()


def test_locust_finds_the_visitors() -> None:
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--list"]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "Visitor" in listed.stdout + listed.stderr


def test_a_short_run_kills_redis_and_fails_no_request(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "reports" / "load.json"
    options = "--people user-{}:12 --items item-{}:40 --rate 20 --seconds 2 --warmup 0.5 --kill-redis-at 0.5"
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", *options.split(), "--sla-ms", "60000", "--out", str(out)],
        env={**os.environ, "STILLROOM_STORE": str(store)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert out.exists(), done.stderr
    report = json.loads(out.read_text())
    assert report["failures"] == 0
    assert report["requests"] > 0
    assert [happening["what"] for happening in report["happenings"]] == ["Redis killed"]
    assert done.returncode == (0 if report["met"] else 1)


def test_locust_without_ids_ends_with_what_to_do(tmp_path: Path) -> None:
    nowhere = tmp_path / "people.txt"
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(LOCUSTFILE),
        "--host",
        f"http://{HOST}:1",
        "--headless",
    ]
    ended = subprocess.run(
        [*command, "-u", "1", "-t", "5s", "--people", str(nowhere)], capture_output=True, text=True
    )
    assert ended.returncode != 0
    assert f"error: no ids in {nowhere}" in ended.stderr
