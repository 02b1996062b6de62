"""Run the service as an operator does, with workers that can be found, killed and measured one by one."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from time import monotonic, sleep

from loadtest.errors import ServerFailed
from loadtest.processes import GONE, PROC
from loadtest.servers import HOST, Marked

DRAIN_SECONDS = 120.0


class Service(Marked):
    """The service. settings: environment variables beside this process's own. prefix: a command that starts it.

    module: the Python module to start. wants_model: a service that answers without a model must not be measured.
    """

    name = "the service"
    ready_seconds = 120.0

    def __init__(
        self,
        port: int,
        log: Path,
        settings: Mapping[str, str],
        *,
        n_workers: int = 1,
        prefix: Sequence[str] = (),
        module: str = "service",
        wants_model: bool = True,
    ) -> None:
        super().__init__(port, log)
        self._wants_model = wants_model
        self._prefix = prefix
        self._module = module
        self.settings = dict(settings)
        self._n_workers = n_workers

    def command(self) -> list[str]:
        """Return the command of a separate process; the generator must not share an interpreter with the service."""
        return [*self._prefix, sys.executable, "-m", self._module]

    def environment(self) -> Mapping[str, str]:
        """Return the address to listen on, and the settings."""
        return {
            **super().environment(),
            "STILLROOM_HOST": HOST,
            "STILLROOM_PORT": str(self.port),
            "STILLROOM_WORKERS": str(self._n_workers),
            **self.settings,
        }

    def answers(self) -> bool:
        """Ask /health/ready."""
        return is_ready(f"{HOST}:{self.port}", wants_model=self._wants_model)

    def workers(self) -> list[int]:
        """Return the process ids of the workers, oldest first; a single worker is the service itself."""
        if self._n_workers == 1:
            return [] if self._process is None else [self._process.pid]
        return [process for process in self.processes() if _is_worker(process)]

    def kill(self) -> None:
        """Kill all processes at once, as a power cut does."""
        for process in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        super().kill()

    def kill_worker(self, random: Random) -> None:
        """Kill one worker; the supervisor starts another."""
        workers = self.workers()
        if workers:
            with suppress(ProcessLookupError):
                os.kill(random.choice(workers), signal.SIGKILL)

    def metric(self, name: str) -> float | None:
        """Return the sum of a metric's samples over all labels and workers; None if there are none so far."""
        connection = HTTPConnection(HOST, self.port, timeout=10)
        try:
            connection.request("GET", "/metrics")
            lines = connection.getresponse().read().decode().splitlines()
        finally:
            connection.close()
        found = [float(line.split()[-1]) for line in lines if line.startswith((f"{name}{{", f"{name} "))]
        return sum(found) if found else None

    def wait_until_shipped(self, at_most_seconds: float = DRAIN_SECONDS) -> None:
        """Wait until Redis has every accepted event. Raises ServerFailed if that does not happen in time."""
        give_up_at = monotonic() + at_most_seconds
        while self.metric("stillroom_spool_bytes") != 0:
            if monotonic() > give_up_at:
                raise ServerFailed(f"events were still in the spool after {at_most_seconds:g} s")
            sleep(0.2)


def is_ready(address: str, *, wants_model: bool = True) -> bool:
    """Whether /health/ready at "host:port" returns 200.

    Raises OSError if nothing listens, and ServerFailed if the service answers without a model and one is wanted.
    """
    connection = HTTPConnection(address, timeout=2)
    try:
        connection.request("GET", "/health/ready")
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if wants_model and response.status == 200 and json.loads(body).get("bundle_version", "") is None:
        raise ServerFailed(
            f"the service at {address} answers without a model: nothing is promoted in its store; `make train` "
            "trains a bundle and promotes it"
        )
    return response.status == 200


def _is_worker(process: int) -> bool:
    """Whether a process is a worker: a child that multiprocessing spawned, and not a helper of multiprocessing."""
    with suppress(*GONE):
        return b"spawn_main" in (PROC / str(process) / "cmdline").read_bytes()
    return False
