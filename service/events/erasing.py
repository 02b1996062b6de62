"""A person is forgotten: caches, histories, spool and log, here at once and everywhere as soon as it can be reached.

What is to be forgotten is written down first, durably, and is carried out again by whoever reads it: other workers of
this machine from a file, other machines from a stream of erasures, exports from both.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from functools import partial
from time import monotonic
from typing import NamedTuple

import msgspec

from service.errors import RedisUnavailable
from service.events.clock import ReceivingClock
from service.events.shipping import Look
from service.events.stream import add_erasure_command, delete_command
from service.events.thread import SpoolThread
from service.experiments.exposures import ExposureLog
from service.histories.blobs import BlobCorrupt, BlobOutdated, decode_person
from service.histories.connection import Connection
from service.histories.lookup import People
from service.histories.memory import PeopleInMemory
from service.histories.redis import RedisPeople
from service.histories.replies import StreamEntry, entries, nothing, whole_number
from service.log.erasures import ErasedPeople, ErasureFile
from service.log.records import (
    EVENTS_STREAM,
    EXPOSURES_STREAM,
    RECORD_FIELD,
    ErasureRecord,
    EventRecord,
    ExposureRecord,
)
from service.log.spool import Spool
from service.schemas import ErasurePlace, ErasureReply
from service.tiers import LastGoodAnswers

logger = logging.getLogger(__name__)

SCAN_ENTRIES = 1000

LATE_SECONDS = 5.0
"""After an erasure, by when every worker knows of it. What one of them sent before that is looked for once more."""


_EVENT = msgspec.msgpack.Decoder(EventRecord)
_EXPOSURE = msgspec.msgpack.Decoder(ExposureRecord)


SKEW_MS = 1000
"""Between the replica that answered and the one that was asked to forget."""


class _Late(NamedTuple):
    """Exposures behind this entry are to be looked through again. due_at: seconds of `monotonic`."""

    due_at: float
    after: str
    record: ErasureRecord


class Eraser:
    """redis: a connection for the streams and the people, exposures: those that wait; None runs without."""

    def __init__(
        self,
        spool: Spool,
        file: ErasureFile,
        thread: SpoolThread,
        clock: ReceivingClock,
        erased: ErasedPeople,
        people: People,
        memory: PeopleInMemory,
        last_good: LastGoodAnswers,
        redis: tuple[Connection, RedisPeople] | None,
        exposures: ExposureLog | None,
    ) -> None:
        self._spool = spool
        self._file = file
        self._thread = thread
        self._clock = clock
        self._erased = erased
        self._people = people
        self._memory = memory
        self._last_good = last_good
        self._redis = redis
        self._exposures = exposures
        self._one_at_a_time = asyncio.Lock()
        self._told_ms: dict[str, int] = {}
        self._late: list[_Late] = []
        self._unspooled: dict[str, ErasureRecord] = {}
        self._incarnation = ""

    async def erase(self, user_id: str) -> ErasureReply:
        """Forget a person. Raises SpoolUnavailable, and then nothing was erased."""
        moment = self._clock.after(self._clock.received_ms())
        record = ErasureRecord(secrets.token_hex(16), user_id, moment)
        # Else a look at the file might be faster, and nothing be left to tell of.
        async with self._one_at_a_time:
            await self._thread.run(partial(self._file.append, record))
            removed = Counter(await self._here(record))
            pending: list[ErasurePlace] = ["spool"] if user_id in self._unspooled else []
            try:
                removed.update(await self._in_redis(record))
            except RedisUnavailable as error:
                logger.warning("an erasure waits for Redis: %s", error)
                pending += ["histories", "events", "exposures"]
        return ErasureReply(user_id, dict(removed), pending)

    async def recover(self) -> None:
        """Know again who is to be forgotten, before anything else is read."""
        await self._follow_file()

    async def follow(self, look: Look | None) -> None:
        """Carry out what others were asked to forget, and what Redis was not told of yet. Raises RedisUnavailable."""
        async with self._one_at_a_time:
            await self._follow_file()
            for record in list(self._unspooled.values()):
                await self._in_spool(record)
            if look is None:
                return
            if self._incarnation and not _is_same_log(self._incarnation, look.incarnation):
                self._told_ms.clear()
            for record in look.erasures:
                await self._follow_told(record)
            for user_id, moment in list(self._erased.by_user_id.items()):
                if self._told_ms.get(user_id, -1) < moment:
                    await self._in_redis(ErasureRecord(secrets.token_hex(16), user_id, moment))
            self._incarnation = look.incarnation
            await self._look_again()

    async def _follow_told(self, record: ErasureRecord) -> None:
        self._told_ms[record.user_id] = max(record.received_ms, self._told_ms.get(record.user_id, 0))
        if self._erased.add(record):
            await self._thread.run(partial(self._file.append, record))
            await self._here(record)

    async def _follow_file(self) -> None:
        for record in await self._thread.run(self._file.follow):
            if self._erased.add(record):
                await self._here(record)

    async def _here(self, record: ErasureRecord) -> dict[ErasurePlace, int]:
        """In this process and its spool."""
        user_id = record.user_id
        self._erased.add(record)
        self._clock.not_before(record.received_ms)
        removed: dict[ErasurePlace, int] = {
            "memory": int(user_id in self._memory),
            "last_good": int(self._last_good.forget(user_id)),
        }
        self._people.mark_erased(user_id)
        if self._redis is None:
            await self._people.erase(user_id)
        if self._exposures is not None:
            removed["exposures"] = await self._exposures.forget(user_id)
        n_spooled = await self._in_spool(record)
        if n_spooled is not None:
            removed["spool"] = n_spooled
        return removed

    async def _in_spool(self, record: ErasureRecord) -> int | None:
        """How many events there were; None where the disk does not let them be taken out yet."""
        self._unspooled.pop(record.user_id, None)
        try:
            return await self._thread.run(partial(self._spool.erase, record.user_id, record.received_ms))
        except OSError as error:
            logger.error("an erasure waits for the spool's disk: %s", error)
            self._unspooled[record.user_id] = record
            return None

    async def _in_redis(self, record: ErasureRecord) -> dict[ErasurePlace, int]:
        """In everybody's histories and streams. Raises RedisUnavailable; asked again it goes on."""
        if self._redis is None:
            return {}
        connection, histories = self._redis
        try:
            blob = await histories.read(record.user_id)
        finally:
            await self._people.erase(record.user_id)  # here even where Redis is away
        removed: dict[ErasurePlace, int] = {"histories": int(_has_events(blob, record.user_id))}
        removed["events"], _ = await self._delete(connection, EVENTS_STREAM, record)
        removed["exposures"], end = await self._delete(connection, EXPOSURES_STREAM, record)
        await connection.ask_one(add_erasure_command(record), nothing)
        self._told_ms[record.user_id] = record.received_ms
        self._late.append(_Late(monotonic() + LATE_SECONDS, end, record))
        return removed

    async def _look_again(self) -> None:
        """Delete what others sent of a person before they knew. Raises RedisUnavailable; asked again it goes on."""
        while self._redis is not None and self._late and self._late[0].due_at <= monotonic():
            _, after, record = self._late[0]
            await self._delete(self._redis[0], EXPOSURES_STREAM, record, after)
            del self._late[0]

    async def _delete(
        self, connection: Connection, stream: str, record: ErasureRecord, after: str = "-"
    ) -> tuple[int, str]:
        """Walk a stream and delete what is of the person; how many entries there were, and where it ended."""
        n_deleted = 0
        while True:
            page = await connection.ask_one(("XRANGE", stream, after, "+", "COUNT", SCAN_ENTRIES), entries)
            theirs = [entry.entry_id for entry in page if _is_theirs(stream, entry, record)]
            if theirs:
                n_deleted += await connection.ask_one(delete_command(stream, theirs), whole_number)
            if page:
                after = f"({page[-1].entry_id.decode()}"
            if len(page) < SCAN_ENTRIES:
                return n_deleted, after


def _is_theirs(stream: str, entry: StreamEntry, record: ErasureRecord) -> bool:
    """One that cannot be read is theirs if their id stands in it, whoever wrote it."""
    raw = entry.field(RECORD_FIELD) or b"".join(entry.fields)
    try:
        if stream == EXPOSURES_STREAM:
            exposure = _EXPOSURE.decode(raw)
            return exposure.user_id == record.user_id and exposure.asked_ms < record.received_ms + SKEW_MS
        event = _EVENT.decode(raw)
    except msgspec.MsgspecError:
        return record.user_id.encode() in raw
    return event.user_id == record.user_id and event.received_ms < record.received_ms


def _is_same_log(before: str, now: str) -> bool:
    """Whether a Redis still has what it had; a log that was empty and has begun since is the same."""
    return before == now or (before.endswith(":") and now.startswith(before))


def _has_events(blob: bytes | None, key: str) -> bool:
    try:
        return blob is not None and len(decode_person(blob, key).events) > 0
    except (BlobCorrupt, BlobOutdated):
        return True  # whatever it held, it is gone
