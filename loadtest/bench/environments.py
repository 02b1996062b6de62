"""Make a virtual environment for each peer once and keep it; it has pinned packages of its own, and none of ours."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from loadtest.bench.errors import EnvironmentFailed
from loadtest.servers import ROOT

PEERS = ("fastapi_implicit_redis", "litserve", "bentoml", "ray_serve", "precomputed")
"""The peers, in the order of measurement; each is a folder of loadtest/peers with requirements.txt and server.py."""

SAME_STUDENT = ("litserve", "bentoml", "ray_serve")
"""Peers that run our student, so that their answers must equal ours."""

ENVIRONMENTS = Path(".venv-peers")
INSTALL_SECONDS = 900


def requirements_of(peer: str) -> Path:
    """Return the file of the peer's pinned packages."""
    return ROOT / "loadtest" / "peers" / peer / "requirements.txt"


def python_of(peer: str, folder: Path = ENVIRONMENTS) -> Path:
    """Return the interpreter of a peer's environment; make it unless it is there with these same requirements.

    Raises EnvironmentFailed with pip's last lines, for example if no package index can be reached.
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
    """Return the installed packages, name to version."""
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
