"""Redis as the live copy of people: one round trip for all reads that wait at that moment, the same for writes.

While a trip is under way new requests gather; when it returns they go together. Reads and writes use a
connection each, so no read waits behind a write. Every failure is a RedisUnavailable after the circuit has
counted it; the next trip connects again.
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
"""A random word that whoever finds none puts there: another one, or none, means that Redis lost what it had."""

_WORLD = WORLD_KEY.encode()

MAX_MARK_BYTES = 64
MARK_AGAIN_SECONDS = 1.0
DOUBT_AGAIN_SECONDS = 2.0
assert DOUBT_AGAIN_SECONDS < SETTLE_SECONDS
MAX_WAITING_WRITES = 10_000
HEARTBEAT_SECONDS = 1.0
"""Between two questions on a watched connection, so that one that broke without a word is found out."""

VISITS_PREFIX = "stillroom:v:"
"""By person, the visits that were theirs, each with when it was last named."""

LINK = """
local now = redis.call('TIME')[1]
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('DEL', KEYS[1]) end
for i = 3, #ARGV do redis.call('ZADD', KEYS[1], now, ARGV[i]) end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
"""
"""KEYS: the person's visits. ARGV: seconds to live, the rank of the latest one that leaves, session ids."""

COMPARE_AND_SET = """
if redis.call('GETRANGE', KEYS[1], 0, ARGV[4] - 1) == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
    return 1
end
return 0
"""
"""A blob replaces only the one it was made from, so a late write-back cannot undo somebody's newer event."""


@dataclass(frozen=True, slots=True)
class BlobWrite:
    """replaced: the blob that was read before, b"" for none, None for whatever is there. blob: takes its place."""

    user_id: str
    replaced: bytes | None
    blob: bytes


class World(NamedTuple):
    """A Redis. run_id: of its process. marker: what stands under `WORLD_KEY`, b"" for nothing."""

    run_id: str
    marker: bytes


class RedisPeople:
    """Blobs by user id. connect_seconds and read_seconds bound a trip; ttl_seconds: how long a blob stays.

    recovery: is begun where this is another Redis than before, was emptied, or was away. is_watched: whether Redis is
    to tell of changes.
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
        """The watch under which it was found out."""
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
        """Whether the latest trip to Redis did; None before the first."""
        return self._circuit.came_back

    @property
    def is_up(self) -> bool:
        """False while the circuit keeps requests away."""
        return self._circuit.state is CircuitState.CLOSED

    @property
    def world(self) -> str:
        """Which Redis this is, and which of its lives; another word means that people in it may be lost. "" before
        the first trip.
        """
        return "" if self._world is None else f"{self._world.run_id}:{self._world.marker.decode('latin-1')}"

    async def look(self) -> str:
        """See which Redis this is, marking it if it is new; `world`. Raises RedisUnavailable."""
        for _ in range(2):
            self._is_mark_wanted = True
            await self.read("")
            if self._world is not None and self._world.marker:
                break
            await self._marked()
        return self.world

    async def doubt(self) -> None:
        """What stands there of a person is not what was written. What is known here may take its place after this; it
        may lack what others knew.

        So all replicas are told first, as of another Redis, to merge again what they have on disk. Until they have,
        but for `SETTLE_SECONDS` at least, they say that answers may be of before. What is doubted within
        `DOUBT_AGAIN_SECONDS`, which is less, they are told together at the end of these. Raises RedisUnavailable.
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
        """A person's blob, None where there is none. Raises RedisUnavailable, at once or in the future."""
        self._circuit.check()
        return self._reads.ask(user_id)

    async def write(self, write: BlobWrite) -> bool:
        """Store a blob; False where another writer was faster.

        Raises RedisUnavailable, and HistoryUnwritable where Redis refuses to write this very key.
        """
        is_stored: bool = await self._asked(Query(self._write_command(write), _is_stored))
        return is_stored

    def write_later(self, write: BlobWrite) -> None:
        """Store a blob if that can be; nobody waits to hear of it."""
        if self.is_up and self._writes.n_waiting < MAX_WAITING_WRITES:
            query = Query(self._write_command(write), _is_stored)
            self._writes.ask(query).add_done_callback(
                lambda future: future.exception()
            )  # the trip has logged it

    async def link(self, user_id: str, session_ids: Iterable[str]) -> None:
        """Note that these visits were a person's. Raises RedisUnavailable and HistoryUnwritable."""
        settings = (self._ttl_seconds, -MAX_VISITS - 1)
        await self._asked(Query(("EVAL", LINK, 1, VISITS_PREFIX + user_id, *settings, *session_ids), nothing))

    async def links(self, user_id: str) -> frozenset[str]:
        """The visits that were noted of a person. Raises RedisUnavailable."""
        found: frozenset[str] = await self._asked(
            Query(("ZRANGE", VISITS_PREFIX + user_id, 0, MAX_VISITS), _session_ids)
        )
        return found

    async def unlink(self, user_id: str) -> None:
        """Note none of a person's visits any more. Raises RedisUnavailable."""
        await self._asked(Query(("DEL", VISITS_PREFIX + user_id), nothing))

    async def _asked(self, query: Query) -> Any:
        """Raises RedisUnavailable, and HistoryUnwritable where Redis refuses it for what stands under its key."""
        if not self.is_up or self._writes.n_waiting >= MAX_WAITING_WRITES:
            raise RedisUnavailable("Redis is away, or too many writes wait for it")
        answer = await self._writes.ask(query)
        if isinstance(answer, Refused):
            raise HistoryUnwritable(answer.said)
        return answer

    async def close(self) -> None:
        """Finish writes under way and disconnect."""
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
        """Somebody wrote under `WORLD_KEY`, and people's blobs after it may lack what they did."""
        self._is_mark_wanted = True
        if self._world is not None and self._world.marker:
            self._recovery.begin()

    def _beat(self) -> None:
        """Ask for nobody: a reply is all that is wanted, and a trip that fails ends the watch."""
        self._reads.ask("").add_done_callback(lambda future: future.exception())  # the trip has logged it

    async def _read_trip(self, user_ids: Sequence[str]) -> list[bytes | None]:
        keys = [KEY_PREFIX + user_id for user_id in user_ids]
        # As long as Redis tells of changes it tells of its being emptied too, and another one is another connection.
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
        elif self.watch.number != watch_number:  # emptied while this was on its way
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
        """This is the Redis that answered."""
        before, self._world = self._world, world
        # A watch that began with the trip itself has seen nothing go missing before it.
        self._world_watch = watch_number or self.watch.number
        if not world.marker:
            self._mark_later()
        if before is None or before == world or before == World(world.run_id, b""):
            return  # the last: it has only been marked since
        logger.warning("Redis is another one, or was emptied: what people did is merged again")
        self._recovery.begin()

    async def _marked(self) -> None:
        """Mark a new Redis, unless somebody else does. Raises RedisUnavailable."""
        await self._writes.ask(_mark())

    def _mark_later(self) -> None:
        if monotonic() - self._marked_at >= MARK_AGAIN_SECONDS:  # it may be read-only, or full
            self._marked_at = monotonic()
            self._writes.ask(_mark()).add_done_callback(
                lambda future: future.exception()
            )  # the trip has logged it

    def _write_command(self, write: BlobWrite) -> Command:
        key = KEY_PREFIX + write.user_id
        if write.replaced is None:
            return ("SET", key, write.blob, "EX", self._ttl_seconds)
        # A header names all behind it by its checksum; what the line garbled may have the header of what is there.
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
            # One late reply is no sign that Redis was away, but looks so where nobody asks for a while after it.
            self._looking_again = asyncio.get_running_loop().call_later(AWAY_SECONDS / 2, self._beat)
        self._circuit.failed()
        # Others may meet the like, and then cannot write what they merge. One reply that is late is no sign of it.
        if not isinstance(error.__cause__, TimeoutError):
            self._recovery.go_on()
        logger.warning("a trip to Redis failed: %s", error)


def _is_stored(reply: Reply) -> bool:
    return reply == b"OK" or whole_number(reply) == 1


def _mark(*, only_if_none: bool = True) -> Query:
    command: Command = ("SET", WORLD_KEY, secrets.token_hex(8))
    return Query((*command, "NX") if only_if_none else command, nothing)


def _session_ids(reply: Reply) -> frozenset[str]:
    """Without those that are no text, which no shop's id is."""
    found = [value(each) for each in array(reply)]
    return frozenset(each.decode("utf-8", "ignore") for each in found if each)


class _Told:
    """What the reading connection is told, by key, as people. beat: called each second of a watch. marked: called
    where `WORLD_KEY` was written.
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
    """Whose key this is; "" for one that is nobody's: anybody may write any bytes to Redis."""
    try:
        return key.removeprefix(_PREFIX).decode()
    except UnicodeDecodeError:
        return ""
