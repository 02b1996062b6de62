"""A socket's transport that keeps what is written to it."""

from __future__ import annotations

import asyncio
from typing import Any


class Wire(asyncio.Transport):
    """Keeps what is written to it, a list entry a write; None for the close."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes | None] = []
        self.is_paused = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.writes.append(None)

    def is_closing(self) -> bool:
        return None in self.writes

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False
