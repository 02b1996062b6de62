"""The servers of the bench, each on its own core, with the CPU time of all of its processes counted."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Protocol

from loadtest.bench.answers import ask
from loadtest.bench.echo import BODY_VARIABLE
from loadtest.bench.errors import BenchFailed
from loadtest.peers.setting import PeerSetting
from loadtest.processes import cpu_seconds, running_on
from loadtest.redis_server import Redis
from loadtest.servers import HOST, Marked, free_port
from loadtest.service_processes import is_ready

REDIS_PRIORITY = -10

SERVICE_VARIABLES = {
    "STILLROOM_DEADLINE_MS": "1000",
    "STILLROOM_MAX_IN_FLIGHT": "4096",
    "STILLROOM_MAX_WAITING": "4096",
    "STILLROOM_DRAIN_SECONDS": "0",
    "STILLROOM_LOG_LEVEL": "warning",
}
"""Settings that differ from those shipped. A slow answer must show as slow, and not turn into a simpler one or a 429,
so the deadline and the limits of waiting requests are raised. Nobody watches readiness, so draining gains nothing.
"""


class Counted(Marked):
    """A server that runs on one core, and whose processes' CPU time is counted together.

    seconds_to_ready: from the start of the process until it is ready.
    """

    def __init__(self, port: int, log: Path, core: int | None) -> None:
        super().__init__(port, log)
        self.core = core
        self.seconds_to_ready = 0.0

    def start(self) -> None:
        """Start as `Server.start` does, on its core."""
        started_at = monotonic()
        with running_on(self.core):
            super().start()
        self.seconds_to_ready = monotonic() - started_at

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of all processes since their start."""
        return cpu_seconds(self.processes())


class CountedRedis(Counted, Redis):
    """Redis, which runs beside the generator and takes no time from the server's core.

    The generator spins, so Redis gets priority over it where the system allows that: otherwise Redis sometimes waits
    for the end of a time slice, and requests are late although no server was slow.
    """

    def start(self) -> None:
        """Start as `Counted.start` does, and give Redis priority on its core."""
        super().start()
        for process in self.processes():
            with suppress(PermissionError):
                os.setpriority(os.PRIO_PROCESS, process, REDIS_PRIORITY)


class CountedService(Counted):
    """Our service on a store of its own.

    redis_url: "" runs without Redis. is_logging: answers go to the live log, as shipped. kernel: the instructions
    that it searches with.
    """

    name = "the service"
    ready_seconds = 180.0

    def __init__(
        self,
        log: Path,
        core: int | None,
        store: Path,
        redis_url: str,
        *,
        n_workers: int = 1,
        is_logging: bool = True,
        kernel: str = "best",
    ) -> None:
        super().__init__(free_port(), log, core)
        self._where = {
            **({} if is_logging else {"STILLROOM_EXPOSURE_MAX_RECORDS": "0"}),
            "STILLROOM_HOST": HOST,
            "STILLROOM_KERNEL": kernel,
            "STILLROOM_PORT": str(self.port),
            "STILLROOM_REDIS_URL": redis_url,
            "STILLROOM_STORE": str(store),
            "STILLROOM_WORKERS": str(n_workers),
        }

    def command(self) -> list[str]:
        """Return the command that an operator uses."""
        return [sys.executable, "-m", "service"]

    def environment(self) -> Mapping[str, str]:
        """Return the store and the settings of the bench."""
        return {**super().environment(), **SERVICE_VARIABLES, **self._where}

    def answers(self) -> bool:
        """Ask /health/ready."""
        return is_ready(f"{HOST}:{self.port}")


class Echo(Counted):
    """Bare uvicorn, tuned like the service's, with a reply of the same size."""

    name = "the echo"

    def __init__(self, log: Path, core: int | None, body: Path) -> None:
        super().__init__(free_port(), log, core)
        self._body = body

    def command(self) -> list[str]:
        """Return uvicorn's own command line."""
        tuned = "--factory --loop uvloop --http httptools --ws none --lifespan off --no-access-log --no-server-header"
        where = ["--host", HOST, "--port", str(self.port), "--log-level", "warning"]
        return [sys.executable, "-m", "uvicorn", "loadtest.bench.echo:create_echo", *tuned.split(), *where]

    def environment(self) -> Mapping[str, str]:
        """Name the file to answer with."""
        return {**super().environment(), BODY_VARIABLE: str(self._body)}

    def answers(self) -> bool:
        """Whether it answers; its body parses as an answer, because it is a copy of one."""
        return bool(ask(self.port, "anybody", 1))


class PeerServer(Counted):
    """A peer, which runs from an environment of its own.

    setting: what the peer reads from its environment. probe: a user id that it must know.
    """

    ready_seconds = 120.0

    def __init__(
        self, name: str, python: Path, log: Path, core: int | None, setting: PeerSetting, probe: str
    ) -> None:
        super().__init__(setting.port, log, core)
        self.name = name
        self._python = python
        self._setting = setting
        self._probe = probe

    def command(self) -> list[str]:
        """Return the command for the peer's own module under its own interpreter."""
        return [str(self._python), "-m", f"loadtest.peers.{self.name}.server"]

    def environment(self) -> Mapping[str, str]:
        """Return the peer's setting, with one BLAS thread because there is one core."""
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        return {**super().environment(), **threads, **self._setting.environment()}

    def answers(self) -> bool:
        """Whether it answers for one person; its answers are checked later."""
        try:
            return bool(ask(self.port, self._probe, 1))
        except BenchFailed:  # a gateway's "not yet"
            return False


class HasCpu(Protocol):
    """The part of a server that a round needs."""

    port: int

    def cpu_seconds(self) -> float: ...
