"""The services that are fuzzed: real processes with bounds so small that growth shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from loadtest.processes import own_bytes
from loadtest.promotion.operator import new_key
from loadtest.servers import free_port
from loadtest.service_processes import Service
from tests.support.bundles import tiny_bundle

SHORT_WAY, LONG_WAY = "service", "tests.fuzz.long_way"

SMALL = {
    "STILLROOM_CACHE_BYTES": "1048576",
    "STILLROOM_LAST_GOOD_PEOPLE": "100",
    "STILLROOM_EVENT_KEYS": "1000",
    "STILLROOM_SPOOL_BYTES": "1073741824",
    "STILLROOM_MAX_IN_FLIGHT": "4096",
    "STILLROOM_MAX_WAITING": "4096",
    "STILLROOM_DEADLINE_MS": "1000",
    "STILLROOM_DRAIN_SECONDS": "0",
    "STILLROOM_REDIS_URL": "",
}
"""What a service remembers is bounded; small bounds are reached soon, and what grows on then leaks."""


class FuzzedService(Service):
    """One process."""

    def own_bytes(self) -> int:
        """Its memory, what it shares left out."""
        return own_bytes(self.processes())


@contextmanager
def fuzzed(
    folder: Path, module: str = SHORT_WAY, settings: Mapping[str, str] | None = None
) -> Iterator[FuzzedService]:
    """A service on a tiny bundle. folder: made for it; the key of an operator lies in it."""
    folder.mkdir()
    tiny_bundle(folder / "store")
    new_key(folder / "keys")
    with ExitStack() as stack:
        where = {
            **SMALL,
            "STILLROOM_STORE": str(folder / "store"),
            "STILLROOM_SPOOL": str(folder / "spool"),
            "STILLROOM_ADMIN_KEYS_FILE": str(folder / "keys"),
            **(settings or {}),
        }
        yield stack.enter_context(FuzzedService(free_port(), folder / "service.log", where, module=module))


def key_in(folder: Path) -> str:
    """The operator's, of a service in this folder."""
    return (folder / "keys").read_text().strip().partition(":")[2]
