"""Runs one export from beginning to end. Read this page first.

Erasures are read first, so that no part is written with erased people; then the spools on this machine, then the
streams. An event that comes from both counts once, by its id.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import Any, TypeVar, cast

import msgspec
import redis

from models.bundles.locks import lock_if_free
from service.log.erasures import ErasedPeople, read_erasures
from service.log.export.errors import ExportFailed
from service.log.export.part_files import PartFiles
from service.log.export.sources import Entry, LogStreams, ReadSegment, SpoolFolder, StreamLook
from service.log.export.state import State
from service.log.export.tables import Record, as_table, table_of
from service.log.records import (
    ERASURES_STREAM,
    EVENTS_STREAM,
    EXPORTED_KEY,
    EXPOSURES_STREAM,
    ErasureRecord,
    EventRecord,
    ExposureRecord,
    session_key,
)
from service.log.spool import stream_position

PART_ROWS = 200_000

RecordT = TypeVar("RecordT")

_EVENTS = msgspec.msgpack.Decoder(EventRecord)
_EXPOSURES = msgspec.msgpack.Decoder(ExposureRecord)
_ERASURES = msgspec.msgpack.Decoder(ErasureRecord)


class Exported(msgspec.Struct):
    """The results of one run; counts are of events unless they say otherwise.

    already_there: read again but not written again. of_erased: left out, since their person is to be forgotten.
    erased_rows: rows removed from older parts. trimmed: events that left the stream unread; they are lost unless a
    service still has them on disk. is_stream_new: Redis lost its log since the last run. exposures: rows.
    unreadable: skipped stream entries that are no records of this release. damaged_bytes: bytes of the spool in no
    whole batch, though whole ones follow.
    """

    events: int = 0
    already_there: int = 0
    of_erased: int = 0
    erased_rows: int = 0
    trimmed: int = 0
    is_stream_new: bool = False
    exposures: int = 0
    exposures_trimmed: bool = False
    unreadable: int = 0
    damaged_bytes: int = 0
    parts: int = 0


class Export:
    """folder: where parts are written. Use it as `with opened(folder) as export`."""

    def __init__(self, folder: Path, state: State) -> None:
        self._state = state
        self._erased = ErasedPeople()
        for record in state.erasures():
            self._erased.add(record)
        self._parts = PartFiles(folder, state)
        self.done = Exported()
        self._parts.publish()

    def read_spool(self, spool: SpoolFolder) -> None:
        """Export what services of this machine have on disk."""
        self._take_erasures(read_erasures(spool.erasures()))
        waiting: list[ReadSegment] = []
        n_waiting = 0
        for segment in spool.segments(self._state):
            waiting.append(segment)
            n_waiting += len(segment.events)
            if n_waiting >= PART_ROWS:
                self._take_segments(waiting)
                waiting, n_waiting = [], 0
        self._take_segments(waiting)
        self._state.keep_segments(spool.names())

    def read_streams(self, streams: LogStreams) -> None:
        """Export what Redis has."""
        erasures = [entry for page in streams.entries(ERASURES_STREAM, "", "+") for entry in page]
        self._take_erasures(self._decoded(_ERASURES, erasures))
        self._read_events(streams)
        self._read_exposures(streams)

    def finish(self, remember_days: int) -> None:
        """Finish after everything is read. remember_days: how long the ids of events are kept that may come again."""
        with self._state.transaction():
            self._state.forget_ids(remember_days)
            for name in ("events", "already_there", "of_erased", "trimmed", "exposures"):
                self._state.count(f"total_{name}", getattr(self.done, name))

    def cursor(self) -> str:
        """Return the last entry of the events' stream that is safely in a part, "" for none."""
        return self._state.note("events_cursor")

    def folder_id(self) -> str:
        """Return the word that stands for this folder in Redis."""
        return self._state.folder_id()

    def _read_events(self, streams: LogStreams) -> None:
        look = streams.look(EVENTS_STREAM)
        self._meet(look)
        cursor = self.cursor()
        is_same_run = self._state.note("run_id") == look.run_id
        after = cursor if is_same_run else ""  # a Redis that lost its end may have given its ids out again
        for entries in _in_parts(streams.entries(EVENTS_STREAM, after, look.last_id)):
            self._take_entries(entries, streams, look)
        with self._state.transaction():
            self._state.set_note("run_id", look.run_id)
            n_deleted = streams.n_deleted(EVENTS_STREAM, self.cursor(), look.last_id)
            n_accounted = int(self._state.note("n_accounted", "0")) + n_deleted
            self.done.trimmed += max(0, look.n_added - n_accounted)
            self._state.set_note("n_accounted", str(look.n_added))
            self._move_cursor(look.last_id)

    def _meet(self, look: StreamLook) -> None:
        """Begin anew if Redis has another log than last time."""
        known = self._state.note("generation")
        if known == look.generation:
            return
        self.done.is_stream_new = bool(known)
        with self._state.transaction():
            for name, value in (("events_cursor", ""), ("exposures_cursor", ""), ("n_accounted", "0")):
                self._state.set_note(name, value)
            self._state.set_note("generation", look.generation)

    def _take_entries(self, entries: Sequence[Entry], streams: LogStreams, look: StreamLook) -> None:
        cursor, last_id = self.cursor(), entries[-1].entry_id
        events = self._decoded(_EVENTS, entries)
        with self._state.transaction():
            n_new = self._take_events(events)
            n_behind = sum(stream_position(entry.entry_id) > stream_position(cursor) for entry in entries)
            if n_behind:
                n_deleted = streams.n_deleted(EVENTS_STREAM, cursor, last_id)
                self._state.count("n_accounted", n_behind + n_deleted)
                self._move_cursor(last_id)
            elif n_new:
                self._state.count("n_accounted", n_new)
        self.done.parts += self._parts.publish()

    def _decoded(self, decoder: msgspec.msgpack.Decoder[RecordT], entries: Sequence[Entry]) -> list[RecordT]:
        """Decode entries; skip records of another release, so that they do not block what follows."""
        records: list[RecordT] = []
        for entry in entries:
            try:
                records.append(decoder.decode(entry.payload))
            except msgspec.MsgspecError:
                self.done.unreadable += 1
        return records

    def _move_cursor(self, last_id: str) -> None:
        if stream_position(last_id) > stream_position(self.cursor()):
            self._state.set_note("events_cursor", last_id)

    def _take_segments(self, segments: Sequence[ReadSegment]) -> None:
        if not segments:
            return
        with self._state.transaction():
            self._take_events([event for segment in segments for event in segment.events])
            for segment in segments:
                self._state.set_segment(segment.path.stem, segment.mark, segment.read_to)
                self.done.damaged_bytes += segment.n_damaged_bytes
        self.done.parts += self._parts.publish()
        for segment in segments:
            segment.mark_exported()

    def _take_events(self, events: Sequence[EventRecord]) -> int:
        """Stage the new ones of these events; return how many. Call within a transaction."""
        by_id = {event.event_id: event for event in events}
        known = self._state.known(list(by_id))
        new = [event for event_id, event in by_id.items() if event_id not in known]
        self.done.already_there += len(events) - len(new)
        kept = [event for event in new if not self._erased.covers(event)]
        self.done.of_erased += len(new) - len(kept)
        self.done.events += len(kept)
        self._state.remember(event.event_id for event in new)
        self._stage(kept)
        return len(new)

    def _read_exposures(self, streams: LogStreams) -> None:
        look = streams.look(EXPOSURES_STREAM)
        cursor, first_id = self._state.note("exposures_cursor"), streams.first_id(EXPOSURES_STREAM)
        was_trimmed = stream_position(first_id) > stream_position(cursor) > (0, 0)
        self.done.exposures_trimmed = was_trimmed and stream_position(look.last_id) > stream_position(cursor)
        for entries in _in_parts(streams.entries(EXPOSURES_STREAM, cursor, look.last_id)):
            records = self._decoded(_EXPOSURES, entries)
            kept = [one for one in records if not self._erased.covers_moment(one.person_key, one.asked_ms)]
            with self._state.transaction():
                self._stage(kept)
                self._state.set_note("exposures_cursor", entries[-1].entry_id)
            self.done.exposures += len(kept)
            self.done.parts += self._parts.publish()

    def _take_erasures(self, records: Iterable[ErasureRecord]) -> None:
        """Note erasures. One that a wrong clock stamped far ahead counts as of now, and swallows nothing later."""
        known = {record.event_id for record in self._state.erasures()}
        new = [record for record in records if self._erased.add(record)]
        corrections = [record for record in self._erased.wrong() if self._erased.add(record)]
        latest = {record.event_id: record for record in (*new, *corrections)}
        if latest:
            self._parts.drop_erasures(known & set(latest))
            self._put_down(list(latest.values()))
        self._apply_erasures()

    def _put_down(self, records: Sequence[ErasureRecord]) -> None:
        with self._state.transaction():
            for record in records:
                self._state.set_erasure(record)
            people = [record for record in records if not record.user_id.startswith("\0")]
            self._stage(people)  # erasures of visits are in this export's own state only
        self.done.parts += self._parts.publish()

    def _apply_erasures(self) -> None:
        """Remove people who were erased since from older parts, then the visits that turn out to be theirs."""
        while waiting := self._state.erasures(only_new=True):
            gone = self._parts.erase(waiting, self._erased.now_ms())
            self.done.erased_rows += gone.n_rows
            self._state.erasures_applied()
            moment = max(record.received_ms for record in waiting)
            visits = [
                ErasureRecord(f"visit:{one}:{moment}", session_key(one), moment) for one in gone.session_ids
            ]
            self._put_down([record for record in visits if self._erased.add(record)])

    def _stage(self, records: Sequence[Record]) -> None:
        tables: dict[str, list[Record]] = {}
        for record in records:
            tables.setdefault(table_of(record), []).append(record)
        for name, rows in tables.items():
            self._parts.stage(name, as_table(name, rows))


@contextmanager
def opened(folder: Path) -> Iterator[Export]:
    """Open the folder exclusively. Raises ExportFailed if another export is at work or it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with lock_if_free(folder / ".lock") as is_free:
            if not is_free:
                raise ExportFailed(
                    f"another export is at work on {folder}; wait for it, or name another folder"
                )
            state = State(folder / "state.sqlite")
            try:
                yield Export(folder, state)
            finally:
                state.close()
    except OSError as error:
        raise ExportFailed(f"{folder} cannot be written: {error}") from error
    except sqlite3.Error as error:
        raise ExportFailed(
            f"{folder / 'state.sqlite'}: {error}; free space there or, if the file is damaged, export to a new "
            "folder: what services and Redis still have comes again"
        ) from error


def tell_services(client: redis.Redis, export: Export, keep_hours: float) -> None:
    """Tell what is safely in Parquet: services may drop it from disk, and Redis what is older than keep_hours."""
    cursor = export.cursor()
    if not cursor:
        return
    client.hset(EXPORTED_KEY, export.folder_id(), cursor)
    exported = [one.decode() for one in cast(Any, client.hvals(EXPORTED_KEY))]
    oldest_kept = (int(1000 * (time() - 3600 * keep_hours)), 0)
    least = min(*map(stream_position, exported), oldest_kept)
    client.xtrim(EVENTS_STREAM, minid=f"{least[0]}-{least[1]}", approximate=True)


def _in_parts(pages: Iterable[list[Entry]]) -> Iterator[list[Entry]]:
    """Join pages until they fill a part."""
    waiting: list[Entry] = []
    for page in pages:
        waiting += page
        if len(waiting) >= PART_ROWS:
            yield waiting
            waiting = []
    if waiting:
        yield waiting
