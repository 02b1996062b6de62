"""The audit of changes: a line of JSON on disk before each change begins, and another one after it.

A change that cannot be audited is not made.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from service.contract.errors import AuditUnavailable
from service.log.private import make_private_folder, open_private


class AuditLine(msgspec.Struct, frozen=True):
    """time: UTC. key: the name of the key. outcome: "begun", "done", or what went wrong."""

    time: str
    key: str
    action: str
    target: str
    outcome: str
    request_id: str


class AuditLog:
    """file: is appended to; its folder is made if needed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()

    @asynccontextmanager
    async def change(self, key: str, action: str, target: str, request_id: str) -> AsyncIterator[None]:
        """Audit a change made inside. Raises AuditUnavailable before the change is made, and the change's errors."""
        await self._write(key, action, target, "begun", request_id)
        try:
            yield
        except BaseException as error:
            await self._write(key, action, target, f"{type(error).__name__}: {error}"[:500], request_id)
            raise
        await self._write(key, action, target, "done", request_id)

    async def _write(self, key: str, action: str, target: str, outcome: str, request_id: str) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        line = msgspec.json.encode(AuditLine(now, key, action, target, outcome, request_id)) + b"\n"
        try:
            await asyncio.to_thread(self._append, line)
        except OSError as error:
            raise AuditUnavailable(f"{action} cannot be written down: {error.strerror or error}") from error

    def _append(self, line: bytes) -> None:
        """Append a line in one write, so that lines of several processes do not mix."""
        with self._lock:
            if not self._file.parent.is_dir():
                make_private_folder(self._file.parent)
            descriptor = open_private(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            try:
                if os.write(descriptor, line) != len(line):
                    raise OSError(f"{self._file} took only a part of a line")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
