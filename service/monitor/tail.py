"""Reads the live log from Redis, from where the last run stopped, and counts records trimmed unread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from time import time
from typing import Any, NamedTuple, TypeAlias, cast

import msgspec
import redis

from service.log.records import (
    ERASURES_STREAM,
    EVENTS_STREAM,
    EXPOSURES_STREAM,
    RECORD_FIELD,
    ErasureRecord,
    EventRecord,
    ExposureRecord,
    deleted_key,
)
from service.monitor.metrics import MonitorMetrics

logger = logging.getLogger(__name__)

Record: TypeAlias = EventRecord | ExposureRecord | ErasureRecord

STATE_KEY = "stillroom:monitor:state"
"""A hash: a cursor by stream, and other state that outlives a monitor."""

STREAMS = {"events": EVENTS_STREAM, "exposures": EXPOSURES_STREAM, "erasures": ERASURES_STREAM}
BEGINNING = b"0-0"
PAGE_RECORDS = 1_000
BLOCK_MS = 500

_DECODERS: dict[str, Callable[[bytes], Record]] = {
    "events": msgspec.msgpack.Decoder(EventRecord).decode,
    "exposures": msgspec.msgpack.Decoder(ExposureRecord).decode,
    "erasures": msgspec.msgpack.Decoder(ErasureRecord).decode,
}


class EntryId(NamedTuple):
    """The id of a stream's entry; later entries compare greater."""

    unix_ms: int
    number: int

    @staticmethod
    def read(raw: bytes) -> EntryId:
        """Parse an id such as 1700000000000-0."""
        unix_ms, _, number = raw.partition(b"-")
        return EntryId(int(unix_ms), int(number or b"0"))


class LogTail:
    """client: of Redis, with replies as bytes. Every method may raise redis.RedisError; call it again later."""

    def __init__(self, client: redis.Redis, metrics: MonitorMetrics) -> None:
        self._client = client
        self._metrics = metrics
        self._cursors = dict.fromkeys(STREAMS, BEGINNING)
        self._is_checked = False

    def resume(self) -> dict[str, bytes]:
        """Go to where the last run stopped; return the state that it left, by name."""
        state = cast(dict[bytes, bytes], self._client.hgetall(STATE_KEY))
        left = {name.decode(): value for name, value in state.items()}
        self._cursors = {name: left.get(f"cursor:{name}", BEGINNING) for name in STREAMS}
        return left

    def save(self, state: Mapping[str, bytes]) -> None:
        """Save how far was read, and in the same step what was made of it."""
        cursors = {f"cursor:{name}": cursor for name, cursor in self._cursors.items()}
        self._client.hset(STATE_KEY, mapping=cast(Any, {**cursors, **state}))

    def before(self, seconds: float) -> list[Record]:
        """Return what was read in the last seconds before the cursors, in the order of arrival in Redis."""
        found: list[tuple[EntryId, Record]] = []
        for name, cursor in self._cursors.items():
            if cursor == BEGINNING:
                continue
            start = max(EntryId.read(cursor).unix_ms - int(1000 * seconds), 0)
            entries = cast(Any, self._client.xrange(STREAMS[name], start, cursor))
            found += [(EntryId.read(entry_id), record) for entry_id, record in self._decoded(name, entries)]
        return [record for _, record in sorted(found, key=lambda pair: pair[0])]

    def read(self) -> list[Record]:
        """Return the next records of all streams, in order of arrival in Redis; wait BLOCK_MS for the first."""
        self._look_for_gaps()
        asked = {STREAMS[name]: cursor for name, cursor in self._cursors.items()}
        pages = cast(Any, self._client.xread(cast(Any, asked), count=PAGE_RECORDS, block=BLOCK_MS)) or []
        by_name = {stream.decode(): entries for stream, entries in pages}
        horizon = _horizon(list(by_name.values()))
        found: list[tuple[EntryId, Record]] = []
        for name, stream in STREAMS.items():
            read = by_name.get(stream, [])
            entries = [entry for entry in read if horizon is None or EntryId.read(entry[0]) <= horizon]
            found += [(EntryId.read(entry_id), record) for entry_id, record in self._decoded(name, entries)]
            if entries:
                self._cursors[name] = entries[-1][0]
            self._note_lag(name, entries, is_more_there=len(read) == PAGE_RECORDS or len(entries) < len(read))
        return [record for _, record in sorted(found, key=lambda pair: pair[0])]

    def _note_lag(self, name: str, entries: list[Any], *, is_more_there: bool) -> None:
        """Show the lag. Records that are left may be trimmed before the next page, so gaps are looked for again."""
        lag = 0.0
        if is_more_there:
            self._is_checked = False
            reached = entries[-1][0] if entries else self._cursors[name]
            lag = max(time() - EntryId.read(reached).unix_ms / 1000, 0.0) if reached != BEGINNING else 0.0
        self._metrics.lag_seconds.labels(name).set(lag)

    def disconnected(self) -> None:
        """Note that Redis was away: gaps must be looked for again."""
        self._is_checked = False

    def _decoded(self, name: str, entries: Any) -> list[tuple[bytes, Record]]:
        decoded = []
        for entry_id, fields in entries:
            try:
                decoded.append((entry_id, _DECODERS[name](fields[RECORD_FIELD])))
            except (msgspec.MsgspecError, KeyError) as error:
                self._metrics.unreadable.labels(name).inc()
                logger.warning("entry %s of %s is not a record: %s", entry_id.decode(), STREAMS[name], error)
        return decoded

    def _look_for_gaps(self) -> None:
        """Look for gaps, but only if needed: at the end of a stream that is read all the time nothing can be lost."""
        if self._is_checked:
            return
        for name in STREAMS:
            self._look_for_gap(name)
        self._is_checked = True

    def _look_for_gap(self, name: str) -> None:
        """Look for a gap. Streams lose their oldest entries first: if the last entry read is there, none is gone."""
        cursor, stream = self._cursors[name], STREAMS[name]
        if cursor == BEGINNING or self._client.xrange(stream, cursor, cursor):
            return
        newest = cast(Any, self._client.xrevrange(stream, count=1))
        if not newest or EntryId.read(newest[0][0]) < EntryId.read(cursor):
            logger.warning("%s begins anew: Redis lost what it held", stream)
            self._cursors[name] = BEGINNING
            self._metrics.trimmed.labels(name).inc()
        elif newest[0][0] != cursor and not self._was_deleted(stream, cursor):
            logger.warning(
                "%s was trimmed beyond %s before the monitor read on: records are lost to it; raise the stream's "
                "bound, or lower STILLROOM_SAMPLED_SHARE, which is what costs the monitor",
                stream,
                cursor.decode(),
            )
            self._metrics.trimmed.labels(name).inc()

    def _was_deleted(self, stream: str, entry_id: bytes) -> bool:
        """Whether an entry was deleted with a forgotten person, and not trimmed with the oldest ones."""
        return cast(Any, self._client.lpos(deleted_key(stream), cast(Any, entry_id))) is not None


def _horizon(pages: list[Any]) -> EntryId | None:
    """Return how far streams are read together: if one has more than a page, the other must not run ahead by hours,
    or events would be read long before the answers they belong to.
    """
    ends = [EntryId.read(entries[-1][0]) for entries in pages if len(entries) == PAGE_RECORDS]
    return min(ends) if ends else None
