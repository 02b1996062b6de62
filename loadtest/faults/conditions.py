"""What becomes of bytes on a line, in one value that can be said, sent and written down."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Share = Annotated[float, Meta(ge=0, le=1)]
Amount = Annotated[float, Meta(ge=0)]
Way = Literal["questions", "answers"]


class Conditions(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A piece is what one read of a socket gives.

    delay_ms, jitter_ms: each piece waits, and up to so much longer; pieces stay in order. bytes_per_second: 0 is
    as fast as it goes. piece_bytes: a write for each so many bytes; 0 writes a piece at once. drops: pieces vanish
    while their connection stays open. resets, truncates, flips: the share of pieces at which the connection is reset,
    is closed after half of the piece, or of which one bit is turned over. ways: which bytes this is for. replies:
    the rule of `odd_replies` for what Redis says, "" for none. seed: of what is drawn.
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
    """What a line has done so far, so that a fault that never happened is not taken for one that was survived."""

    connections: int = 0
    pieces: int = 0
    changed: int = 0
