"""Parse Redis's protocol in transit: where a reply begins and ends, and which command it answers.

hiredis gives values without the bytes that they came in, so a small parser of our own finds the frames.
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
    """The bytes are not of Redis's protocol."""


class Frame(NamedTuple):
    """One value. kind: its first byte. raw: all of its bytes. parts: the values in it."""

    kind: bytes
    raw: bytes
    parts: tuple[Frame, ...] = ()


def read_frame(data: bytes, start: int = 0) -> tuple[Frame, int] | None:
    """Return the frame that begins at `start`, and its end; None while it is not complete. Raises NotRedis."""
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
    """A command on its way to Redis. name: in upper case."""

    name: bytes
    arguments: tuple[bytes, ...]


Rule = Callable[[Question, Frame, Random], bytes]
"""A function that returns the bytes that the client gets in place of a reply."""


class Rewriter:
    """Rewrites one connection: it matches replies to commands, and lets a rule replace them."""

    def __init__(self, rule: Rule, random: Random) -> None:
        self._rule = rule
        self._random = random
        self._unanswered: deque[Question] = deque()
        self._question_bytes = b""
        self._answer_bytes = b""

    def note_questions(self, data: bytes) -> bytes:
        """Note the commands in bytes on their way to Redis, and return the bytes unchanged. Raises NotRedis."""
        frames, self._question_bytes = _frames_in(self._question_bytes + data)
        for frame in frames:
            name, *arguments = [_text(part) for part in frame.parts] or [b""]
            self._unanswered.append(Question(name.upper(), tuple(arguments)))
        return data

    def rewrite_answers(self, data: bytes) -> bytes:
        """Return whole replies as the client gets them, and keep an incomplete one for later. Raises NotRedis."""
        frames, self._answer_bytes = _frames_in(self._answer_bytes + data)
        return b"".join(self._passed_on(frame) for frame in frames)

    def _passed_on(self, frame: Frame) -> bytes:
        if frame.kind == PUSH or not self._unanswered:
            return frame.raw
        return self._rule(self._unanswered.popleft(), frame, self._random)


def _frames_in(data: bytes) -> tuple[list[Frame], bytes]:
    """Return the complete frames at the beginning, and the rest."""
    frames, at = [], 0
    while at < len(data) and (found := read_frame(data, at)) is not None:
        frame, at = found
        frames.append(frame)
    return frames, data[at:]


def _text(bulk: Frame) -> bytes:
    return bulk.raw.partition(b"\r\n")[2][:-2]


def array_of(parts: Sequence[bytes]) -> bytes:
    """Make an array of these frames."""
    return b"*%d\r\n" % len(parts) + b"".join(parts)


def bulk_of(content: bytes) -> bytes:
    """Make a bulk string."""
    return b"$%d\r\n%b\r\n" % (len(content), content)
