"""The service of the drill: two workers, an operator's key, no Redis, so that what people know is the bundle's."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from loadtest.bench.processes import MARK_VARIABLE, PROC, end_family, family
from loadtest.servers import HOST, Server, free_port, is_ready

N_WORKERS = 2
ROOT = Path(__file__).parents[2]


class OperatedService(Server):
    """folder: for its key, its spool and its log."""

    name = "the service"
    ready_seconds = 120.0

    def __init__(self, store: Path, folder: Path) -> None:
        super().__init__(free_port(), folder / "service.log")
        self.key = secrets.token_hex(16)
        self._store = store
        self._folder = folder
        self._mark = secrets.token_hex(8)
        (folder / "keys").write_text(f"drill:{self.key}\n")
        (folder / "keys").chmod(0o600)

    def command(self) -> list[str]:
        """As an operator starts it."""
        return [sys.executable, "-m", "service"]

    def environment(self) -> Mapping[str, str]:
        """A mark by which all processes are found."""
        return {
            "STILLROOM_STORE": str(self._store.resolve()),
            "STILLROOM_SPOOL": str(self._folder / "spool"),
            "STILLROOM_ADMIN_KEYS_FILE": str(self._folder / "keys"),
            "STILLROOM_REDIS_URL": "",
            "STILLROOM_EXPERIMENTS": "",
            "STILLROOM_HOST": HOST,
            "STILLROOM_PORT": str(self.port),
            "STILLROOM_WORKERS": str(N_WORKERS),
            "STILLROOM_DRAIN_SECONDS": "0",
            "PYTHONPATH": str(ROOT),
            MARK_VARIABLE: self._mark,
        }

    def answers(self) -> bool:
        """Ask /health/ready."""
        return is_ready(f"{HOST}:{self.port}")

    def workers(self) -> list[int]:
        """Process ids of those who serve."""
        commands = {process: (PROC / str(process) / "cmdline").read_bytes() for process in family(self._mark)}
        return [process for process, command in commands.items() if b"spawn_main" in command]

    def stop(self) -> None:
        """Also whoever was left behind."""
        super().stop()
        end_family(self._mark)
