"""Replies of Redis, to the connection code itself: whatever comes is what was asked for, or Redis counts as away."""

from __future__ import annotations

import asyncio
import resource
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from os import getpid
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

import uvloop
from hiredis import ReplyError

from loadtest.faults.odd_replies import HUGE_ARRAY, HUGE_STRING, ODD_PUSHES, ODDITIES
from loadtest.faults.resp import array_of, bulk_of, read_frame
from loadtest.processes import own_bytes
from service.contract.errors import RedisUnavailable
from service.people.redis import BlobWrite, RedisPeople
from service.redis.circuit import Circuit
from tests.fuzz.cases import Case, Findings
from tests.fuzz.mutations import in_pieces, mutated, smaller
from tests.fuzz.watching import GrowthWatch, KindReport, ordered

READ_SECONDS = 0.03
CONNECT_SECONDS = 5.0
HANG_SECONDS, KNOWN_HANG_SECONDS = 5.0, 0.3
"""Many times what a trip may take; less once it is known that the code hangs, so that a run comes to its end."""

N_KNOWN_HANGS = 8
HANGS = "the code hangs"

N_AT_ONCE = 32
LOOK_EVERY = 16
"""Rounds."""

SHRINKING_TRIES, HANGING_TRIES = 150, 20
HIGHEST_BYTES = 6 * 2**30
"""Of addresses, while this kind runs: a reply that announces gigabytes must not take the machine along."""

GREETINGS = {
    b"INFO": b"$31\r\nrun_id:1\r\nredis_mode:standalone\r\n",
    b"HELLO": b"%1\r\n+proto\r\n:3\r\n",
    b"CLIENT": b"+OK\r\n",
}
HUGE = (HUGE_ARRAY, HUGE_STRING, b"%999999999\r\n", b"*2147483647\r\n", b"*20000000\r\n", b">99999999\r\n")
PEOPLE = ("one", "two", "three")
N_VALUES = len(PEOPLE) + 1
"""That one trip asks for: the people, and the mark of this Redis."""

WRITTEN = BlobWrite("one", b"", b"a blob")
FORESEEN = frozenset({"blobs", "away"})


class RepliesFuzz:
    """Each case has a fake Redis of its own, which shakes hands, says what the case says, and then nothing more."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._outcomes: Counter[str] = Counter()
        self._unhandled: list[str] = []
        self._patience = HANG_SECONDS

    async def run(self, n_cases: int, seed: int, say: Callable[[str], object]) -> KindReport:
        """All cases, round by round."""
        asyncio.get_running_loop().set_exception_handler(self._note_unhandled)
        watch, started_at = GrowthWatch(n_cases), perf_counter()
        for number, start in enumerate(range(0, n_cases, N_AT_ONCE)):
            self._patience = HANG_SECONDS if self._outcomes[HANGS] < N_KNOWN_HANGS else KNOWN_HANG_SECONDS
            drawn = range(start, min(start + N_AT_ONCE, n_cases))
            await self._round([draw_reply(Random(f"{seed} replies {number}")) for number in drawn])
            if number % LOOK_EVERY == 0:
                watch.look(start, own_bytes([getpid()]))
            if number % 300 == 299:
                say(f"replies: {start:,} of {n_cases:,} cases, {len(self._findings.of('replies'))} findings")
        watch.look(n_cases, own_bytes([getpid()]))
        return KindReport(
            "replies",
            cases=n_cases,
            outcomes=ordered(self._outcomes),
            findings=len(self._findings.of("replies")),
            growth_mib=watch.growth_mib,
            seconds=round(perf_counter() - started_at, 1),
        )

    async def judged(self, case: Case) -> str | None:
        """What is wrong with one case by itself, None for nothing."""
        self._unhandled.clear()
        outcome = await outcome_of(case)
        await asyncio.sleep(0)
        if outcome in FORESEEN and self._unhandled:
            return self._unhandled[0]
        return None if outcome in FORESEEN else outcome

    async def _round(self, cases: Sequence[Case]) -> None:
        """All at once; who left something unhandled is found out one by one."""
        self._unhandled.clear()
        outcomes = await asyncio.gather(*(outcome_of(case, self._patience) for case in cases))
        self._outcomes.update(outcomes)
        are_suspect = bool(self._unhandled)
        for case, outcome in zip(cases, outcomes, strict=True):
            words = None if outcome in FORESEEN else outcome
            if words is None and are_suspect:
                words = await self.judged(case)
            if words is not None and self._findings.add(case, words):
                self._findings.add(await self._shrunk(case, words), words)

    async def _shrunk(self, case: Case, words: str) -> Case:
        smallest, tries, is_smaller = case, 0, True
        at_most = HANGING_TRIES if words == HANGS else SHRINKING_TRIES
        while is_smaller and tries < at_most:
            is_smaller = False
            for candidate in smaller(smallest.data):
                tries += 1
                if tries >= at_most:
                    break
                shrunk = Case("replies", (candidate,))
                if candidate and await self.judged(shrunk) == words:
                    smallest, is_smaller = shrunk, True
                    break
        return smallest

    def _note_unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self._unhandled.append(f"unhandled: {type(error).__name__}: {error}"[:100])


async def outcome_of(case: Case, patience: float = HANG_SECONDS) -> str:
    """What the code made of it: "blobs" if each person has one or none, "away" if Redis counts as that, else what is
    wrong.
    """
    try:
        async with fake_redis(case.pieces) as port, asyncio.timeout(patience):
            return await _asked(port)
    except TimeoutError:
        return HANGS


async def _asked(port: int) -> str:
    """Ask for people and write one, as requests do."""
    people = RedisPeople(
        f"redis://127.0.0.1:{port}/0",
        Circuit(1000, 0.01),
        connect_seconds=CONNECT_SECONDS,
        read_seconds=READ_SECONDS,
        ttl_seconds=100,
    )
    written = people.write(WRITTEN)
    assert written is not None
    try:
        *read, stored = await asyncio.gather(*map(people.read, PEOPLE), written, return_exceptions=True)
    finally:
        await people.close()
    if not isinstance(stored, bool | RedisUnavailable):
        return f"a write ends with {_told(stored)}"
    odd = [each for each in read if not isinstance(each, bytes | RedisUnavailable | None)]
    if odd:
        return f"a read ends with {_told(odd[0])}"
    return "away" if any(isinstance(each, RedisUnavailable) for each in read) else "blobs"


def _told(value: object) -> str:
    if isinstance(value, Exception) and not isinstance(value, ReplyError):  # whose words are the fuzz's own
        return f"{type(value).__name__}: {value}"[:80]
    return type(value).__name__


@asynccontextmanager
async def fake_redis(pieces: Sequence[bytes]) -> AsyncIterator[int]:
    """Its port."""

    async def talk(reader: StreamReader, writer: StreamWriter) -> None:
        try:
            async for command in _commands(reader):
                greeting = GREETINGS.get(command)
                for piece in pieces if greeting is None else (greeting,):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
        except OSError:
            pass  # the service has had enough
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _commands(reader: StreamReader) -> AsyncIterator[bytes]:
    """Names of the commands as they come."""
    data = b""
    while more := await reader.read(65_536):
        data += more
        while (found := read_frame(data)) is not None:
            frame, end = found
            data = data[end:]
            yield frame.parts[0].raw.partition(b"\r\n")[2][:-2].upper()


def draw_reply(random: Random) -> Case:
    """From a right answer to noise."""
    blobs = [
        random.choice((b"$-1\r\n", bulk_of(random.randbytes(random.randint(0, 60))))) for _ in range(N_VALUES)
    ]
    drawn = random.random()
    if drawn < 0.35:
        blobs[random.randrange(len(blobs))] = random.choice(ODDITIES)
    elif drawn < 0.45:
        blobs = blobs[: random.randrange(N_VALUES)] if random.random() < 0.5 else [*blobs, *blobs]
    data = array_of(blobs)
    if random.random() < 0.15:
        data = random.choice((*ODDITIES, b":1\r\n", b":0\r\n"))
    if random.random() < 0.2:
        data = random.choice(ODD_PUSHES) + data
    if random.random() < 0.02:
        data = random.choice(HUGE) + data
    if random.random() < 0.5:
        data = mutated(data, random) or b"\r\n"
    return Case("replies", in_pieces(data, random))


@contextmanager
def bounded_addresses() -> Iterator[None]:
    """This process may not take more addresses than `HIGHEST_BYTES` inside."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (HIGHEST_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def fuzz_replies(
    folder: Path, n_cases: int, seed: int, findings: Findings, say: Callable[[str], object]
) -> KindReport:
    """In this process, without any service. folder: not needed."""
    with bounded_addresses():
        return uvloop.run(RepliesFuzz(findings).run(n_cases, seed, say))
