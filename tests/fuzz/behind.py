"""Replies of Redis, to a real service: one question at a time, each with another reply to what it asks Redis."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from time import perf_counter

import msgspec
import uvloop

from loadtest.faults.proxy import Line
from loadtest.faults.resp import Frame, Question
from loadtest.faults.service_log import unforeseen
from loadtest.redis_server import Redis
from loadtest.servers import free_port
from tests.fuzz.cases import Case, Findings
from tests.fuzz.exchange import HANG_SECONDS, exchange
from tests.fuzz.replies import draw_reply
from tests.fuzz.requests import PEOPLE, post
from tests.fuzz.services import FuzzedService, fuzzed
from tests.fuzz.watching import GrowthWatch, KindReport, ordered, server_error

LOOK_EVERY = 100
SETTINGS = {
    "STILLROOM_CACHE_BYTES": "0",  # so that every question asks Redis
    "STILLROOM_DEADLINE_MS": "100",
    "STILLROOM_CIRCUIT_FAILURES": "1000",
    "STILLROOM_CIRCUIT_OPEN_SECONDS": "0.001",
}


class SaidInPlace(Line):
    """Says `case` in place of each reply to a question about people. n_said: how often it did."""

    case: Case | None = None
    n_said = 0

    def _reply(self, question: Question, reply: Frame, random: Random) -> bytes:
        if question.name != b"MGET" or self.case is None:
            return reply.raw
        self.n_said += 1
        return self.case.data


class BehindFuzz:
    """service: asks Redis over the line."""

    def __init__(self, service: FuzzedService, line: SaidInPlace, findings: Findings) -> None:
        self._service = service
        self._line = line
        self._findings = findings
        self._statuses: Counter[str] = Counter()

    async def run(self, n_cases: int, seed: int, say: Callable[[str], object]) -> KindReport:
        """One after the other, so that what goes wrong belongs to its case."""
        watch, started_at = GrowthWatch(n_cases), perf_counter()
        for number in range(n_cases):
            random = Random(f"{seed} behind {number}")
            case = msgspec.structs.replace(draw_reply(random), kind="behind")
            words = await self.judged(case, random.choice(PEOPLE))
            if words is not None:
                self._findings.add(case, words)
            if number % LOOK_EVERY == 0:
                watch.look(number, await asyncio.to_thread(self._service.own_bytes))
            if number % 2000 == 0 and number:
                say(f"behind: {number:,} of {n_cases:,} cases, {len(self._findings.of('behind'))} findings")
        watch.look(n_cases, self._service.own_bytes())
        if not self._line.n_said:
            raise RuntimeError("the service never asked Redis, so nothing was tried")
        return KindReport(
            "behind",
            cases=n_cases,
            outcomes=ordered(self._statuses),
            findings=len(self._findings.of("behind")),
            growth_mib=watch.growth_mib,
            unhandled=unforeseen(self._service.log),
            seconds=round(perf_counter() - started_at, 1),
        )

    async def judged(self, case: Case, person: str = PEOPLE[0]) -> str | None:
        """What is wrong, None for nothing."""
        self._line.case = case
        question = post("/recommend", msgspec.json.encode({"user_id": person}))
        seen = await exchange(self._service.port, (question,), HANG_SECONDS)
        reply = next(iter(seen.replies), None)
        if reply is None:
            return f"a question got no answer: {seen.ended}"
        self._statuses[str(reply.status)] += 1
        return server_error(reply.status, reply.body) or (
            None if reply.status == 200 else f"a valid question was answered with {reply.status}"
        )


@asynccontextmanager
async def behind(folder: Path, findings: Findings) -> AsyncIterator[BehindFuzz]:
    """With a Redis and a service of its own."""
    with ExitStack() as stack:
        redis = stack.enter_context(Redis(free_port(), folder / "redis.log"))
        line = SaidInPlace(free_port(), redis.port, is_redis=True)
        await line.open()
        try:
            settings = {**SETTINGS, "STILLROOM_REDIS_URL": f"redis://127.0.0.1:{line.port}/0"}
            starting = fuzzed(folder / "behind", settings=settings)
            service = await asyncio.to_thread(stack.enter_context, starting)
            yield BehindFuzz(service, line, findings)
        finally:
            await line.close()


def fuzz_behind(
    folder: Path, n_cases: int, seed: int, findings: Findings, say: Callable[[str], object]
) -> KindReport:
    """All of it."""

    async def run() -> KindReport:
        async with behind(folder, findings) as fuzz:
            return await fuzz.run(n_cases, seed, say)

    return uvloop.run(run())
