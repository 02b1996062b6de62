"""Run the drill: learn what each version says, then promote, refuse and roll back under load.

Read this file first.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from loadtest.errors import LoadTestError
from loadtest.promotion.answers import References
from loadtest.promotion.bundles import DrillStore
from loadtest.promotion.operator import Operator
from loadtest.promotion.questions import Question
from loadtest.promotion.traffic import Answered, Target, Traffic

N_WORKERS = 2
N_GOOD = 3
"""Number of good bundles: one is in service, one is kept for a rollback, and the next one has to be loaded."""

AT_MOST_SECONDS = 60.0
SETTLING_SECONDS = 0.5
"""Pause after a swap, before the next quiet stretch begins."""


class DrillFailed(LoadTestError):
    """The service did not do what it was told; the message says what."""


@dataclass(frozen=True)
class Plan:
    """The plan of the drill. rate: requests per second. quiet_seconds: before each promotion."""

    n_promotions: int = 10
    rate: float = 200.0
    quiet_seconds: float = 3.0
    n_questions: int = 400
    seed: int = 0


@dataclass(frozen=True)
class Swap:
    """One swap of versions, in moments on `perf_counter`.

    last_old_at: the last answer of the old version. settled_at: every connection has heard the new version by then.
    """

    version: str
    replaced: str
    quiet_from: float
    requested_at: float
    replied_at: float
    last_old_at: float
    settled_at: float


@dataclass
class Happened:
    """The results to report. refused_by_route, n_refused_by_hand: by the route, by workers that read `current`."""

    swaps: list[Swap] = field(default_factory=list)
    roll_back: Swap | None = None
    refused_by_route: bool = False
    n_refused_by_hand: int = 0
    references: References = field(default_factory=References)
    answered: list[Answered] = field(default_factory=list)


class Drill:
    """One drill. questions: they are sent again and again."""

    def __init__(
        self, plan: Plan, store: DrillStore, operator: Operator, target: Target, questions: list[Question]
    ) -> None:
        self._plan = plan
        self._store = store
        self._operator = operator
        self._target = target
        self._questions = questions
        self._happened = Happened()

    async def run(self) -> Happened:
        """Run all steps in order. Raises DrillFailed."""
        traffic = Traffic(self._target, self._questions, self._plan.rate, self._plan.seed)
        await traffic.connect()
        for version in self._store.good:
            if version != self._store.current():
                await self._do(self._operator.promote, version)
            await self._learn(traffic, version)
        n_learning = len(traffic.answered)
        traffic.resume()
        try:
            for number in range(self._plan.n_promotions):
                version = self._store.good[number % len(self._store.good)]
                self._happened.swaps.append(await self._swap(traffic, version))
            await self._refuse(traffic)
            self._happened.roll_back = await self._swap(traffic, None)
        finally:
            await traffic.pause()
            traffic.disconnect()
        self._happened.answered = traffic.answered[n_learning:]
        return self._happened

    async def _learn(self, traffic: Traffic, version: str) -> None:
        """Learn what a version says to each question when it is sent alone."""
        traffic.resume()
        await traffic.hear_only(version, AT_MOST_SECONDS)
        await traffic.pause()
        try:
            self._happened.references.learn(version, await traffic.ask_in_turn())
        except ValueError as error:
            raise DrillFailed(str(error)) from error

    async def _swap(self, traffic: Traffic, version: str | None) -> Swap:
        """After a quiet stretch promote a version, or roll back for None; wait until every connection reports it."""
        quiet_from, replaced = perf_counter(), self._store.current()
        await asyncio.sleep(self._plan.quiet_seconds)
        requested_at = perf_counter()
        if version is None:
            version = await self._do(self._operator.roll_back)
        else:
            await self._do(self._operator.promote, version)
        replied_at = perf_counter()
        try:
            await traffic.hear_only(version, AT_MOST_SECONDS)
        except TimeoutError as error:
            raise DrillFailed(
                f"after {AT_MOST_SECONDS:g} s some worker still answers from {replaced}"
            ) from error
        settled_at = perf_counter()
        await asyncio.sleep(SETTLING_SECONDS)
        last_old_at = traffic.last_moment_of(replaced, requested_at)
        return Swap(version, replaced, quiet_from, requested_at, replied_at, last_old_at, settled_at)

    async def _refuse(self, traffic: Traffic) -> None:
        """Try to promote a bad bundle by the operators' route, and by hand in `current`."""
        bad, in_service = self._store.bad, self._store.current()
        refused = await asyncio.to_thread(self._operator.promote, bad)
        self._happened.refused_by_route = refused.status == 409 and self._store.current() == in_service
        before = await asyncio.to_thread(self._operator.n_refused)
        text = self._store.put_by_hand(bad)
        give_up_at = perf_counter() + AT_MOST_SECONDS
        n_refused = 0.0
        while n_refused < N_WORKERS and perf_counter() < give_up_at:
            await asyncio.sleep(0.1)
            n_refused = await asyncio.to_thread(self._operator.n_refused) - before
        self._happened.n_refused_by_hand = int(n_refused)
        self._store.restore(text)
        await traffic.hear_only(in_service, AT_MOST_SECONDS)

    async def _do(self, change: Any, *arguments: Any) -> str:
        """Make a change that must succeed, and return the version that it says is in service."""
        reply = await asyncio.to_thread(change, *arguments)
        if reply.status != 200:
            raise DrillFailed(
                f"{change.__name__} was answered with {reply.status}: {reply.body.get('detail')}"
            )
        return str(reply.body["version"])
