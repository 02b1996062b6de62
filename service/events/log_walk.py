"""Walks through the streams of the live log and deletes the entries of people who are to be forgotten."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from service.events.stream import delete_command
from service.log.erasures import is_covered
from service.log.records import (
    EXPOSURES_STREAM,
    RECORD_FIELD,
    ErasureRecord,
    EventRecord,
    ExposureRecord,
)
from service.redis.connection import Connection
from service.redis.replies import StreamEntry, entries, whole_number

SCAN_ENTRIES = 1000

SKEW_MS = 1000
"""The tolerated clock difference between the replica that answered and the one that was asked to erase."""

_EVENT = msgspec.msgpack.Decoder(EventRecord)
_EXPOSURE = msgspec.msgpack.Decoder(ExposureRecord)


class LogWalk:
    """records: what is to be forgotten, by the person's or visit's key. now_ms: the present, Unix milliseconds.

    session_ids: visits that were sent with one of these people's ids, found so far by the walk.
    """

    def __init__(self, connection: Connection, records: Mapping[str, ErasureRecord], now_ms: int) -> None:
        self._connection = connection
        self._records = records
        self._now_ms = now_ms
        self.session_ids: set[str] = set()

    async def delete(self, stream: str, after: str = "-") -> tuple[int, str]:
        """Delete entries from `after` on; return their number and the stream's end. Raises RedisUnavailable."""
        n_deleted = 0
        while True:
            command = ("XRANGE", stream, after, "+", "COUNT", SCAN_ENTRIES)
            page = await self._connection.ask_one(command, entries)
            theirs = [entry.entry_id for entry in page if self._is_theirs(stream, entry)]
            if theirs:
                n_deleted += await self._connection.ask_one(delete_command(stream, theirs), whole_number)
            if page:
                after = f"({page[-1].entry_id.decode()}"
            if len(page) < SCAN_ENTRIES:
                return n_deleted, after

    def _is_theirs(self, stream: str, entry: StreamEntry) -> bool:
        """Whether an entry belongs to them. One that cannot be decoded does if their id stands in it."""
        raw = entry.field(RECORD_FIELD) or b"".join(entry.fields)
        record: ExposureRecord | EventRecord
        try:
            if stream == EXPOSURES_STREAM:
                record = exposure = _EXPOSURE.decode(raw)
                moment = exposure.asked_ms - SKEW_MS
            else:
                record = event = _EVENT.decode(raw)
                moment = event.received_ms
        except msgspec.MsgspecError:
            return any(key.removeprefix("\0").encode() in raw for key in self._records)
        erasure = self._records.get(record.person_key)
        if erasure is None or not is_covered(erasure, moment, self._now_ms):
            return False
        if record.user_id is not None and record.session_id is not None:
            self.session_ids.add(record.session_id)
        return True
