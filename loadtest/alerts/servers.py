"""Prometheus and Alertmanager as Debian packages them, and the way to Redis that can be made slow."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from threading import Event, Thread

from loadtest.errors import ServerFailed, ServerMissing
from loadtest.servers import HOST, Server

READ_BYTES = 65_536


class Prometheus(Server):
    """configuration: its prometheus.yml. data: where it keeps what it measured."""

    name = "Prometheus"

    def __init__(self, port: int, log: Path, configuration: Path, data: Path) -> None:
        super().__init__(port, log)
        self._configuration, self._data = configuration, data

    def command(self) -> list[str]:
        """The machine's own Prometheus."""
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
    """configuration: its alertmanager.yml. data: where it keeps what it told."""

    name = "Alertmanager"

    def __init__(self, port: int, log: Path, configuration: Path, data: Path) -> None:
        super().__init__(port, log)
        self._configuration, self._data = configuration, data

    def command(self) -> list[str]:
        """The machine's own Alertmanager, under Debian's name or its makers'."""
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
        """One process."""
        return [sys.executable, "-m", "service.monitor"]

    def environment(self) -> Mapping[str, str]:
        """Where to listen and where Redis is."""
        return {
            "STILLROOM_HOST": HOST,
            "STILLROOM_MONITOR_PORT": str(self.port),
            "STILLROOM_REDIS_URL": self._redis_url,
            **self._settings,
        }

    def answers(self) -> bool:
        """Ask /health/ready."""
        return _says_ready(self.port, "/health/ready")


class SlowLine:
    """A way to a port of this machine whose answers take as long as one says.

    delay_seconds: what each answer waits; any thread may change it while connections are open.
    """

    def __init__(self, port: int, target_port: int) -> None:
        self.port = port
        self.delay_seconds = 0.0
        self._target_port = target_port

    @property
    def url(self) -> str:
        """For STILLROOM_REDIS_URL."""
        return f"redis://{HOST}:{self.port}/0"

    @contextmanager
    def open(self) -> Iterator[None]:
        """Carry what comes, until the block ends."""
        loop = asyncio.new_event_loop()
        is_open, closing = Event(), asyncio.Event()
        thread = Thread(target=loop.run_until_complete, args=(self._serve(is_open, closing),), name="line")
        thread.start()
        try:
            is_open.wait()
            yield
        finally:
            loop.call_soon_threadsafe(closing.set)
            thread.join()
            loop.close()

    async def _serve(self, is_open: Event, closing: asyncio.Event) -> None:
        server = await asyncio.start_server(self._carry, HOST, self.port)
        is_open.set()
        await closing.wait()
        server.close()
        while carrying := [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]:
            for task in carrying:
                task.cancel()
            await asyncio.wait(carrying)
        await asyncio.sleep(0)  # transports close in the turn after the one that says so

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either end closes it. Without a target it is closed at once."""
        try:
            there, thither = await asyncio.open_connection(HOST, self._target_port)
            try:
                await self._both_ways((reader, thither), (there, writer))
            finally:
                thither.close()
        except OSError:
            pass  # nobody is at the target
        finally:
            writer.close()

    async def _both_ways(
        self,
        asked: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        answered: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        ways = {
            asyncio.ensure_future(self._copy(*asked, delayed=False)),
            asyncio.ensure_future(self._copy(*answered, delayed=True)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _copy(self, source: asyncio.StreamReader, to: asyncio.StreamWriter, *, delayed: bool) -> None:
        with suppress(OSError):
            while chunk := await source.read(READ_BYTES):
                if delayed:
                    await asyncio.sleep(self.delay_seconds)
                to.write(chunk)
                await to.drain()


def installed(*names: str) -> str:
    """The first of these programs that is there. Raises ServerMissing."""
    for name in names:
        found = shutil.which(name)
        if found is not None:
            return found
    raise ServerMissing(
        f"no {names[0]} on PATH: apt-get install prometheus prometheus-alertmanager, or leave this drill out"
    )


def run_python(*words: str) -> None:
    """Run a command of this interpreter to its end. Raises ServerFailed with what it said."""
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
