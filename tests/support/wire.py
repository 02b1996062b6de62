"""A socket's transport that keeps what is written to it."""

from __future__ import annotations

import asyncio
from typing import Any


class Wire(asyncio.Transport):
    """Keeps what is written to it, a list entry a write; None for the close.

    n_unread: bytes that wait for the other side. has_ended: whether it said that nothing more will be written.
    """

    def __init__(self, address: str = "192.0.2.1") -> None:
        super().__init__()
        self.writes: list[bytes | None] = []
        self.is_paused = self.has_ended = self.is_aborted = False
        self.n_unread = 0
        self._address = address

    @property
    def sent(self) -> bytes:
        """All of it together."""
        return b"".join(each for each in self.writes if each)

    def write(self, data: Any) -> None:
        if self.has_ended:
            raise RuntimeError("Cannot call write() after write_eof()")
        self.writes.append(bytes(data))

    def write_eof(self) -> None:
        self.has_ended = True

    def close(self) -> None:
        self.writes.append(None)

    def abort(self) -> None:
        self.is_aborted = True
        self.writes.append(None)

    def is_closing(self) -> bool:
        return None in self.writes

    def get_write_buffer_size(self) -> int:
        return self.n_unread

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return (self._address, 50_000) if name == "peername" else default

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False
