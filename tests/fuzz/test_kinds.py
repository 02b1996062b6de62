"""Each kind finds what is wrong and nothing else, and the whole runs from its command."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.fuzz import replies
from tests.fuzz.__main__ import KINDS
from tests.fuzz.cases import Case, Findings
from tests.fuzz.document import DocumentFuzz
from tests.fuzz.replies import RepliesFuzz, outcome_of
from tests.fuzz.services import FuzzedService

THREE_PEOPLE = b"*4\r\n$3\r\none\r\n$-1\r\n$5\r\nthree\r\n$-1\r\n"


class ReadsNumbers:
    """Gives numbers for people."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def read(self, person: str) -> asyncio.Future[int]:
        return _done(7)

    def write(self, write: object) -> asyncio.Future[bool]:
        return _done(True)

    async def close(self) -> None:
        pass


def _done(value: Any) -> asyncio.Future[Any]:
    future = asyncio.get_running_loop().create_future()
    future.set_result(value)
    return future


@pytest.mark.parametrize(
    "pieces",
    [(THREE_PEOPLE,), (THREE_PEOPLE[:9], THREE_PEOPLE[9:]), (b"*4\r\n$3\r\non",), (b"hello\r\n",)],
)
async def test_right_replies_late_ones_and_noise_are_all_foreseen(
    pieces: tuple[bytes, ...], tmp_path: Path
) -> None:
    assert await RepliesFuzz(Findings(tmp_path)).judged(Case("replies", pieces)) is None


async def test_right_reply_is_read_and_not_refused_as_a_whole(tmp_path: Path) -> None:
    assert await outcome_of(Case("replies", (THREE_PEOPLE,))) == "blobs"
    report = await RepliesFuzz(Findings(tmp_path)).run(300, 1, lambda line: None)
    assert report.outcomes["blobs"] > 30


async def test_connection_code_that_gives_what_it_must_not_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "RedisPeople", ReadsNumbers)
    findings = Findings(tmp_path)
    report = await RepliesFuzz(findings).run(40, 1, lambda line: None)
    assert report.cases == sum(report.outcomes.values()) == 40
    assert [finding.words for finding in findings.all()] == ["a read ends with int"]
    assert findings.all()[0].n_times >= 40
    assert len(findings.all()[0].smallest.data) == 1


class SaysFive(BaseHTTPRequestHandler):
    """500 to everything."""

    def do_POST(self) -> None:
        """With the body read."""
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_error(500)

    def log_message(self, *words: object) -> None:
        """Nothing."""


class ServesFive(FuzzedService):
    """In this process."""

    def own_bytes(self) -> int:
        return 0


def test_service_that_answers_the_document_with_500_is_found_out(tmp_path: Path) -> None:
    findings = Findings(tmp_path / "found")
    with ThreadingHTTPServer(("127.0.0.1", 0), SaysFive) as server:
        Thread(target=server.serve_forever).start()
        try:
            fuzz = DocumentFuzz(ServesFive(server.server_port, tmp_path / "log", {}), "key", findings)
            report = fuzz.run(40, 1, lambda line: None, labels=("POST /similar",))
        finally:
            server.shutdown()
    assert report.outcomes == {"500": report.cases}
    assert all(finding.words.startswith("POST /similar: ") for finding in findings.all())
    assert any("ServerError" in finding.words for finding in findings.all())
    named = json.loads(findings.all()[0].smallest.data)
    assert named["label"] == "POST /similar"


def test_shares_of_the_kinds_are_a_whole() -> None:
    assert sum(share for share, _ in KINDS.values()) == pytest.approx(1)


def test_command_counts_its_cases_and_its_exit_code_says_whether_anything_was_found(tmp_path: Path) -> None:
    out = tmp_path / "fuzz.json"
    some = ["--only", "behind,raw", "--cases", "100", "--seed", "1"]
    command = [sys.executable, "-m", "tests.fuzz", *some, "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert out.exists(), f"{done.stdout}\n{done.stderr}"
    report = json.loads(out.read_text())
    assert {kind["kind"]: kind["cases"] for kind in report["kinds"]} == {"behind": 100, "raw": 100}
    assert report["cases"] == 200
    assert all(kind["outcomes"] for kind in report["kinds"])
    assert done.returncode == (0 if report["met"] else 1), f"{done.stdout}\n{done.stderr}"


def test_case_that_was_written_down_is_tried_again(tmp_path: Path) -> None:
    findings = Findings(tmp_path)
    findings.add(Case("replies", (THREE_PEOPLE,)), "it broke once")
    [file] = tmp_path.iterdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--replay", str(file)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "nothing found" in done.stdout
