"""Redis's protocol as bytes on their way: where a reply begins and ends, and whose it is.

hiredis gives values and not the bytes that they came in, so a small parser of our own finds the frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

LINE_KINDS = b"+-:,#(_"
BULK_KINDS = b"$=!"
LIST_KINDS = b"*~>"
PAIR_KINDS = b"%|"
PUSH = b">"


class NotRedis(ValueError):
    """Bytes that no Redis says."""


class Frame(NamedTuple):
    """One value. kind: its first byte. raw: all of its bytes. parts: the values in it."""

    kind: bytes
    raw: bytes
    parts: tuple[Frame, ...] = ()


def read_frame(data: bytes, start: int = 0) -> tuple[Frame, int] | None:
    """The frame that begins at `start` and where it ends; None while it is not complete. Raises NotRedis."""
    line_end = data.find(b"\r\n", start)
    if line_end < 0:
        return None
    kind, after = data[start : start + 1], line_end + 2
    if kind in LINE_KINDS:
        return Frame(kind, data[start:after]), after
    try:
        length = int(data[start + 1 : line_end])
    except ValueError as error:
        raise NotRedis(f"{data[start:line_end][:40]!r} is no frame of Redis") from error
    if kind in BULK_KINDS:
        return _bulk(data, start, after, length)
    if kind in LIST_KINDS or kind in PAIR_KINDS:
        return _several(data, start, after, 2 * length if kind in PAIR_KINDS else length)
    raise NotRedis(f"{kind!r} begins no frame of Redis")


def _bulk(data: bytes, start: int, after: int, length: int) -> tuple[Frame, int] | None:
    end = after if length < 0 else after + length + 2
    return None if len(data) < end else (Frame(data[start : start + 1], data[start:end]), end)


def _several(data: bytes, start: int, at: int, n_parts: int) -> tuple[Frame, int] | None:
    parts = []
    for _ in range(n_parts):
        found = read_frame(data, at)
        if found is None:
            return None
        part, at = found
        parts.append(part)
    return Frame(data[start : start + 1], data[start:at], tuple(parts)), at


class Question(NamedTuple):
    """A command on its way to Redis. name: in capitals."""

    name: bytes
    arguments: tuple[bytes, ...]


Rule = Callable[[Question, Frame, Random], bytes]
"""What goes on to the client in place of a reply."""


class Rewriter:
    """One connection: knows which reply belongs to which command, and lets a rule replace it."""

    def __init__(self, rule: Rule, random: Random) -> None:
        self._rule = rule
        self._random = random
        self._asked: deque[Question] = deque()
        self._question_bytes = b""
        self._answer_bytes = b""

    def asked(self, data: bytes) -> bytes:
        """Bytes on their way to Redis, which go on as they are. Raises NotRedis."""
        frames, self._question_bytes = _frames_in(self._question_bytes + data)
        for frame in frames:
            name, *arguments = [_text(part) for part in frame.parts] or [b""]
            self._asked.append(Question(name.upper(), tuple(arguments)))
        return data

    def answered(self, data: bytes) -> bytes:
        """Whole replies, as they go on to the client; of one that is not complete nothing yet. Raises NotRedis."""
        frames, self._answer_bytes = _frames_in(self._answer_bytes + data)
        return b"".join(self._passed_on(frame) for frame in frames)

    def _passed_on(self, frame: Frame) -> bytes:
        if frame.kind == PUSH or not self._asked:
            return frame.raw
        return self._rule(self._asked.popleft(), frame, self._random)


def _frames_in(data: bytes) -> tuple[list[Frame], bytes]:
    """The whole frames at the beginning, and what is left."""
    frames, at = [], 0
    while at < len(data) and (found := read_frame(data, at)) is not None:
        frame, at = found
        frames.append(frame)
    return frames, data[at:]


def _text(bulk: Frame) -> bytes:
    return bulk.raw.partition(b"\r\n")[2][:-2]


def array_of(parts: Sequence[bytes]) -> bytes:
    """An array of these frames."""
    return b"*%d\r\n" % len(parts) + b"".join(parts)


def bulk_of(content: bytes) -> bytes:
    """A string."""
    return b"$%d\r\n%b\r\n" % (len(content), content)
