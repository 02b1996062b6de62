"""Servers that a test starts for itself, as context managers, so that they always end with the test."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import IO, Self

from loadtest.errors import PortTaken, ServerFailed
from loadtest.processes import MARK_VARIABLE, end_family, family

POLL_SECONDS = 0.1
STOP_SECONDS = 15.0
HOST = "127.0.0.1"
PORTS = range(15_000, 32_000)
ROOT = Path(__file__).parents[1]


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
        """Return the command line. Raises ServerMissing if the program is not installed."""

    def environment(self) -> Mapping[str, str]:
        """Return the environment variables beside this process's own."""
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
        """Ask the process to end, and kill it if it does not."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _is_ready(self) -> bool:
        try:
            return self.answers()
        except (OSError, HTTPException):
            return False

    def _log_end(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])


class Marked(Server):
    """A server whose processes carry a mark, so that none is left behind even if it detached itself."""

    def __init__(self, port: int, log: Path) -> None:
        super().__init__(port, log)
        self.mark = secrets.token_hex(8)

    def environment(self) -> Mapping[str, str]:
        """Return the mark, and the path of our own code."""
        return {**super().environment(), MARK_VARIABLE: self.mark, "PYTHONPATH": str(ROOT)}

    def processes(self) -> list[int]:
        """Return the ids of all processes, oldest first."""
        return family(self.mark)

    def kill(self) -> None:
        """Kill all processes without warning."""
        super().kill()
        end_family(self.mark)

    def stop(self) -> None:
        """Stop the server, and also processes that were left behind."""
        super().stop()
        end_family(self.mark)


def free_port() -> int:
    """Return a port that nothing listens on.

    It lies below the ports of outgoing connections, one of which could otherwise take it before its server does.
    Raises ServerFailed if a hundred tries find none.
    """
    for _ in range(100):
        port = secrets.choice(PORTS)
        with suppress(OSError), socket.socket() as probe:
            probe.bind((HOST, port))
            return port
    raise ServerFailed(f"no port from {PORTS.start} to {PORTS.stop - 1} is free")


def check_free(port: int, name: str) -> None:
    """Raise PortTaken if something listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise PortTaken(
                f"port {port} for {name} is taken: stop what listens there or name another"
            ) from error
