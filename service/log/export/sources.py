"""The sources of an export: the streams in Redis, and the spool of this machine's services."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, cast

import redis

from service.log.export.state import State
from service.log.frames import n_bytes_between, read_frames
from service.log.records import ADDED_KEY, GENERATION_KEY, RECORD_FIELD, EventRecord, deleted_key
from service.log.scripts import LAST_ID_OF
from service.log.segments import EXPORTED, OPEN, SEALED, decode_batches
from service.log.spool import stream_position

PAGE_ENTRIES = 5000
MARK_BYTES = 128

LOOK = f"""{LAST_ID_OF}
return {{redis.call('GET', KEYS[2]) or '', last_id_of(KEYS[1]) or '0-0', redis.call('GET', KEYS[3]) or '0'}}
"""


class Entry(NamedTuple):
    """One entry of a stream: its id and the record's bytes."""

    entry_id: str
    payload: bytes


class StreamLook(NamedTuple):
    """The state of a stream. run_id: the Redis's. generation: its log's. n_added: how many entries it ever got."""

    run_id: str
    generation: str
    last_id: str
    n_added: int


class LogStreams:
    """client: of Redis, with replies as bytes."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def look(self, stream: str) -> StreamLook:
        """Read the state at one moment. n_added is of the events' stream; no other one is counted."""
        generation, last_id, n_added = self._client.eval(LOOK, 3, stream, GENERATION_KEY, ADDED_KEY)
        run_id = str(cast(Any, self._client.info("server")).get("run_id", ""))
        return StreamLook(run_id, generation.decode(), last_id.decode(), int(n_added))

    def entries(self, stream: str, after: str, last_id: str) -> Iterator[list[Entry]]:
        """Yield pages of the entries after `after` ("" for the very first) up to last_id."""
        while True:
            start = f"({after}" if after else "-"
            found = cast(Any, self._client.xrange(stream, start, last_id, count=PAGE_ENTRIES))
            if found:
                yield [Entry(entry_id.decode(), fields.get(RECORD_FIELD, b"")) for entry_id, fields in found]
            if len(found) < PAGE_ENTRIES:
                return
            after = found[-1][0].decode()

    def first_id(self, stream: str) -> str:
        """Return the id of the oldest entry; "" for none."""
        found = cast(Any, self._client.xrange(stream, count=1))
        return found[0][0].decode() if found else ""

    def n_deleted(self, stream: str, after: str, until: str) -> int:
        """Count entries of erased people between two ids, including the later one."""
        ids = cast(Any, self._client.lrange(deleted_key(stream), 0, -1))
        low, high = stream_position(after), stream_position(until)
        return sum(low < stream_position(one.decode()) <= high for one in ids)


class ReadSegment(NamedTuple):
    """What is new in one segment. read_to: where its last whole batch ends. mark: the bytes before that. is_sealed:
    nothing will follow. n_damaged_bytes: bytes between whole batches.
    """

    path: Path
    mark: bytes
    read_to: int
    is_sealed: bool
    events: list[EventRecord]
    n_damaged_bytes: int

    def mark_exported(self) -> None:
        """Tell the segment's service that it may be removed."""
        if self.is_sealed:
            with suppress(OSError):  # it may be removed, or another account's; then its age decides
                self.path.with_suffix(EXPORTED).touch()


class SpoolFolder:
    """root: the value of STILLROOM_SPOOL; services may be writing to it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def segments(self, state: State) -> Iterator[ReadSegment]:
        """Yield what no export has read yet, segment by segment."""
        for path in self._paths():
            with suppress(
                FileNotFoundError
            ):  # released, or adopted by another worker, where it is found next time
                yield self._read(path, state)

    def names(self) -> Iterator[str]:
        """Yield the names of all existing segments."""
        return (path.stem for path in self._paths())

    def erasures(self) -> Sequence[bytes]:
        """Return the records of people who are to be forgotten."""
        try:
            data = (self._root / "erasures.log").read_bytes()
        except FileNotFoundError:
            return []
        return [payload for payload, _ in read_frames(data)]

    def _paths(self) -> list[Path]:
        return sorted([*self._root.glob(f"worker-*/*{SEALED}"), *self._root.glob(f"worker-*/*{OPEN}")])

    def _read(self, path: Path, state: State) -> ReadSegment:
        mark, read_to = state.segment(path.stem)
        data = path.read_bytes()
        is_as_read = mark == _mark(data, read_to)  # else it was rewritten without somebody who was erased
        start = read_to if is_as_read else 0
        found = list(decode_batches(data[start:], start))
        end = found[-1].end if found else start
        events = [event for batch, _ in found for event in batch.events]
        n_damaged = n_bytes_between(data[start:end])
        return ReadSegment(path, _mark(data, end), end, path.suffix == SEALED, events, n_damaged)


def _mark(data: bytes, end: int) -> bytes:
    """The bytes before the end: their ids are unique. The inode proves less, as a freed one is used again."""
    return data[max(end - MARK_BYTES, 0) : end]
