"""Raw bytes over both ways of HTTP: from valid requests to noise, cut anywhere, with equal answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from random import Random
from time import perf_counter

import uvloop

from loadtest.faults.service_log import unforeseen
from tests.fuzz.cases import Case, Findings
from tests.fuzz.exchange import Replied, Seen, exchange
from tests.fuzz.mutations import in_pieces, smaller
from tests.fuzz.requests import draw_raw
from tests.fuzz.services import LONG_WAY, SHORT_WAY, FuzzedService, fuzzed
from tests.fuzz.watching import GrowthWatch, KindReport, ordered, server_error

N_AT_ONCE = 24
PROBLEM = "application/problem+json"
N_TRIES = 3
"""A difference counts if it is there each time."""

SHRINKING_TRIES = 300
LOOK_EVERY = 200
IN_A_HURRY = {b'"deadline"', b'"overloaded"'}
"""Reasons that depend on how busy the machine is: such answers are compared by their status alone."""


class RawFuzz:
    """services: of the short way and of the long one."""

    def __init__(self, short: FuzzedService, long: FuzzedService, findings: Findings) -> None:
        self._services = (short, long)
        self._findings = findings
        self._statuses: Counter[str] = Counter()

    async def run(self, n_cases: int, seed: int, say: Callable[[str], object]) -> KindReport:
        """All cases, several at once."""
        watch, started_at = GrowthWatch(n_cases), perf_counter()
        numbers = iter(range(n_cases))

        async def worker() -> None:
            for number in numbers:
                random = Random(f"{seed} raw {number}")
                data, n_valid_bytes = draw_raw(random, number)
                case = Case("raw", in_pieces(data, random), n_valid_bytes)
                await self._try(case, Random(f"{seed} other {number}"))
                if number % LOOK_EVERY == 0:
                    watch.look(number, await asyncio.to_thread(self._own_bytes))
                if number % 5000 == 0 and number:
                    say(f"raw: {number:,} of {n_cases:,} cases, {len(self._findings.of('raw'))} findings")

        async with asyncio.TaskGroup() as group:
            for _ in range(N_AT_ONCE):
                group.create_task(worker())
        watch.look(n_cases, self._own_bytes())
        return KindReport(
            "raw",
            cases=n_cases,
            outcomes=ordered(self._statuses),
            findings=len(self._findings.of("raw")),
            growth_mib=watch.growth_mib,
            unhandled=[line for service in self._services for line in unforeseen(service.log)],
            seconds=round(perf_counter() - started_at, 1),
        )

    def _own_bytes(self) -> int:
        return sum(service.own_bytes() for service in self._services)

    async def _try(self, case: Case, random: Random) -> None:
        """The short way gets the case's pieces, the long way the same bytes in others."""
        words = await self.judged(case, in_pieces(case.data, random))
        if words is None:
            return
        for _ in range(N_TRIES - 1):
            if await self.judged(case) != words:
                return
        if self._findings.add(case, words):
            self._findings.add(await self._shrunk(case, words), words)

    async def judged(self, case: Case, other_pieces: tuple[bytes, ...] | None = None) -> str | None:
        """What is wrong, None for nothing."""
        short, long = self._services
        one = await exchange(short.port, case.pieces)
        other = await exchange(long.port, case.pieces if other_pieces is None else other_pieces)
        self._statuses.update(str(reply.status) for reply in one.replies)
        self._statuses.update(["closed without a reply"] * (not one.replies and one.ended != "answered"))
        return alone(one, case) or alone(other, case) or difference(one, other)

    async def _shrunk(self, case: Case, words: str) -> Case:
        """The smallest that is found in a number of tries, whole or in two pieces."""
        smallest, tries = case, 0
        is_smaller = True
        while is_smaller and tries < SHRINKING_TRIES:
            is_smaller = False
            valid = smallest.data[: smallest.n_valid_bytes]
            for rest in smaller(smallest.data[len(valid) :]):
                tries += 1
                if tries >= SHRINKING_TRIES:
                    break
                shrunk = Case("raw", (valid + rest,), len(valid))
                if shrunk.data and await self.judged(shrunk) == words:
                    smallest, is_smaller = shrunk, True
                    break
        return smallest


def alone(seen: Seen, case: Case) -> str | None:
    """What is wrong whatever the other way says."""
    if seen.garbage:
        return f"bytes that are no HTTP: {seen.garbage[:30]!r}"
    if seen.ended.startswith("open"):
        return "the connection hangs"
    if case.n_valid_bytes and (not seen.replies or seen.replies[0].status != 200):
        return f"a valid request with something behind it got {[reply.status for reply in seen.replies]}"
    return next((error for reply in seen.replies if (error := _error(reply))), None)


def _error(reply: Replied) -> str | None:
    if reply.status >= 400 and not reply.headers.get("content-type", "").startswith(PROBLEM):
        return f"a {reply.status} is no problem document"
    return server_error(reply.status, reply.body)


def difference(one: Seen, other: Seen) -> str | None:
    """How the short way's answers differ from the long way's."""
    statuses = [[_whatever_came_before(reply.status) for reply in seen.replies] for seen in (one, other)]
    ends = [seen.ended.removesuffix(" after FIN") for seen in (one, other)]
    if len(statuses[0]) != len(statuses[1]) or not all(map(_are_alike, *statuses)):
        return f"answered with {statuses[0]} on the short way and {statuses[1]} on the long way"
    if ends[0] != ends[1]:
        return f"{ends[0]} on the short way and {ends[1]} on the long way, after {statuses[0]}"
    for mine, theirs in zip(one.replies, other.replies, strict=True):
        if mine.status != theirs.status or any(
            word in mine.body or word in theirs.body for word in IN_A_HURRY
        ):
            continue
        if mine.told() != theirs.told():
            return f"a {mine.status} says other things on the short way than on the long way"
    return None


def _are_alike(one: int, other: int) -> bool:
    """Whoever has no route is told so at the end of the head, and what is broken behind it may come before that."""
    return one == other or {one, other} in (
        {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST},
        {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.BAD_REQUEST},
    )


def _whatever_came_before(status: int) -> int:
    """A batch whose key another case has used is refused, and of cases at work at once either may be the first."""
    return HTTPStatus.ACCEPTED if status == HTTPStatus.CONFLICT else status


def fuzz_raw(
    folder: Path, n_cases: int, seed: int, findings: Findings, say: Callable[[str], object]
) -> KindReport:
    """With services of its own."""
    with ExitStack() as stack:
        short = stack.enter_context(fuzzed(folder / "short", SHORT_WAY))
        long = stack.enter_context(fuzzed(folder / "long", LONG_WAY))
        return uvloop.run(RawFuzz(short, long, findings).run(n_cases, seed, say))
