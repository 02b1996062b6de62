"""Small changes to bytes that were right, as they come from cut lines, clever clients and hostile ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

MAX_BYTES = 24_000
ODD_BYTES = (
    b"\0",
    b"\r",
    b"\n",
    b"\r\n",
    b"\t",
    b" ",
    b":",
    b'"',
    b"{",
    b"}",
    b"\\",
    b"\x7f",
    b"\xff",
    b"\xc3\x28",
)

Mutation = Callable[[bytes, Random], bytes]


def flip_bit(data: bytes, random: Random) -> bytes:
    """One bit."""
    at = random.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << random.randrange(8))]) + data[at + 1 :]


def put_odd_bytes(data: bytes, random: Random) -> bytes:
    """Bytes that mean something to a parser, anywhere."""
    at = random.randint(0, len(data))
    return data[:at] + random.choice(ODD_BYTES) + data[at:]


def leave_out(data: bytes, random: Random) -> bytes:
    """A short stretch."""
    start = random.randrange(len(data))
    return data[:start] + data[start + random.randint(1, 12) :]


def say_twice(data: bytes, random: Random) -> bytes:
    """A stretch, twice in a row."""
    start = random.randrange(len(data))
    end = min(len(data), start + random.randint(1, 40))
    return data[:end] + data[start:end] + data[end:]


def repeat(data: bytes, random: Random) -> bytes:
    """A byte, thousands of times."""
    at = random.randrange(len(data))
    return data[:at] + data[at : at + 1] * random.choice((100, 3000, 20_000)) + data[at + 1 :]


def cut_off(data: bytes, random: Random) -> bytes:
    """The end is missing."""
    return data[: random.randrange(len(data))]


def swap(data: bytes, random: Random) -> bytes:
    """Two stretches change places."""
    first, second, third = sorted(random.randint(0, len(data)) for _ in range(3))
    return data[:first] + data[second:third] + data[first:second] + data[third:]


def noise(data: bytes, random: Random) -> bytes:
    """A stretch of anything."""
    at = random.randint(0, len(data))
    return data[:at] + random.randbytes(random.randint(1, 30)) + data[at:]


BYTEWISE: tuple[Mutation, ...] = (flip_bit, put_odd_bytes, leave_out, say_twice, repeat, cut_off, swap, noise)


def mutated(data: bytes, random: Random, mutations: Sequence[Mutation] = BYTEWISE, at_most: int = 3) -> bytes:
    """A few of these, one after the other."""
    for _ in range(random.randint(1, at_most)):
        if data:
            data = random.choice(mutations)(data, random)
    return data[:MAX_BYTES]


def in_pieces(data: bytes, random: Random) -> tuple[bytes, ...]:
    """Mostly whole, else cut anywhere, now and then byte by byte."""
    drawn = random.random()
    if drawn < 0.4 or len(data) < 2:
        return (data,)
    if drawn > 0.95:
        size = random.choice((1, 7, 100))
        return tuple(data[start : start + size] for start in range(0, min(len(data), 400 * size), size)) + (
            (data[400 * size :],) if len(data) > 400 * size else ()
        )
    cuts = sorted(random.sample(range(1, len(data)), min(random.randint(1, 4), len(data) - 1)))
    return tuple(data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True))


def smaller(data: bytes) -> Sequence[bytes]:
    """What could be left out of it: halves first, then ever shorter stretches."""
    candidates, size = [], max(1, len(data) // 2)
    while size:
        candidates += [data[:start] + data[start + size :] for start in range(0, len(data), size)]
        size //= 2
    return candidates
