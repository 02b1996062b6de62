"""`python -m service.log.export`: what it says, its exit codes, and that it goes on until it is told to end."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import msgspec
import redis

from service.log.export.run import Exported
from service.log.frames import frame
from tests.support.events import encoded, event, spooled
from tests.support.exports import event_ids, exported_ids, ship
from tests.support.redis import RedisServer
from tests.support.spools import opened_spool
from tests.support.waiting import wait_until


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command."""
    return subprocess.run(
        [sys.executable, "-m", "service.log.export", *arguments], capture_output=True, text=True, timeout=60
    )


def test_damage_inside_a_segment_is_counted_and_what_lies_behind_is_exported(tmp_path: Path) -> None:
    spool = opened_spool(tmp_path / "spool")
    spool.append(encoded(spooled(1), spooled(2), spooled(3)))
    [path] = tmp_path.glob("spool/worker-*/*.open")
    data = bytearray(path.read_bytes())
    data[len(frame(encoded(spooled(1))[0])) + 20] ^= 1
    path.write_bytes(data)
    done = run("--out", str(tmp_path / "out"), "--spool", str(tmp_path / "spool"), "--redis-url", "")
    assert done.returncode == 1
    assert f"{len(frame(encoded(spooled(2))[0]))} bytes of the spool are damaged" in done.stderr
    assert exported_ids(tmp_path / "out") == event_ids(spooled(1), spooled(3))


def test_command_says_what_it_did_and_when_redis_is_away(tmp_path: Path, redis_server: RedisServer) -> None:
    opened_spool(tmp_path / "spool").append(encoded(spooled(1), spooled(2, event(), event())))
    places = ["--out", str(tmp_path / "out"), "--spool", str(tmp_path / "spool")]
    redis_server.kill()
    away = run(*places, "--redis-url", redis_server.url)
    assert away.returncode == 1
    assert "only this machine's spool was read" in away.stderr
    assert "3 events" in away.stdout
    done = run(*places, "--redis-url", "")
    assert (done.returncode, done.stderr) == (0, "")
    found = msgspec.json.decode((tmp_path / "out" / "export.json").read_bytes(), type=Exported)
    assert found == Exported()
    refused = run("--out", "/dev/null/x", "--redis-url", "")
    assert (refused.returncode, "cannot be written" in refused.stderr) == (2, True)


def test_command_says_in_a_line_what_is_wrong_with_an_option_or_its_folder(tmp_path: Path) -> None:
    for option, value in (("--keep-hours", "inf"), ("--remember-days", "-5"), ("--every", "0")):
        refused = run("--out", str(tmp_path / "out"), option, value, "--redis-url", "")
        assert (refused.returncode, f"{value} is not between" in refused.stderr) == (2, True)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "state.sqlite").write_bytes(b"no database at all" * 100)
    refused = run("--out", str(tmp_path / "out"), "--redis-url", "")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "state.sqlite: file is not a database; free space there or" in refused.stderr


def test_command_exports_again_and_again_until_it_is_told_to_end(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    client = redis.Redis.from_url(redis_server.url)
    out, word = tmp_path / "out", ["--redis-url", redis_server.url, "--spool", str(tmp_path / "spool")]
    command = [sys.executable, "-m", "service.log.export", "--out", str(out), "--every", "1", *word]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for number in range(2):
            ship(client, spooled(number))
            expected = event_ids(*map(spooled, range(number + 1)))
            wait_until(partial(_has, out, expected), f"export {number}")
        process.terminate()
        assert (process.wait(10), process.stderr.read() if process.stderr else "") == (0, "")


def _has(out: Path, expected: list[str]) -> bool:
    return exported_ids(out) == expected


def test_address_of_redis_that_cannot_be_used_is_never_shown(tmp_path: Path) -> None:
    done = run("--out", str(tmp_path / "out"), "--redis-url", "redis://:s3cr/et@host:1")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "s3cr" not in done.stderr
