"""Erasures on this machine's disk: one file for all workers, which is only ever appended to.

A person may come back, and what is received after the erasure is theirs again. So an erasure that a wrong clock
stamped far ahead must not swallow what the person does until then: whoever reads one corrects it to their own present
moment, which cannot be before it was asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from time import time_ns

import msgspec

from models.bundles.locks import lock
from service.contract.errors import SpoolUnavailable
from service.log.frames import frame, read_frames
from service.log.private import FILE_MODE, open_private
from service.log.records import ErasureRecord, EventRecord
from service.log.segments import sync_folder

MAX_AHEAD_MS = 300_000
"""How far ahead a moment from another clock may lie; beyond it, that clock is wrong."""

MARK_BYTES = 64

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(ErasureRecord)


def wall_ms() -> int:
    """Read this machine's clock, Unix milliseconds."""
    return time_ns() // 1_000_000


class ErasedPeople:
    """When each person or visit was last erased. now_ms: the present, Unix milliseconds; None: this machine's."""

    def __init__(self, now_ms: Callable[[], int] | None = None) -> None:
        self.now_ms = now_ms or wall_ms
        self._records: dict[str, dict[str, ErasureRecord]] = {}
        """Records by person's or visit's key, then by the erasure's id."""
        self._latest_ms = 0

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[ErasureRecord]:
        """Iterate over the record that counts for each person."""
        return (max(records.values(), key=_moment) for records in self._records.values())

    def add(self, record: ErasureRecord) -> bool:
        """Note an erasure; return whether it adds anything new."""
        records = self._records.setdefault(record.user_id, {})
        held = records.get(record.event_id)
        if held is not None and held.received_ms <= record.received_ms:
            return False
        said_ms = max(record.said_ms, 0 if held is None else max(held.received_ms, held.said_ms))
        records[record.event_id] = msgspec.structs.replace(record, said_ms=said_ms)
        self._latest_ms = max(self._latest_ms, record.received_ms)
        return True

    def wrong(self) -> list[ErasureRecord]:
        """Return corrections of erasures further ahead than a clock may be, which must then be added and written."""
        now_ms = self.now_ms()
        limit = now_ms + MAX_AHEAD_MS
        if self._latest_ms <= limit:
            return []
        self._latest_ms = limit  # once these are corrected, no other one is later
        everything = [each for records in self._records.values() for each in records.values()]
        return [corrected(each, now_ms) for each in everything if each.received_ms > limit]

    def covers(self, event: EventRecord) -> bool:
        """Whether the event must be forgotten."""
        return self.covers_moment(event.person_key, event.received_ms)

    def covers_moment(self, key: str, received_ms: int) -> bool:
        """Whether what was received of a person or visit at this moment, Unix milliseconds, must be forgotten."""
        return key in self._records and self.coverage(key)(received_ms)

    def coverage(self, key: str) -> Callable[[int], bool]:
        """Return `covers_moment` for one person or visit as of now, for use on another thread."""
        records, now_ms = tuple(self._records.get(key, {}).values()), self.now_ms()
        return lambda received_ms: any(is_covered(each, received_ms, now_ms) for each in records)


def corrected(record: ErasureRecord, now_ms: int) -> ErasureRecord:
    """Return the erasure as of now, Unix milliseconds, in place of a wrong clock's moment."""
    said_ms = max(record.received_ms, record.said_ms)
    return msgspec.structs.replace(record, received_ms=now_ms, said_ms=said_ms)


def is_covered(record: ErasureRecord, received_ms: int, now_ms: int) -> bool:
    """Whether what was received at this moment came before the erasure; all moments are Unix milliseconds.

    A moment further ahead than a clock may be was stamped by the clock of the erasure, if that was wrong too.
    """
    if received_ms < record.received_ms:
        return True
    return now_ms + MAX_AHEAD_MS < received_ms < record.said_ms


class ErasureFile:
    """root: the spool's folder."""

    def __init__(self, root: Path) -> None:
        self._path = root / "erasures.log"
        self._read_to = 0
        self._mark = b""
        """The bytes before `_read_to`: their ids are unique. The inode proves less, as a freed one is used again."""

    @property
    def is_there(self) -> bool:
        """Whether the file exists; it may have been deleted under the service."""
        return self._path.exists()

    def append(self, records: Sequence[ErasureRecord]) -> None:
        """Append records durably, all or none. Raises SpoolUnavailable."""
        data = b"".join(frame(_ENCODER.encode(record)) for record in records)
        try:
            with lock(self._path.with_name("lock"), mode=FILE_MODE):
                is_new = not self._path.exists()
                descriptor = open_private(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                with os.fdopen(descriptor, "ab") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                if is_new:
                    sync_folder(self._path.parent)
        except OSError as error:
            raise SpoolUnavailable(
                f"the erasure cannot be written to {self._path}: {error.strerror or error}; free space there, or "
                "name another folder in STILLROOM_SPOOL. Nothing was erased: ask again"
            ) from error

    def follow(self) -> list[ErasureRecord]:
        """Return what any worker added since the last look, or all of it if the file is another one."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read_to - len(self._mark))
                data = file.read()
                if data[: len(self._mark)] == self._mark:
                    data = data[len(self._mark) :]
                else:  # another file, written in place of one that was deleted
                    self._read_to = file.seek(0)
                    data = file.read()
        except FileNotFoundError:
            return []
        frames = list(read_frames(data))
        end = max((each.end for each in frames), default=0)
        self._read_to += end
        self._mark = (self._mark + data[:end])[-MARK_BYTES:]
        return list(read_erasures(each.payload for each in frames))


def read_erasures(payloads: Iterable[bytes]) -> Iterator[ErasureRecord]:
    """Decode erasures, without records that another release wrote in another form."""
    for payload in payloads:
        try:
            yield _DECODER.decode(payload)
        except msgspec.MsgspecError:
            continue


def _moment(record: ErasureRecord) -> int:
    return record.received_ms
