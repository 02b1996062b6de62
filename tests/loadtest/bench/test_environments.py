"""Peers' environments, without a package index."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from loadtest.bench import environments
from loadtest.bench.environments import PEERS, SAME_STUDENT, python_of, requirements_of, versions_in
from loadtest.bench.errors import EnvironmentFailed


@pytest.fixture
def needing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of requirements that stands in for every peer's."""
    file = tmp_path / "requirements.txt"
    monkeypatch.setattr(environments, "requirements_of", lambda peer: file)
    return file


@pytest.mark.parametrize("peer", PEERS)
def test_every_peer_has_pinned_requirements_and_a_server(peer: str) -> None:
    lines = [line for line in requirements_of(peer).read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+(\[\w+\])?==[\w.]+", line) for line in lines)
    assert not any(line.startswith("torch") for line in lines)
    assert requirements_of(peer).with_name("server.py").exists()


def test_peers_with_our_student_are_peers() -> None:
    assert set(SAME_STUDENT) < set(PEERS)


def test_an_environment_is_made_once_for_the_same_requirements(needing: Path, tmp_path: Path) -> None:
    needing.write_text("")
    python = python_of("nobody", tmp_path / "made")
    assert set(versions_in(python)) <= {"pip", "setuptools"}
    made_at = python.lstat().st_ctime_ns
    assert python_of("nobody", tmp_path / "made") == python
    assert python.lstat().st_ctime_ns == made_at


def test_an_environment_that_cannot_be_made_says_what_was_said(
    needing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needing.write_text("")
    failing = tmp_path / "python"
    failing.write_text("#!/bin/sh\necho 'no index can be reached' >&2\nexit 3\n")
    failing.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(failing))
    with pytest.raises(EnvironmentFailed, match=r"nobody.*ended with 3\):\nno index can be reached"):
        python_of("nobody", tmp_path / "made")
    assert not (tmp_path / "made" / "nobody" / "installed").exists()
