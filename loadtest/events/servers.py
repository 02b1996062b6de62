"""What the drill kills: a Redis that writes to disk, and a service with two workers that can be killed one by one."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from random import Random
from time import monotonic, sleep
from urllib.request import urlopen

from loadtest.bench.processes import MARK_VARIABLE, end_family, family
from loadtest.errors import ServerFailed
from loadtest.servers import HOST, Redis, Server, free_port, is_ready

N_WORKERS = 2
DRAIN_SECONDS = 120.0
ROOT = Path(__file__).parents[2]


class DurableRedis(Redis):
    """As docker-compose.yml runs it: every write is appended to a file, and people leave before the log does."""

    def __init__(self, folder: Path, log: Path) -> None:
        super().__init__(free_port(), log)
        self._folder = folder
        folder.mkdir()

    def command(self) -> list[str]:
        """With a folder of its own."""
        program = super().command()[0]
        durable = ["--save", "", "--appendonly", "yes", "--dir", str(self._folder)]
        bounded = ["--maxmemory", "256mb", "--maxmemory-policy", "volatile-lru"]
        return [program, "--bind", HOST, "--port", str(self.port), *durable, *bounded]

    def empty(self) -> None:
        """Lose everything. Only while it is down."""
        shutil.rmtree(self._folder)
        self._folder.mkdir()


class DrilledService(Server):
    """Two workers on a spool of its own."""

    name = "the service"
    ready_seconds = 120.0

    def __init__(self, store: Path, spool: Path, redis_url: str, log: Path) -> None:
        super().__init__(free_port(), log)
        self._mark = secrets.token_hex(8)
        self.settings = {
            "STILLROOM_STORE": str(store),
            "STILLROOM_SPOOL": str(spool),
            "STILLROOM_REDIS_URL": redis_url,
        }

    def command(self) -> list[str]:
        """As an operator starts it."""
        return [sys.executable, "-m", "service"]

    def environment(self) -> Mapping[str, str]:
        """A mark by which all processes are found, whoever started them."""
        return {
            **self.settings,
            "STILLROOM_HOST": HOST,
            "STILLROOM_PORT": str(self.port),
            "STILLROOM_WORKERS": str(N_WORKERS),
            "STILLROOM_DRAIN_SECONDS": "0",
            "STILLROOM_LOG_LEVEL": "warning",
            "PYTHONPATH": str(ROOT),
            MARK_VARIABLE: self._mark,
        }

    def answers(self) -> bool:
        """Ask /health/ready."""
        return is_ready(f"{HOST}:{self.port}")

    def kill(self) -> None:
        """All processes at once, as a power cut does."""
        for process in family(self._mark):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        super().kill()
        end_family(self._mark)

    def kill_worker(self, random: Random) -> None:
        """One of them; the supervisor starts another."""
        assert self._process is not None
        workers = [process for process in family(self._mark) if _is_worker(process, self._process.pid)]
        if workers:
            with suppress(ProcessLookupError):
                os.kill(random.choice(workers), signal.SIGKILL)

    def stop(self) -> None:
        """Also whoever was left behind."""
        super().stop()
        end_family(self._mark)

    def wait_until_shipped(self) -> None:
        """Until Redis has every accepted event. Raises ServerFailed where it never has."""
        give_up_at = monotonic() + DRAIN_SECONDS
        while self._spool_bytes() > 0:
            if monotonic() > give_up_at:
                raise ServerFailed(f"events were still in the spool after {DRAIN_SECONDS:g} s")
            sleep(0.2)

    def _spool_bytes(self) -> float:
        with urlopen(f"http://{HOST}:{self.port}/metrics", timeout=10) as reply:
            lines = reply.read().decode().splitlines()
        found = [float(line.split()[-1]) for line in lines if line.startswith("stillroom_spool_bytes")]
        return sum(found) if found else 1.0


def _is_worker(process: int, supervisor: int) -> bool:
    """Whether it serves: a child of the supervisor that is no helper of multiprocessing."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
        command = Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False
    return int(status.rpartition(")")[2].split()[1]) == supervisor and b"spawn_main" in command
