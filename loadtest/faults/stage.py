"""The stage of one row, all of it fresh: a Redis, a line to it if the row wants one, and the service."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, ParamSpec, TypeVar

from redis import Redis as RedisClient

from loadtest.errors import ServerMissing
from loadtest.events.sending import Sent
from loadtest.faults.clock import MovedClock
from loadtest.faults.disks import small_disk
from loadtest.faults.proxy import ProxyProcess
from loadtest.faults.setting import Setting
from loadtest.promotion.bundles import DrillStore, lay_out
from loadtest.promotion.operator import Operator, new_key
from loadtest.redis_server import DurableRedis
from loadtest.servers import HOST, free_port
from loadtest.service_processes import Service

USER, PASSWORD = "shop", "the shop's own password"

Given = ParamSpec("Given")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Kept:
    """The bundles that all rows' stores share, and the ids in them."""

    bundles: list[Path]
    people: list[str]
    items: list[str]


class Stage:
    """One row's servers and folders. module: the service to run.

    found: problems that the fault itself saw. noted: figures of the fault, for the report. sent: the traffic's
    events. say: sends a batch of the fault's own events. forgiven: marks of events that nobody could keep.
    at_most_seconds: the longest that a fault may last.
    """

    def __init__(self, folder: Path, kept: Kept, setting: Setting, seed: int, module: str) -> None:
        self.folder = folder
        self.kept = kept
        self.setting = setting
        self.seed = seed
        self.random = Random(seed)
        self.found: list[str] = []
        self.noted: dict[str, float] = {}
        self.sent = Sent()
        self.at_most_seconds = 60.0
        self.say: Callable[[dict[str, Any]], Awaitable[None]] = _nobody_sends
        self.forgiven: set[str] = set()
        self.store = _store(folder / "store", kept, setting)
        self.disk = folder / "disk"
        self.spool = self.disk / "spool" if setting.spool_bytes else folder / "spool"
        self.out = folder / "export"
        self.redis = DurableRedis(folder / "redis", folder / "redis.log")
        self.clock = MovedClock(folder / "clock")
        self.line: ProxyProcess = ProxyProcess(self.redis.port, folder / "line.log", is_redis=True)
        port = free_port()
        self.client_line = ProxyProcess(port, folder / "client-line.log")
        self.operator = Operator(port, new_key(folder / "keys"))
        self.service = Service(
            port,
            folder / "service.log",
            {},
            n_workers=setting.n_workers,
            prefix=setting.prefix,
            module=module,
            wants_model=setting.n_bundles > 0,
        )

    async def do(self, what: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
        """Run a function on a thread, so that the traffic goes on."""
        return await asyncio.to_thread(what, *args, **kwargs)

    async def tell_redis(self, *command: str | bytes | int, password: str = "") -> Any:
        """Send the drill's own command to Redis, past every line, and return its reply."""
        return await self.do(self._tell_redis, *command, password=password)

    def _tell_redis(self, *command: str | bytes | int, password: str = "") -> Any:
        with RedisClient(
            host=HOST, port=self.redis.port, password=password or None, protocol=2, socket_timeout=30
        ) as client:
            return client.execute_command(*command)

    def begin(self, stack: ExitStack) -> None:
        """Start each part before the ones that need it. Raises ServerMissing or ServerFailed."""
        setting = self.setting
        if setting.prefix and shutil.which(setting.prefix[0]) is None:
            raise ServerMissing(f"no {setting.prefix[0]} on PATH: apt-get install util-linux")
        if setting.spool_bytes:
            stack.enter_context(small_disk(self.disk, setting.spool_bytes))
        stack.enter_context(self.redis)
        if setting.redis_user:
            self._tell_redis("ACL", "SETUSER", USER, "on", f">{PASSWORD}", *setting.redis_user)
        if setting.has_line:
            stack.enter_context(self.line)
        self.service.settings |= self._settings()
        stack.enter_context(self.service)
        if setting.has_client_line:
            stack.enter_context(self.client_line)

    def _settings(self) -> dict[str, str]:
        redis_url = self.line.redis_url if self.setting.has_line else self.redis.url
        if self.setting.redis_user:
            redis_url = redis_url.replace("redis://", f"redis://{USER}:{PASSWORD.replace(' ', '%20')}@")
        return {
            "STILLROOM_STORE": str(self.store.folder),
            "STILLROOM_SPOOL": str(self.spool),
            "STILLROOM_REDIS_URL": redis_url,
            "STILLROOM_ADMIN_KEYS_FILE": str(self.folder / "keys"),
            "STILLROOM_DRAIN_SECONDS": "0",
            "STILLROOM_EXPERIMENTS": "",
            "STILLROOM_REDIS_READ_TIMEOUT_MS": str(self.setting.redis_patience_ms),
            "STILLROOM_REDIS_CONNECT_TIMEOUT_MS": str(self.setting.redis_patience_ms),
            **(self.clock.environment() if self.setting.has_clock else {}),
            **self.setting.settings,
        }


async def _nobody_sends(body: dict[str, Any]) -> None:
    raise RuntimeError("the traffic has not begun")


def _store(folder: Path, kept: Kept, setting: Setting) -> DrillStore:
    if not setting.n_bundles:
        folder.mkdir()
        return DrillStore(folder, [], "", kept.people, kept.items)
    return lay_out(
        kept.bundles[: setting.n_bundles],
        folder,
        spoils_last=setting.spoils_last,
        ids=(kept.people, kept.items),
    )


@contextmanager
def staged(kept: Kept, setting: Setting, seed: int, module: str = "service") -> Iterator[Stage]:
    """Make a stage that is gone afterwards, with all of its processes and files, whatever happened."""
    # The folder is beside the kept bundles, because the store shares their files.
    beside = kept.bundles[0].parent
    with (
        TemporaryDirectory(prefix=".drill-", dir=beside, ignore_cleanup_errors=True) as name,
        ExitStack() as stack,
    ):
        stage = Stage(Path(name).resolve(), kept, setting, seed, module)
        stage.begin(stack)
        yield stage
