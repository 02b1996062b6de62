"""Start Prometheus and Alertmanager, as Debian packages them, and the monitor."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path

from loadtest.errors import ServerFailed, ServerMissing
from loadtest.servers import HOST, Server


class Prometheus(Server):
    """Prometheus. configuration: its prometheus.yml. data: the folder for its measurements."""

    name = "Prometheus"

    def __init__(self, port: int, log: Path, configuration: Path, data: Path) -> None:
        super().__init__(port, log)
        self._configuration, self._data = configuration, data

    def command(self) -> list[str]:
        """Return the command of the machine's own Prometheus."""
        return [
            installed("prometheus"),
            f"--config.file={self._configuration}",
            f"--storage.tsdb.path={self._data}",
            f"--web.listen-address={HOST}:{self.port}",
        ]

    def answers(self) -> bool:
        """Ask /-/ready."""
        return _says_ready(self.port)


class Alertmanager(Server):
    """Alertmanager. configuration: its alertmanager.yml. data: the folder for what it has sent."""

    name = "Alertmanager"

    def __init__(self, port: int, log: Path, configuration: Path, data: Path) -> None:
        super().__init__(port, log)
        self._configuration, self._data = configuration, data

    def command(self) -> list[str]:
        """Return the command of the machine's own Alertmanager, by Debian's name or its makers'."""
        return [
            installed("prometheus-alertmanager", "alertmanager"),
            f"--config.file={self._configuration}",
            f"--storage.path={self._data}",
            f"--web.listen-address={HOST}:{self.port}",
            "--cluster.listen-address=",
        ]

    def answers(self) -> bool:
        """Ask /-/ready."""
        return _says_ready(self.port)


class Monitor(Server):
    """The monitor beside the service. settings: STILLROOM_* variables, those of the service."""

    name = "the monitor"
    ready_seconds = 60.0

    def __init__(self, port: int, log: Path, redis_url: str, settings: Mapping[str, str]) -> None:
        super().__init__(port, log)
        self._redis_url = redis_url
        self._settings = settings

    def command(self) -> list[str]:
        """Return the command of its one process."""
        return [sys.executable, "-m", "service.monitor"]

    def environment(self) -> Mapping[str, str]:
        """Return the address to listen on, the address of Redis, and the settings."""
        return {
            "STILLROOM_HOST": HOST,
            "STILLROOM_MONITOR_PORT": str(self.port),
            "STILLROOM_REDIS_URL": self._redis_url,
            **self._settings,
        }

    def answers(self) -> bool:
        """Ask /health/ready."""
        return _says_ready(self.port, "/health/ready")


def installed(*names: str) -> str:
    """Return the first of these programs that is installed. Raises ServerMissing."""
    for name in names:
        found = shutil.which(name)
        if found is not None:
            return found
    raise ServerMissing(
        f"no {names[0]} on PATH: apt-get install prometheus prometheus-alertmanager, or leave this drill out"
    )


def run_python(*words: str) -> None:
    """Run a command of this interpreter to its end. Raises ServerFailed with its error output."""
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    if done.returncode:
        raise ServerFailed(f"`python {' '.join(words)}` ended with {done.returncode}:\n{done.stderr.strip()}")


def _says_ready(port: int, path: str = "/-/ready") -> bool:
    connection = HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    finally:
        connection.close()
