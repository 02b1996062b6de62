"""A virtual environment for each peer, made once and kept: pinned packages of its own, none of ours."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from loadtest.bench.errors import EnvironmentFailed
from loadtest.servers import ROOT

PEERS = ("fastapi_implicit_redis", "litserve", "bentoml", "ray_serve", "precomputed")
"""In the order in which they are measured; each is a folder of loadtest/peers with requirements.txt and server.py."""

SAME_STUDENT = ("litserve", "bentoml", "ray_serve")
"""Peers that run our student, so that their answers must be ours."""

ENVIRONMENTS = Path(".venv-peers")
INSTALL_SECONDS = 900


def requirements_of(peer: str) -> Path:
    """The peer's pinned packages."""
    return ROOT / "loadtest" / "peers" / peer / "requirements.txt"


def python_of(peer: str, folder: Path = ENVIRONMENTS) -> Path:
    """The interpreter of a peer's environment, which is made unless it is there with these very requirements.

    Raises EnvironmentFailed with pip's last lines, for example where no package index can be reached.
    """
    requirements, environment = requirements_of(peer), (folder / peer).absolute()
    python, stamp = environment / "bin" / "python", environment / "installed"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    _run(peer, [sys.executable, "-m", "venv", "--clear", str(environment)])
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run(peer, [*pip, "-r", str(requirements)])
    stamp.write_text(wanted)
    return python


def versions_in(python: Path) -> dict[str, str]:
    """What is installed there, name to version."""
    listed = subprocess.run(
        [str(python), "-m", "pip", "--disable-pip-version-check", "freeze"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    return dict(line.split("==", 1) for line in listed.splitlines() if "==" in line)


def _run(peer: str, command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise EnvironmentFailed(f"{peer}: pip did not end within {INSTALL_SECONDS} s") from error
    if done.returncode != 0:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-4:])
        raise EnvironmentFailed(
            f"the environment of {peer} could not be made; it needs a package index once "
            f"(`{Path(command[0]).name} {command[2]}` ended with {done.returncode}):\n{last}"
        )
