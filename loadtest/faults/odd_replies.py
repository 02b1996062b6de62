"""Rules, by name, for replies of a Redis that is broken, of another make, or hostile.

All but `anything` replace replies to MGET, which asks for people's histories; the handshake is not changed.
"""

from __future__ import annotations

from random import Random

from loadtest.faults.resp import PUSH, Frame, Question, Rule, array_of, bulk_of

HANDSHAKE = {b"HELLO", b"AUTH", b"SELECT", b"CLIENT"}
NUMBER = b":7\r\n"
ERROR = b"-ERR something odd\r\n"
MAP = b"%1\r\n+a\r\n+b\r\n"
INVALIDATE = bulk_of(b"invalidate")
ODD_PUSHES = (
    b">0\r\n",
    b">1\r\n+hello\r\n",
    b">2\r\n" + INVALIDATE + NUMBER,
    b">2\r\n" + INVALIDATE + array_of([NUMBER, MAP]),
    b">2\r\n" + INVALIDATE + array_of([bulk_of(b"stillroom:h:\xff\xff")]),
    b">1\r\n" + INVALIDATE,
    b">3\r\n" + bulk_of(b"message") + bulk_of(b"channel") + bulk_of(b"text"),
)
HUGE_ARRAY = b"*999999999\r\n"
HUGE_STRING = b"$999999999\r\nx"
"""A reply that announces a gigabyte and sends one byte of it."""

ODDITIES = (
    NUMBER,
    ERROR,
    MAP,
    array_of([]),
    b"*-1\r\n",
    b"$-1\r\n",
    b"_\r\n",
    b"#t\r\n",
    b"(12345\r\n",
    b"~0\r\n",
)


def of_people(rule: Rule) -> Rule:
    """Apply a rule to replies to MGET alone."""

    def only_mget(question: Question, reply: Frame, random: Random) -> bytes:
        return rule(question, reply, random) if question.name == b"MGET" else reply.raw

    return only_mget


def _each(element: bytes) -> Rule:
    return of_people(lambda question, reply, random: array_of([element] * len(reply.parts)))


def _whole(frame: bytes) -> Rule:
    return of_people(lambda question, reply, random: frame)


def _shorter(question: Question, reply: Frame, random: Random) -> bytes:
    return array_of([part.raw for part in reply.parts[:-1]])


def _longer(question: Question, reply: Frame, random: Random) -> bytes:
    return array_of([*(part.raw for part in reply.parts), b"$-1\r\n"])


def _with_push(question: Question, reply: Frame, random: Random) -> bytes:
    return random.choice(ODD_PUSHES) + reply.raw


def _anything(question: Question, reply: Frame, random: Random) -> bytes:
    """Replace every third reply, of any command, by something else."""
    if question.name in HANDSHAKE or reply.kind == PUSH or random.random() > 1 / 3:
        return reply.raw
    return random.choice(ODDITIES)


class SomebodyElses:
    """A rule that gives each person the last history read of another; the very first has nobody before them."""

    def __init__(self) -> None:
        self._last: dict[bytes, bytes] = {}
        """The replies for the last two keys, by key."""

    def __call__(self, question: Question, reply: Frame, random: Random) -> bytes:
        """Replace each history; a person without one still has none."""
        given = []
        for key, part in zip(question.arguments, reply.parts, strict=False):
            if part.raw.startswith(b"$-1") or part.kind == b"_":
                given.append(part.raw)
                continue
            others = [raw for other, raw in self._last.items() if other != key]
            given.append(others[-1] if others else part.raw)
            self._last.pop(key, None)
            self._last = dict([*self._last.items(), (key, part.raw)][-2:])
        return array_of(given)


RULES: dict[str, Rule] = {
    "numbers": _each(NUMBER),
    "errors": _each(ERROR),
    "maps": _each(MAP),
    "number": _whole(NUMBER),
    "map": _whole(MAP),
    "shorter": of_people(_shorter),
    "longer": of_people(_longer),
    "push": of_people(_with_push),
    "huge_array": _whole(HUGE_ARRAY),
    "huge_string": _whole(HUGE_STRING),
    "somebody_elses": of_people(SomebodyElses()),
    "anything": _anything,
}
