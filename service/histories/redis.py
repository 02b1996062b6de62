"""Redis as the live copy of people: one round trip for all reads that wait at that moment, the same for writes.

While a trip is under way new requests gather; when it returns they go together. Reads and writes use a
connection each, so no read waits behind a write. Every failure is a RedisUnavailable after the circuit has
counted it; the next trip connects again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from service.errors import HistoryUnwritable, RedisUnavailable
from service.histories.blobs import HEADER_BYTES
from service.histories.circuit import Circuit, CircuitState
from service.histories.connection import Connection, Refused
from service.histories.replies import values, whole_number
from service.histories.watch import Watch
from service.histories.wire import Command, Reply

logger = logging.getLogger(__name__)

KEY_PREFIX = "stillroom:h:"
_PREFIX = KEY_PREFIX.encode()
MAX_TRIP = 256
MAX_WAITING_WRITES = 10_000
HEARTBEAT_SECONDS = 1.0
"""Between two questions on a watched connection, so that one that broke without a word is found out."""

COMPARE_AND_SET = """
if redis.call('GETRANGE', KEYS[1], 0, ARGV[4] - 1) == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
    return 1
end
return 0
"""
"""A blob replaces only the one it was made from, so a late write-back cannot undo somebody's newer event."""

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class BlobWrite:
    """replaced: the blob that was read before, b"" for none, None for whatever is there. blob: takes its place."""

    user_id: str
    replaced: bytes | None
    blob: bytes


class RedisPeople:
    """Blobs by user id. connect_seconds and read_seconds bound a trip; ttl_seconds: how long a blob stays."""

    def __init__(
        self, url: str, circuit: Circuit, *, connect_seconds: float, read_seconds: float, ttl_seconds: int
    ) -> None:
        self._circuit = circuit
        self._ttl_seconds = ttl_seconds
        self.watch = Watch()
        self._told = _Told(self.watch, self._beat)
        watched = (KEY_PREFIX, self._told)
        self._reading = Connection(
            url, connect_seconds=connect_seconds, read_seconds=read_seconds, watched=watched
        )
        self._writing = Connection(url, connect_seconds=connect_seconds, read_seconds=read_seconds)
        self._reads: _Coalescer[str, bytes | None] = _Coalescer(self._read_trip)
        self._writes: _Coalescer[BlobWrite, bool | Refused] = _Coalescer(self._write_trip)

    @property
    def came_back(self) -> bool | None:
        """Whether the latest trip to Redis did; None before the first."""
        return self._circuit.came_back

    @property
    def is_up(self) -> bool:
        """False while the circuit keeps requests away."""
        return self._circuit.state is CircuitState.CLOSED

    def read(self, user_id: str) -> asyncio.Future[bytes | None]:
        """A person's blob, None where there is none. Raises RedisUnavailable, at once or in the future."""
        self._circuit.check()
        return self._reads.ask(user_id)

    async def write(self, write: BlobWrite) -> bool:
        """Store a blob; False where another writer was faster.

        Raises RedisUnavailable, and HistoryUnwritable where Redis refuses to write this very key.
        """
        if not self.is_up or self._writes.n_waiting >= MAX_WAITING_WRITES:
            raise RedisUnavailable("Redis is away, or too many writes wait for it")
        written = await self._writes.ask(write)
        if isinstance(written, Refused):
            raise HistoryUnwritable(written.said)
        return written

    def write_later(self, write: BlobWrite) -> None:
        """Store a blob if that can be; nobody waits to hear of it."""
        if self.is_up and self._writes.n_waiting < MAX_WAITING_WRITES:
            self._writes.ask(write).add_done_callback(
                lambda future: future.exception()
            )  # the trip has logged it

    async def close(self) -> None:
        """Finish writes under way and disconnect."""
        await self._reads.close()
        await self._writes.close()
        self._reading.close()
        self._writing.close()

    def _beat(self) -> None:
        """Ask for nobody: a reply is all that is wanted, and a trip that fails ends the watch."""
        self._reads.ask("").add_done_callback(lambda future: future.exception())  # the trip has logged it

    async def _read_trip(self, user_ids: Sequence[str]) -> list[bytes | None]:
        keys = [KEY_PREFIX + user_id for user_id in user_ids]
        try:
            blobs = await self._reading.ask_one(("MGET", *keys), partial(values, n_expected=len(keys)))
        except RedisUnavailable as error:
            self._failed(error)
            raise
        self._circuit.succeeded()
        return blobs

    async def _write_trip(self, writes: Sequence[BlobWrite]) -> list[bool | Refused]:
        try:
            are_stored = await self._writing.ask_each(list(map(self._write_command, writes)), _is_stored)
        except RedisUnavailable as error:
            self._failed(error)
            raise
        self._circuit.succeeded()
        return are_stored

    def _write_command(self, write: BlobWrite) -> Command:
        key = KEY_PREFIX + write.user_id
        if write.replaced is None:
            return ("SET", key, write.blob, "EX", self._ttl_seconds)
        replaced = write.replaced[:HEADER_BYTES]
        return ("EVAL", COMPARE_AND_SET, 1, key, replaced, write.blob, self._ttl_seconds, HEADER_BYTES)

    def _failed(self, error: RedisUnavailable) -> None:
        self._circuit.failed()
        logger.warning("a trip to Redis failed: %s", error)


def _is_stored(reply: Reply) -> bool:
    return reply == b"OK" or whole_number(reply) == 1


class _Told:
    """What the reading connection is told, by key, as people. beat: called each second of a watch."""

    def __init__(self, watch: Watch, beat: Callable[[], None]) -> None:
        self._watch = watch
        self._beat = beat
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        self._watch.begin()
        self._set_timer()

    def changed(self, keys: list[bytes] | None) -> None:
        if keys is None:
            self._watch.changed_all()
        else:
            self._watch.changed(filter(None, map(_person_of, keys)))

    def end(self) -> None:
        self._watch.end()
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(HEARTBEAT_SECONDS, self._on_time)

    def _on_time(self) -> None:
        self._beat()
        self._set_timer()


def _person_of(key: bytes) -> str:
    """Whose key this is; "" for one that is nobody's: anybody may write any bytes to Redis."""
    try:
        return key.removeprefix(_PREFIX).decode()
    except UnicodeDecodeError:
        return ""


class _Coalescer(Generic[Asked, Answer]):
    """Gathers what is asked while a trip is under way and sends it as the next one."""

    def __init__(self, send: Callable[[Sequence[Asked]], Awaitable[Sequence[Answer]]]) -> None:
        self._send = send
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def n_waiting(self) -> int:
        return len(self._waiting)

    def ask(self, asked: Asked) -> asyncio.Future[Answer]:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, future))
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        return future

    async def close(self) -> None:
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        try:
            while self._waiting:
                trip, self._waiting = self._waiting[:MAX_TRIP], self._waiting[MAX_TRIP:]
                await self._serve([(asked, future) for asked, future in trip if not future.done()])
        finally:
            self._task = None

    async def _serve(self, trip: list[tuple[Asked, asyncio.Future[Answer]]]) -> None:
        if not trip:
            return
        try:
            answers = await self._send([asked for asked, _ in trip])
        except Exception as error:  # whatever it is, nobody is left waiting
            for _, future in trip:
                if not future.done():
                    future.set_exception(error)
        else:
            for (_, future), answer in zip(trip, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
