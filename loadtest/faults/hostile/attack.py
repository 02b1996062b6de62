"""What all hostile clients share: their target, their duration, and what they saw."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from time import perf_counter

import msgspec

from loadtest.bench.connection import body_of
from loadtest.servers import HOST

READ_BYTES = 65_536
PATIENCE_SECONDS = 5.0
MAX_UNEXPECTED = 5


class Hostility(msgspec.Struct):
    """What a hostile client saw. answers: counts by status, "none" for a connection that ended without one.

    unexpected: what a good service would not have done. figures: further figures for the report.
    """

    kind: str
    opened: int = 0
    refused: int = 0
    closed: int = 0
    sent_bytes: int = 0
    answers: dict[str, int] = {}
    unexpected: list[str] = []
    figures: dict[str, float] = {}


@dataclass
class Attack:
    """An attack by one kind of client. port: of the service. seconds: duration. people, items: ids to ask with."""

    kind: str
    port: int
    seconds: float
    random: Random
    people: list[str]
    items: list[str]
    seen: Hostility = field(init=False)

    def __post_init__(self) -> None:
        self.seen = Hostility(self.kind)
        self._ends_at = perf_counter() + self.seconds

    @property
    def is_over(self) -> bool:
        """Whether its time has passed."""
        return perf_counter() >= self._ends_at

    @property
    def left_seconds(self) -> float:
        """Seconds until the attack is over."""
        return max(0.0, self._ends_at - perf_counter())

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
        """Open a connection for the block. Raises OSError or TimeoutError if there is none."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                reader, writer = await asyncio.open_connection(HOST, self.port, limit=READ_BYTES)
        except (OSError, TimeoutError):
            self.seen.refused += 1
            raise
        self.seen.opened += 1
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def send(self, writer: StreamWriter, data: bytes) -> None:
        """Send data and wait until it has left. Raises OSError if the connection is closed."""
        if writer.is_closing():
            raise ConnectionResetError("the connection is closed")
        writer.write(data)
        await writer.drain()
        self.seen.sent_bytes += len(data)

    async def receive(self, reader: StreamReader) -> tuple[int, bytes]:
        """Return the next reply's status and body; (0, b"") if the connection ends or stays silent without one."""
        data = b""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (body := body_of(data)) is None:
                    more = await reader.read(READ_BYTES)
                    if not more:
                        break
                    data += more
        except (OSError, TimeoutError, ValueError):
            body = None
        status = int(data[9:12]) if body is not None else 0
        self.seen.answers[str(status or "none")] = self.seen.answers.get(str(status or "none"), 0) + 1
        return status, body or b""

    def was_unexpected(self, what: str) -> None:
        """Note what was unexpected, up to `MAX_UNEXPECTED` times."""
        if what not in self.seen.unexpected and len(self.seen.unexpected) < MAX_UNEXPECTED:
            self.seen.unexpected.append(what)

    async def by_many(self, n_clients: int, client: Callable[[], Awaitable[None]]) -> None:
        """Run n_clients at once, each again and again until the time is over."""
        async with asyncio.TaskGroup() as group:
            for _ in range(n_clients):
                group.create_task(self._again(client))

    async def _again(self, client: Callable[[], Awaitable[None]]) -> None:
        while not self.is_over:
            try:
                async with asyncio.timeout(self.left_seconds + PATIENCE_SECONDS):
                    await client()
            except (OSError, TimeoutError):
                self.seen.closed += 1
                await asyncio.sleep(0.05)

    def question(self, **more: object) -> bytes:
        """Return the body of a plain question."""
        return msgspec.json.encode({"user_id": self.random.choice(self.people), **more})


def request(body: bytes, *headers: str, path: str = "/recommend") -> bytes:
    """Make a whole POST request."""
    lines = ["host: hostile", "content-type: application/json", f"content-length: {len(body)}", *headers]
    return f"POST {path} HTTP/1.1\r\n".encode() + "\r\n".join(lines).encode() + b"\r\n\r\n" + body
