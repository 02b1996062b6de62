"""The state of an export folder in one SQLite file: how far it is, what it has, what it is about to publish.

A part becomes valid in the same transaction that moves the cursor and records its events. Before it, the part is only
a file in `staging`; after it, the next run publishes the part if this one cannot.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from time import time

from service.log.records import ErasureRecord

_TABLES = """
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ids (id BLOB PRIMARY KEY, day INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS read_segments (name TEXT PRIMARY KEY, mark BLOB NOT NULL, read_to INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS staged (part TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS erased (event_id TEXT PRIMARY KEY, user_id TEXT NOT NULL, received_ms INTEGER NOT NULL,
                                   said_ms INTEGER NOT NULL, is_applied INTEGER NOT NULL) WITHOUT ROWID;
"""
_TABLES_OF_BEFORE = """
CREATE TABLE IF NOT EXISTS erasures (user_id TEXT PRIMARY KEY, received_ms INTEGER NOT NULL,
                                     is_applied INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO erased SELECT 'before:' || user_id, user_id, received_ms, 0, is_applied FROM erasures;
DROP TABLE erasures;
"""
"""Converts the table of an earlier release, which kept one erasure per person."""
_SECONDS_PER_DAY = 86_400
_PARAMETERS = 500


class State:
    """file: an SQLite file, which is created if needed."""

    def __init__(self, file: Path) -> None:
        self._database = sqlite3.connect(file, isolation_level=None)
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.executescript(_TABLES)
        self._database.executescript(_TABLES_OF_BEFORE)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything inside durable, or nothing of it."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def note(self, name: str, default: str = "") -> str:
        """Read a note of an earlier run."""
        row = self._database.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return row[0] if row else default

    def set_note(self, name: str, value: str) -> None:
        """Write a note."""
        self._database.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))

    def count(self, name: str, n_more: int) -> int:
        """Raise a permanent count; return its new value."""
        total = int(self.note(name, "0")) + n_more
        self.set_note(name, str(total))
        return total

    def folder_id(self) -> str:
        """Return a word that stands for this folder and never changes."""
        if not self.note("folder_id"):
            self.set_note("folder_id", secrets.token_hex(8))
        return self.note("folder_id")

    def known(self, event_ids: Sequence[str]) -> set[str]:
        """Return which of these events are already in a part."""
        by_id = {short_id(event_id): event_id for event_id in event_ids}
        ids = list(by_id)
        found: set[str] = set()
        for start in range(0, len(ids), _PARAMETERS):
            some = ids[start : start + _PARAMETERS]
            marks = ",".join("?" * len(some))
            rows = self._database.execute(f"SELECT id FROM ids WHERE id IN ({marks})", some)
            found.update(by_id[row[0]] for row in rows)
        return found

    def remember(self, event_ids: Iterable[str]) -> None:
        """Record that these events are in a part now."""
        day = int(time()) // _SECONDS_PER_DAY
        rows = ((short_id(event_id), day) for event_id in event_ids)
        self._database.executemany("INSERT INTO ids VALUES (?, ?)", rows)

    def forget_ids(self, n_days: int) -> None:
        """Drop the ids of events that were exported more than n_days days ago."""
        oldest = int(time()) // _SECONDS_PER_DAY - n_days
        self._database.execute("DELETE FROM ids WHERE day < ?", (oldest,))

    def segment(self, name: str) -> tuple[bytes, int]:
        """Return the last bytes read of a segment and up to where it was read; (b"", 0) for a new one."""
        row = self._database.execute(
            "SELECT mark, read_to FROM read_segments WHERE name = ?", (name,)
        ).fetchone()
        return row or (b"", 0)

    def set_segment(self, name: str, mark: bytes, read_to: int) -> None:
        """Record how far a segment was read."""
        self._database.execute("INSERT OR REPLACE INTO read_segments VALUES (?, ?, ?)", (name, mark, read_to))

    def keep_segments(self, names: Iterable[str]) -> None:
        """Drop the records of all other segments, which are gone from the spool."""
        kept = set(names)
        gone = [
            (row[0],)
            for row in self._database.execute("SELECT name FROM read_segments")
            if row[0] not in kept
        ]
        self._database.executemany("DELETE FROM read_segments WHERE name = ?", gone)

    def stage(self, part: str) -> None:
        """Record that a part is to be published."""
        self._database.execute("INSERT INTO staged VALUES (?)", (part,))

    def staged(self) -> list[str]:
        """Return parts that are valid but not published yet."""
        return [row[0] for row in self._database.execute("SELECT part FROM staged ORDER BY part")]

    def published(self, part: str) -> None:
        """Record that a part was published."""
        self._database.execute("DELETE FROM staged WHERE part = ?", (part,))

    def set_erasure(self, record: ErasureRecord) -> None:
        """Record an erasure; a correction replaces what it corrects."""
        row = (record.event_id, record.user_id, record.received_ms, record.said_ms)
        self._database.execute("INSERT OR REPLACE INTO erased VALUES (?, ?, ?, ?, 0)", row)

    def erasures(self, *, only_new: bool = False) -> list[ErasureRecord]:
        """Return all erasures. only_new: only those whose people older parts may still hold."""
        where = " WHERE NOT is_applied" if only_new else ""
        rows = self._database.execute(f"SELECT event_id, user_id, received_ms, said_ms FROM erased{where}")
        return [ErasureRecord(*row) for row in rows]

    def erasures_applied(self) -> None:
        """Record that no part holds erased people any more."""
        self._database.execute("UPDATE erased SET is_applied = 1")


def short_id(event_id: str) -> bytes:
    """Hash an event's id to 16 bytes."""
    return blake2b(event_id.encode(), digest_size=16).digest()
