"""What a line does to bytes, in one value that can be named, sent and stored."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Share = Annotated[float, Meta(ge=0, le=1)]
Amount = Annotated[float, Meta(ge=0)]
Way = Literal["questions", "answers"]


class Conditions(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a line does to pieces; a piece is what one read of a socket gives.

    delay_ms, jitter_ms: each piece waits, and up to that much longer; pieces stay in order. bytes_per_second: the
    speed, 0 for unlimited. piece_bytes: bytes per write; 0 writes a piece at once. drops: pieces vanish while their
    connection stays open. resets, truncates, flips: the share of pieces at which the connection is reset, at which
    it is closed after half of the piece, and in which one bit is flipped. ways: the directions that are affected.
    replies: the rule of `odd_replies` for Redis's replies, "" for none. seed: of the random draws.
    """

    delay_ms: Amount = 0.0
    jitter_ms: Amount = 0.0
    bytes_per_second: Amount = 0.0
    piece_bytes: Annotated[int, Meta(ge=0)] = 0
    drops: bool = False
    resets: Share = 0.0
    truncates: Share = 0.0
    flips: Share = 0.0
    ways: tuple[Way, ...] = ("answers",)
    replies: str = ""
    seed: int = 0


class Touched(msgspec.Struct):
    """What a line has done so far, so that a fault that never happened does not count as one that was survived."""

    connections: int = 0
    pieces: int = 0
    changed: int = 0
