"""Redis as the live copy of people: one round trip serves all reads that wait at that moment, another all writes.

Requests that arrive during a trip gather and leave together after it. Reads and writes use a connection each, so no
read waits behind a write. Every failure becomes a RedisUnavailable once the circuit has counted it; the next trip
connects again.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, NamedTuple

from service.contract.errors import HistoryUnwritable, RedisUnavailable
from service.people.blobs import HEADER_BYTES, is_whole
from service.people.coalescer import Coalescer
from service.people.recovery import AWAY_SECONDS, SETTLE_SECONDS, Recovery
from service.people.visits import MAX_VISITS
from service.people.watch import Watch
from service.redis.circuit import Circuit, CircuitState
from service.redis.connection import Connection, Query, Refused
from service.redis.replies import array, nothing, value, values, whole_number
from service.redis.wire import Command, Reply

logger = logging.getLogger(__name__)

KEY_PREFIX = "stillroom:h:"
_PREFIX = KEY_PREFIX.encode()
WORLD_KEY = "stillroom:world"
"""Holds a random word, which whoever finds none sets. If it is gone or has changed, Redis has lost what it had."""

_WORLD = WORLD_KEY.encode()

MAX_MARK_BYTES = 64
MARK_AGAIN_SECONDS = 1.0
DOUBT_AGAIN_SECONDS = 2.0
assert DOUBT_AGAIN_SECONDS < SETTLE_SECONDS
MAX_WAITING_WRITES = 10_000
HEARTBEAT_SECONDS = 1.0
"""The pause between two pings on a watched connection, which reveal that it broke silently."""

VISITS_PREFIX = "stillroom:v:"
"""The key of a person's visits, each scored by when it was last named."""

LINK = """
local now = redis.call('TIME')[1]
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('DEL', KEYS[1]) end
for i = 3, #ARGV do redis.call('ZADD', KEYS[1], now, ARGV[i]) end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
"""
"""KEYS: the person's visits. ARGV: seconds to live, the rank of the latest visit to drop, session ids."""

COMPARE_AND_SET = """
if redis.call('GETRANGE', KEYS[1], 0, ARGV[4] - 1) == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
    return 1
end
return 0
"""
"""A blob replaces only the one it was made from, so a late write-back cannot undo a newer event."""


@dataclass(frozen=True, slots=True)
class BlobWrite:
    """replaced: the blob that was read before; b"" means none, None means any. blob: takes its place."""

    user_id: str
    replaced: bytes | None
    blob: bytes


class World(NamedTuple):
    """One Redis. run_id: the id of its process. marker: the value of `WORLD_KEY`, b"" if there is none."""

    run_id: str
    marker: bytes


class RedisPeople:
    """Stores blobs by user id. connect_seconds, read_seconds: timeouts of a trip. ttl_seconds: how long a blob stays.

    recovery: begun when Redis is another one than before, was emptied, or was away. is_watched: whether Redis is to
    tell of changes.
    """

    def __init__(
        self,
        url: str,
        circuit: Circuit,
        *,
        connect_seconds: float,
        read_seconds: float,
        ttl_seconds: int,
        recovery: Recovery | None = None,
        is_watched: bool = True,
    ) -> None:
        self._circuit = circuit
        self._ttl_seconds = ttl_seconds
        self._recovery = recovery or Recovery()
        self._failing_since: float | None = None
        self._looking_again: asyncio.TimerHandle | None = None
        self._world: World | None = None
        self._world_watch = 0
        """The watch under which `_world` was read."""
        self._marked_at = -MARK_AGAIN_SECONDS
        self._told_at = -DOUBT_AGAIN_SECONDS
        """When all replicas were last told to merge again."""
        self._telling_again: asyncio.Task[None] | None = None
        self._doubting = asyncio.Lock()
        self._is_mark_wanted = False
        self.watch = Watch()
        self._told = _Told(self.watch, self._beat, self._marked_anew)
        watched = ((KEY_PREFIX, WORLD_KEY), self._told) if is_watched else None
        self._reading = Connection(
            url, connect_seconds=connect_seconds, read_seconds=read_seconds, watched=watched
        )
        self._writing = Connection(url, connect_seconds=connect_seconds, read_seconds=read_seconds)
        self._reads: Coalescer[str, bytes | None] = Coalescer(self._read_trip)
        self._writes: Coalescer[Query, Any] = Coalescer(self._write_trip)

    @property
    def came_back(self) -> bool | None:
        """Whether the latest trip to Redis returned; None before the first."""
        return self._circuit.came_back

    @property
    def is_up(self) -> bool:
        """False while the circuit is open."""
        return self._circuit.state is CircuitState.CLOSED

    @property
    def world(self) -> str:
        """Identifies this Redis and its contents; a change means that people in it may be lost. "" before the first
        trip.
        """
        return "" if self._world is None else f"{self._world.run_id}:{self._world.marker.decode('latin-1')}"

    async def look(self) -> str:
        """Find out which Redis this is, mark a new one, and return `world`. Raises RedisUnavailable."""
        for _ in range(2):
            self._is_mark_wanted = True
            await self.read("")
            if self._world is not None and self._world.marker:
                break
            await self._marked()
        return self.world

    async def doubt(self) -> None:
        """Have all replicas merge again, because a person's blob in Redis is not what was written.

        After this call, what this process knows may replace the blob, though it may lack what others knew. So all
        replicas are first told to merge what they have on disk, as for a new Redis. Until they have, and for at least
        `SETTLE_SECONDS`, their answers say that they may be outdated. Further doubts within the shorter
        `DOUBT_AGAIN_SECONDS` are told together when these are over. Raises RedisUnavailable.
        """
        async with self._doubting:
            passed = monotonic() - self._told_at
            if passed >= DOUBT_AGAIN_SECONDS:
                await self._tell_all()
            elif self._telling_again is None:
                loop = asyncio.get_running_loop()
                self._telling_again = loop.create_task(self._tell_all_in(DOUBT_AGAIN_SECONDS - passed))

    async def _tell_all(self) -> None:
        logger.warning("what Redis holds of people was overwritten: what they did is merged again")
        self._recovery.begin()
        await self._asked(_mark(only_if_none=False))
        self._told_at = monotonic()

    async def _tell_all_in(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                async with self._doubting:
                    await self._tell_all()
                    self._telling_again = None
                return
            except RedisUnavailable:
                seconds = DOUBT_AGAIN_SECONDS

    def read(self, user_id: str) -> asyncio.Future[bytes | None]:
        """Read a person's blob; None if there is none. Raises RedisUnavailable, at once or in the future."""
        self._circuit.check()
        return self._reads.ask(user_id)

    async def write(self, write: BlobWrite) -> bool:
        """Store a blob; return False if another writer was faster.

        Raises RedisUnavailable, and HistoryUnwritable if Redis refuses to write this very key.
        """
        is_stored: bool = await self._asked(Query(self._write_command(write), _is_stored))
        return is_stored

    def write_later(self, write: BlobWrite) -> None:
        """Store a blob if possible; nobody waits for the result."""
        if self.is_up and self._writes.n_waiting < MAX_WAITING_WRITES:
            query = Query(self._write_command(write), _is_stored)
            self._writes.ask(query).add_done_callback(
                lambda future: future.exception()
            )  # the trip has logged it

    async def link(self, user_id: str, session_ids: Iterable[str]) -> None:
        """Record that these visits were a person's. Raises RedisUnavailable and HistoryUnwritable."""
        settings = (self._ttl_seconds, -MAX_VISITS - 1)
        await self._asked(Query(("EVAL", LINK, 1, VISITS_PREFIX + user_id, *settings, *session_ids), nothing))

    async def links(self, user_id: str) -> frozenset[str]:
        """Return the visits that were recorded for a person. Raises RedisUnavailable."""
        found: frozenset[str] = await self._asked(
            Query(("ZRANGE", VISITS_PREFIX + user_id, 0, MAX_VISITS), _session_ids)
        )
        return found

    async def unlink(self, user_id: str) -> None:
        """Drop the record of a person's visits. Raises RedisUnavailable."""
        await self._asked(Query(("DEL", VISITS_PREFIX + user_id), nothing))

    async def _asked(self, query: Query) -> Any:
        """Ask with the next writes. Raises RedisUnavailable, and HistoryUnwritable if the key's value is refused."""
        if not self.is_up or self._writes.n_waiting >= MAX_WAITING_WRITES:
            raise RedisUnavailable("Redis is away, or too many writes wait for it")
        answer = await self._writes.ask(query)
        if isinstance(answer, Refused):
            raise HistoryUnwritable(answer.said)
        return answer

    async def close(self) -> None:
        """Finish writes under way, then disconnect."""
        if self._looking_again is not None:
            self._looking_again.cancel()
        if self._telling_again is not None:
            self._telling_again.cancel()
            with suppress(RedisUnavailable, TimeoutError):
                async with asyncio.timeout(DOUBT_AGAIN_SECONDS):
                    await self._tell_all()
        await self._reads.close()
        await self._writes.close()
        self._reading.close()
        self._writing.close()

    def _marked_anew(self) -> None:
        """Begin the recovery: `WORLD_KEY` was written, so blobs written after it may lack events."""
        self._is_mark_wanted = True
        if self._world is not None and self._world.marker:
            self._recovery.begin()

    def _beat(self) -> None:
        """Send a ping that no request needs: a trip that fails ends the watch."""
        self._reads.ask("").add_done_callback(lambda future: future.exception())  # the trip has logged it

    async def _read_trip(self, user_ids: Sequence[str]) -> list[bytes | None]:
        keys = [KEY_PREFIX + user_id for user_id in user_ids]
        # While watched, Redis also reports that it was emptied, and another Redis means another connection.
        watch_number = self.watch.number
        is_mark_read = self._is_mark_wanted or watch_number == 0 or watch_number != self._world_watch
        self._is_mark_wanted = False
        if is_mark_read:
            keys.append(WORLD_KEY)
        try:
            blobs = await self._reading.ask_one(("MGET", *keys), partial(values, n_expected=len(keys)))
        except RedisUnavailable as error:
            self._failed(error)
            raise
        self._succeeded()
        if is_mark_read:
            self._met(World(self._reading.server.run_id, (blobs.pop() or b"")[:MAX_MARK_BYTES]), watch_number)
        elif self.watch.number != watch_number:  # Redis was emptied during the trip
            return await self._read_trip(user_ids)
        return blobs

    async def _write_trip(self, queries: Sequence[Query]) -> list[Any]:
        try:
            answers = await self._writing.ask_each(queries)
        except RedisUnavailable as error:
            self._failed(error)
            raise
        self._succeeded()
        return answers

    def _met(self, world: World, watch_number: int) -> None:
        """Note which Redis answered."""
        before, self._world = self._world, world
        # A watch that began with this very trip cannot have missed a loss before it.
        self._world_watch = watch_number or self.watch.number
        if not world.marker:
            self._mark_later()
        if before is None or before == world or before == World(world.run_id, b""):
            return  # in the last case it has only been marked since
        logger.warning("Redis is another one, or was emptied: what people did is merged again")
        self._recovery.begin()

    async def _marked(self) -> None:
        """Mark a new Redis, unless another process does. Raises RedisUnavailable."""
        await self._writes.ask(_mark())

    def _mark_later(self) -> None:
        if monotonic() - self._marked_at >= MARK_AGAIN_SECONDS:  # Redis may be read-only, or full
            self._marked_at = monotonic()
            self._writes.ask(_mark()).add_done_callback(
                lambda future: future.exception()
            )  # the trip has logged it

    def _write_command(self, write: BlobWrite) -> Command:
        key = KEY_PREFIX + write.user_id
        if write.replaced is None:
            return ("SET", key, write.blob, "EX", self._ttl_seconds)
        # The checksum in the header covers all the rest, but a garbled blob may have the header of the true one.
        n_bytes = HEADER_BYTES
        if write.replaced and not is_whole(write.replaced, write.user_id):
            n_bytes = len(write.replaced) + 1
        replaced = write.replaced[:n_bytes]
        return ("EVAL", COMPARE_AND_SET, 1, key, replaced, write.blob, self._ttl_seconds, n_bytes)

    def _succeeded(self) -> None:
        self._circuit.succeeded()
        if self._failing_since is not None:
            was_away = monotonic() - self._failing_since > AWAY_SECONDS
            self._failing_since = None
            if was_away:
                self._recovery.begin()

    def _failed(self, error: RedisUnavailable) -> None:
        if self._failing_since is None:
            self._failing_since = monotonic()
            # One late reply does not mean that Redis was away, but looks so if no request follows for a while.
            self._looking_again = asyncio.get_running_loop().call_later(AWAY_SECONDS / 2, self._beat)
        self._circuit.failed()
        # Other replicas may fail alike, and then cannot write what they merge. One late reply is no sign of it.
        if not isinstance(error.__cause__, TimeoutError):
            self._recovery.go_on()
        logger.warning("a trip to Redis failed: %s", error)


def _is_stored(reply: Reply) -> bool:
    return reply == b"OK" or whole_number(reply) == 1


def _mark(*, only_if_none: bool = True) -> Query:
    command: Command = ("SET", WORLD_KEY, secrets.token_hex(8))
    return Query((*command, "NX") if only_if_none else command, nothing)


def _session_ids(reply: Reply) -> frozenset[str]:
    """Read session ids, without values that are not text, which no shop's id is."""
    found = [value(each) for each in array(reply)]
    return frozenset(each.decode("utf-8", "ignore") for each in found if each)


class _Told:
    """Turns what the reading connection is told of keys into people. beat: called each second of a watch. marked:
    called when `WORLD_KEY` was written.
    """

    def __init__(self, watch: Watch, beat: Callable[[], None], marked: Callable[[], None]) -> None:
        self._watch = watch
        self._beat = beat
        self._marked = marked
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        self._watch.begin()
        self._set_timer()

    def changed(self, keys: list[bytes] | None) -> None:
        if keys is None:
            self._watch.changed_all()
        else:
            if _WORLD in keys:
                self._marked()
                keys = [key for key in keys if key != _WORLD]
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
    """Return whose key this is; "" for a foreign key, as anybody may write any bytes to Redis."""
    try:
        return key.removeprefix(_PREFIX).decode()
    except UnicodeDecodeError:
        return ""
