"""Who was to be forgotten, on this machine's disk: one file for all workers, added to and never changed.

A person may come back: what was received after the erasure is theirs again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from models.locks import lock
from service.errors import SpoolUnavailable
from service.log.frames import frame, read_frames
from service.log.records import ErasureRecord, EventRecord
from service.log.segments import sync_folder

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(ErasureRecord)


class ErasedPeople:
    """When each person was last erased, Unix milliseconds by user id."""

    def __init__(self) -> None:
        self._erased_at_ms: dict[str, int] = {}

    @property
    def by_user_id(self) -> Mapping[str, int]:
        """All of them."""
        return self._erased_at_ms

    def add(self, record: ErasureRecord) -> bool:
        """Note one; whether that says anything new."""
        if self._erased_at_ms.get(record.user_id, -1) >= record.received_ms:
            return False
        self._erased_at_ms[record.user_id] = record.received_ms
        return True

    def covers(self, event: EventRecord) -> bool:
        """Whether the event is to be forgotten."""
        return self.covers_moment(event.user_id, event.received_ms)

    def covers_moment(self, user_id: str | None, received_ms: int) -> bool:
        """Whether what came of a person at this moment is to be forgotten. received_ms: Unix milliseconds."""
        return user_id is not None and received_ms < self._erased_at_ms.get(user_id, 0)


class ErasureFile:
    """root: the spool's folder."""

    def __init__(self, root: Path) -> None:
        self._path = root / "erasures.log"
        self._read_to = 0

    def append(self, record: ErasureRecord) -> None:
        """Write one so that it lasts. Raises SpoolUnavailable."""
        try:
            with lock(self._path.with_name("lock")):
                is_new = not self._path.exists()
                with self._path.open("ab") as file:
                    file.write(frame(_ENCODER.encode(record)))
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
        """What was added since the last look, by whichever worker."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read_to)
                data = file.read()
        except FileNotFoundError:
            return []
        found = [_DECODER.decode(payload) for payload, _ in read_frames(data)]
        self._read_to += max((end for _, end in read_frames(data)), default=0)
        return found
