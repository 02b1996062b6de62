"""A person, or a visit, is forgotten: caches, histories, spool and log, here at once and everywhere as soon as it can
be reached. The visits that were sent with a person's id go with the person.

What is to be forgotten is written down first, durably, and is carried out again by whoever reads it: other workers of
this machine from a file, other machines from a stream of erasures, exports from both.
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
"""After an erasure, by when every worker knows of it. What one of them sent before that is looked for once more."""

HISTORIES_AT_ONCE = 100

MERGE_WAIT_SECONDS = 1.0
"""How long an erasure waits for a merge of the same person that is under way; a later one knows of the erasure."""

Removed = Counter[ErasurePlace]


class Erased(NamedTuple):
    """removed: how much there was, by place. pending: places that are away."""

    removed: dict[ErasurePlace, int]
    pending: list[ErasurePlace]


class Disk(NamedTuple):
    """What is on this machine's disk, and the thread that may touch it."""

    spool: Spool
    file: ErasureFile
    thread: SpoolThread


class Caches(NamedTuple):
    """What this process holds of people. exposures: answers that wait to be sent, None where there is no Redis."""

    people: People
    memory: PeopleInMemory
    last_good: LastGoodAnswers
    merger: Merger
    aside: SetAside
    exposures: ExposureLog | None


class _Late(NamedTuple):
    """Exposures behind this entry are to be looked through again. due_at: seconds of `monotonic`."""

    due_at: float
    after: str
    records: Mapping[str, ErasureRecord]


class Eraser:
    """redis: a connection for the streams, and the people; None runs without."""

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
        """By an erasure's id, the moment that Redis knows of it."""
        self._untold: dict[str, ErasureRecord] = {}
        """By an erasure's id, what Redis does not know of."""
        self._late: list[_Late] = []
        self._unspooled: set[str] = set()
        self._incarnation = ""

    async def erase_person(self, user_id: str) -> Erased:
        """Forget a person and their visits. Raises SpoolUnavailable, and then nothing was erased."""
        async with self._one_at_a_time:
            session_ids = await self._visits(user_id)
            return await self._erase([user_id, *map(session_key, session_ids)])

    async def erase_visit(self, session_id: str) -> Erased:
        """Forget what a visit of nobody in particular did. Raises SpoolUnavailable, and then nothing was erased."""
        async with self._one_at_a_time:
            return await self._erase([session_key(session_id)])

    async def recover(self) -> None:
        """Know again who is to be forgotten, before anything else is read."""
        await self._follow_file()

    async def follow(self, look: Look | None) -> None:
        """Carry out what others were asked to forget, and what Redis was not told of yet. Raises RedisUnavailable.

        look: None where Redis is away, or there is none.
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
        """Visits that were sent with this id; those that only the log knows are found when it is walked through."""
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
        """All of the news first: an erasure may be corrected further down."""
        file = self._disk.file
        if len(self._erased) and not await self._disk.thread.run(lambda: file.is_there):
            logger.error("the list of who is to be forgotten was deleted; it is written again")
            await self._write(list(self._erased))
        new = self._note(await self._disk.thread.run(file.follow))
        await self._write(self._note(self._erased.wrong()))
        await self._here(_keys(new))

    def _note(self, records: Iterable[ErasureRecord]) -> list[ErasureRecord]:
        """Those that say anything new."""
        new = [record for record in records if self._erased.add(record)]
        self._untold.update((record.event_id, record) for record in new)
        for record in new:
            self._clock.not_before(record.received_ms)
        return new

    async def _write(self, records: Sequence[ErasureRecord]) -> None:
        if records:
            await self._disk.thread.run(partial(self._disk.file.append, records))

    async def _here(self, keys: Collection[str]) -> Removed:
        """In this process and its spool, what is known to be erased of these people and visits."""
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
        """How many events there were; it is tried again later where the disk does not let them be taken out."""
        self._unspooled.discard(key)
        erase = partial(self._disk.spool.erase, key, self._erased.coverage(key))
        try:
            return await self._disk.thread.run(erase)
        except OSError as error:
            logger.error("an erasure waits for the spool's disk: %s", error)
            self._unspooled.add(key)
            return 0

    async def _in_redis(self, records: Sequence[ErasureRecord]) -> Removed:
        """In everybody's histories and streams. Raises RedisUnavailable; asked again it goes on."""
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
        """Visits of these people that Redis alone knows of, which are to be forgotten as of the same moment: it is
        written down here, before Redis forgets that they were theirs. Raises RedisUnavailable.
        """
        assert self._redis is not None
        found: dict[str, ErasureRecord] = {}
        for key, record in fresh.items():
            session_ids: frozenset[str] = frozenset()
            with suppress(HistoryUnwritable):  # something else stands there, which names no visit
                session_ids = await self._redis[1].links(key)
            for visit in map(session_key, session_ids):
                if visit not in fresh and not self._erased.covers_moment(visit, record.received_ms):
                    found[visit] = ErasureRecord(secrets.token_hex(16), visit, record.received_ms)
        await self._write(list(found.values()))
        self._note(found.values())
        await self._here(found)
        return found

    async def _found_on_the_way(self, walk: LogWalk, records: Mapping[str, ErasureRecord]) -> Removed:
        """Visits of these people that only the log knew of: they are forgotten as of the same moment."""
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
        """How many of them had one."""
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
            await self._caches.people.erase(key)  # here even where Redis is away
        return _has_events(blob, key)

    async def _look_again(self) -> None:
        """Delete what others sent of a person before they knew. Raises RedisUnavailable; asked again it goes on."""
        while self._redis is not None and self._late and self._late[0].due_at <= monotonic():
            late = self._late[0]
            walk = LogWalk(self._redis[0], late.records, self._erased.now_ms())
            await walk.delete(EXPOSURES_STREAM, late.after)
            del self._late[0]


def _keys(records: Iterable[ErasureRecord]) -> list[str]:
    """Of these people and visits, each once."""
    return list(dict.fromkeys(record.user_id for record in records))


def _is_same_log(before: str, now: str) -> bool:
    """Whether a Redis still has what it had; a log that was empty and has begun since is the same."""
    return before == now or (before.endswith(":") and now.startswith(before))


def _has_events(blob: bytes | None, key: str) -> bool:
    try:
        return blob is not None and len(decode_person(blob, key).events) > 0
    except (BlobCorrupt, BlobOutdated):
        return True  # whatever it held, it is gone
