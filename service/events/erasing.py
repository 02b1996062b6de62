"""Forgets a person or a visit in caches, histories, spool and log: here at once, elsewhere when it is reachable.
Visits that were sent with a person's id are forgotten with the person.

Each erasure is first recorded durably, and whoever reads the record carries it out again: other workers of this
machine from a file, other machines from a stream of erasures, exports from both.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import NamedTuple

from service.answers.exposures import ExposureLog
from service.answers.tiers import LastGoodAnswers
from service.contract.errors import HistoryUnwritable, RedisUnavailable
from service.contract.schemas import ErasurePlace
from service.events.clock import ReceivingClock
from service.events.log_walk import LogWalk
from service.events.merging import Merger
from service.events.set_aside import SetAside
from service.events.shipping import Look
from service.events.stream import add_erasure_command
from service.events.thread import SpoolThread
from service.log.erasures import ErasedPeople, ErasureFile
from service.log.records import EVENTS_STREAM, EXPOSURES_STREAM, ErasureRecord, session_key
from service.log.spool import Spool
from service.people.blobs import BlobCorrupt, BlobOutdated, decode_person
from service.people.lookup import People
from service.people.memory import PeopleInMemory
from service.people.redis import RedisPeople
from service.redis.connection import Connection
from service.redis.replies import nothing

logger = logging.getLogger(__name__)

LATE_SECONDS = 5.0
"""How long after an erasure every worker knows of it. What a worker sent before is then looked for once more."""

HISTORIES_AT_ONCE = 100

MERGE_WAIT_SECONDS = 1.0
"""How long an erasure waits for a merge of the same person under way; a later merge knows of the erasure."""

Removed = Counter[ErasurePlace]


class Erased(NamedTuple):
    """removed: how much was erased, by place. pending: places that cannot be reached now."""

    removed: dict[ErasurePlace, int]
    pending: list[ErasurePlace]


class Disk(NamedTuple):
    """What lies on this machine's disk, with the only thread that may touch it."""

    spool: Spool
    file: ErasureFile
    thread: SpoolThread


class Caches(NamedTuple):
    """What this process holds of people. exposures: answers that wait to be sent; None without Redis."""

    people: People
    memory: PeopleInMemory
    last_good: LastGoodAnswers
    merger: Merger
    aside: SetAside
    exposures: ExposureLog | None


class _Late(NamedTuple):
    """Exposures after the entry `after` are to be searched again. due_at: `monotonic` seconds."""

    due_at: float
    after: str
    records: Mapping[str, ErasureRecord]


class Eraser:
    """redis: a connection for the streams, and the histories; None runs without Redis."""

    def __init__(
        self,
        disk: Disk,
        clock: ReceivingClock,
        erased: ErasedPeople,
        caches: Caches,
        redis: tuple[Connection, RedisPeople] | None,
    ) -> None:
        self._disk = disk
        self._clock = clock
        self._erased = erased
        self._caches = caches
        self._redis = redis
        self._one_at_a_time = asyncio.Lock()
        self._told_ms: dict[str, int] = {}
        """The moment of each erasure as Redis has it, in Unix milliseconds, by the erasure's id."""
        self._untold: dict[str, ErasureRecord] = {}
        """Erasures that Redis does not know of, by id."""
        self._late: list[_Late] = []
        self._unspooled: set[str] = set()
        self._incarnation = ""

    async def erase_person(self, user_id: str) -> Erased:
        """Forget a person and their visits. Raises SpoolUnavailable; then nothing was erased."""
        async with self._one_at_a_time:
            session_ids = await self._visits(user_id)
            return await self._erase([user_id, *map(session_key, session_ids)])

    async def erase_visit(self, session_id: str) -> Erased:
        """Forget what a visit without a person did. Raises SpoolUnavailable; then nothing was erased."""
        async with self._one_at_a_time:
            return await self._erase([session_key(session_id)])

    async def recover(self) -> None:
        """Read who is to be forgotten, before anything else is read."""
        await self._follow_file()

    async def follow(self, look: Look | None) -> None:
        """Carry out erasures asked of others, and tell Redis of those it does not know. Raises RedisUnavailable.

        look: None if Redis is away or there is none.
        """
        async with self._one_at_a_time:
            await self._follow_file()
            for key in list(self._unspooled):
                await self._in_spool(key)
            if look is None:
                return
            if self._incarnation and not _is_same_log(self._incarnation, look.incarnation):
                self._told_ms.clear()
                self._untold = {record.event_id: record for record in self._erased}
            await self._follow_told(look.erasures)
            await self._in_redis(list(self._untold.values()))
            self._incarnation = look.incarnation
            await self._look_again()

    async def _erase(self, keys: Iterable[str]) -> Erased:
        moment = self._clock.later_ms()
        records = [ErasureRecord(secrets.token_hex(16), key, moment) for key in keys]
        await self._write(records)
        self._note(records)
        removed = await self._here(_keys(records))
        pending: list[ErasurePlace] = ["spool"] if self._unspooled.intersection(_keys(records)) else []
        try:
            removed.update(await self._in_redis(records))
        except RedisUnavailable as error:
            logger.warning("an erasure waits for Redis: %s", error)
            pending += ["histories", "events", "exposures"]
        return Erased(dict(removed), pending)

    async def _visits(self, user_id: str) -> frozenset[str]:
        """Find visits sent with this id; those that only the log knows are found by the walk through it."""
        on_disk = await self._disk.thread.run(partial(self._disk.spool.session_ids, user_id))
        try:
            return on_disk | await self._caches.people.visits(user_id)
        except (RedisUnavailable, HistoryUnwritable) as error:
            logger.warning("visits of a person that only Redis knows are not forgotten yet: %s", error)
            return on_disk

    async def _follow_told(self, records: Sequence[ErasureRecord]) -> None:
        new = self._note(records)
        for record in records:
            told_ms = min(self._told_ms.get(record.event_id, record.received_ms), record.received_ms)
            self._told_ms[record.event_id] = told_ms
            untold = self._untold.get(record.event_id)
            if untold is not None and told_ms <= untold.received_ms:
                del self._untold[record.event_id]
        await self._write([*new, *self._note(self._erased.wrong())])
        await self._here(_keys(new))

    async def _follow_file(self) -> None:
        """Apply all new records before erasing anything: a later one may correct an earlier one."""
        file = self._disk.file
        if len(self._erased) and not await self._disk.thread.run(lambda: file.is_there):
            logger.error("the list of who is to be forgotten was deleted; it is written again")
            await self._write(list(self._erased))
        new = self._note(await self._disk.thread.run(file.follow))
        await self._write(self._note(self._erased.wrong()))
        await self._here(_keys(new))

    def _note(self, records: Iterable[ErasureRecord]) -> list[ErasureRecord]:
        """Note records; return those that add anything new."""
        new = [record for record in records if self._erased.add(record)]
        self._untold.update((record.event_id, record) for record in new)
        for record in new:
            self._clock.not_before(record.received_ms)
        return new

    async def _write(self, records: Sequence[ErasureRecord]) -> None:
        if records:
            await self._disk.thread.run(partial(self._disk.file.append, records))

    async def _here(self, keys: Collection[str]) -> Removed:
        """Erase these people and visits in this process and its spool, as far as erasures are known."""
        removed: Removed = Counter()
        for key in keys:
            await self._caches.merger.wait_for(key, MERGE_WAIT_SECONDS)
            removed["memory"] += key in self._caches.memory
            removed["last_good"] += self._caches.last_good.forget(key)
            self._caches.people.mark_erased(key)
            self._caches.aside.done(key)
            if self._redis is None:
                await self._caches.people.erase(key)
            if self._caches.exposures is not None:
                removed["exposures"] += await self._caches.exposures.forget(key)
            removed["spool"] += await self._in_spool(key)
        return removed

    async def _in_spool(self, key: str) -> int:
        """Erase events in the spool and return their number. If the disk fails, the erasure is tried again later."""
        self._unspooled.discard(key)
        erase = partial(self._disk.spool.erase, key, self._erased.coverage(key))
        try:
            return await self._disk.thread.run(erase)
        except OSError as error:
            logger.error("an erasure waits for the spool's disk: %s", error)
            self._unspooled.add(key)
            return 0

    async def _in_redis(self, records: Sequence[ErasureRecord]) -> Removed:
        """Erase in all histories and streams. Raises RedisUnavailable; the next call continues."""
        removed: Removed = Counter()
        if self._redis is None or not records:
            return removed
        connection, _ = self._redis
        fresh = {record.user_id: record for record in records if record.event_id not in self._told_ms}
        visits = await self._linked(fresh)
        records, fresh = [*records, *visits.values()], fresh | visits
        walk = LogWalk(connection, fresh, self._erased.now_ms())
        if fresh:
            removed["histories"] = await self._in_histories(list(fresh))
            removed["events"], _ = await walk.delete(EVENTS_STREAM)
            removed["exposures"], end = await walk.delete(EXPOSURES_STREAM)
            self._late.append(_Late(monotonic() + LATE_SECONDS, end, fresh))
        await self._tell(connection, records)
        removed.update(await self._found_on_the_way(walk, fresh))
        return removed

    async def _linked(self, fresh: Mapping[str, ErasureRecord]) -> dict[str, ErasureRecord]:
        """Record erasures of these people's visits that only Redis knows of, as of the same moment.

        They are written down here before Redis forgets whose visits they were. Raises RedisUnavailable.
        """
        assert self._redis is not None
        found: dict[str, ErasureRecord] = {}
        for key, record in fresh.items():
            session_ids: frozenset[str] = frozenset()
            with suppress(HistoryUnwritable):  # something else stands under the key and names no visit
                session_ids = await self._redis[1].links(key)
            for visit in map(session_key, session_ids):
                if visit not in fresh and not self._erased.covers_moment(visit, record.received_ms):
                    found[visit] = ErasureRecord(secrets.token_hex(16), visit, record.received_ms)
        await self._write(list(found.values()))
        self._note(found.values())
        await self._here(found)
        return found

    async def _found_on_the_way(self, walk: LogWalk, records: Mapping[str, ErasureRecord]) -> Removed:
        """Erase these people's visits that only the log knew of, as of the same moment."""
        keys = {session_key(session_id) for session_id in walk.session_ids} - set(records)
        if not keys:
            return Counter()
        moment = max(record.received_ms for record in records.values())
        more = [ErasureRecord(secrets.token_hex(16), key, moment) for key in sorted(keys)]
        await self._write(more)
        self._note(more)
        removed = await self._here(keys)
        removed.update(await self._in_redis(more))
        return removed

    async def _tell(self, connection: Connection, records: Sequence[ErasureRecord]) -> None:
        await connection.ask(list(map(add_erasure_command, records)), nothing)
        for record in records:
            self._told_ms[record.event_id] = record.received_ms
            self._untold.pop(record.event_id, None)

    async def _in_histories(self, keys: Sequence[str]) -> int:
        """Erase histories; return how many people had one."""
        n_histories = 0
        for start in range(0, len(keys), HISTORIES_AT_ONCE):
            some = keys[start : start + HISTORIES_AT_ONCE]
            n_histories += sum(await asyncio.gather(*map(self._in_history, some)))
        return n_histories

    async def _in_history(self, key: str) -> bool:
        assert self._redis is not None
        try:
            blob = await self._redis[1].read(key)
        finally:
            await self._caches.people.erase(key)  # even if Redis is away, it is erased here
        return _has_events(blob, key)

    async def _look_again(self) -> None:
        """Delete what other workers logged before they knew. Raises RedisUnavailable; the next call continues."""
        while self._redis is not None and self._late and self._late[0].due_at <= monotonic():
            late = self._late[0]
            walk = LogWalk(self._redis[0], late.records, self._erased.now_ms())
            await walk.delete(EXPOSURES_STREAM, late.after)
            del self._late[0]


def _keys(records: Iterable[ErasureRecord]) -> list[str]:
    """The keys of these people and visits, each once."""
    return list(dict.fromkeys(record.user_id for record in records))


def _is_same_log(before: str, now: str) -> bool:
    """Whether Redis still has its log; a log that was empty and has begun since is the same."""
    return before == now or (before.endswith(":") and now.startswith(before))


def _has_events(blob: bytes | None, key: str) -> bool:
    try:
        return blob is not None and len(decode_person(blob, key).events) > 0
    except (BlobCorrupt, BlobOutdated):
        return True  # whatever the history held, it is gone
