"""Run one row of the drill, from its stage to its report. Read this file first."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

import msgspec
import uvloop

from loadtest.errors import LoadTestError, ServerFailed, ServerMissing
from loadtest.events.exporting import export, read_marks
from loadtest.faults.findings import Allowance, problems
from loadtest.faults.memory import MemoryWatch
from loadtest.faults.row import Row
from loadtest.faults.row_figures import Moments, of_questions
from loadtest.faults.schema import EventFigures, RowReport
from loadtest.faults.service_log import unforeseen
from loadtest.faults.shoppers import Shopping, draw_shoppers
from loadtest.faults.stage import Kept, Stage, staged
from loadtest.faults.traffic import Known, Rates, Traffic, excused_in_a_row
from loadtest.promotion.questions import Question, draw_questions, heavy_question

N_QUESTIONS = 100
N_SHOPPERS = 8
"""Number of known people who buy; as many new people, and as many visits, buy too."""

N_REMEMBERED = 12
"""Number of people whom only the live histories know, so that an answer shows whether those are there."""

REMEMBERED_SINCE = 1_750_000_000
SHIPPING_SECONDS = 3.0
"""The longest time from a reply until its events are in Redis, in a fault during which events must be shipped."""

SHIPPED_SECONDS = 20.0
ACCEPTED_SECONDS = 20.0


@dataclass(frozen=True)
class Pace:
    """The pace of a drill. before_seconds: of traffic without a fault. at_most_seconds: limits a row's fault."""

    rates: Rates = field(default_factory=Rates)
    before_seconds: float = 4.0
    at_most_seconds: float = 60.0
    seed: int = 0
    allowance: Allowance = field(default_factory=Allowance)


def run_row(row: Row, pace: Pace, kept: Kept, module: str = "service") -> RowReport:
    """Run one row; its servers and folders are gone afterwards. module: the service to run."""
    started_at, seed = perf_counter(), Random(f"{pace.seed} {row.name}").randrange(2**31)
    try:
        with staged(kept, row.setting, seed, module) as stage:
            report = uvloop.run(Drill(row, pace, stage).run())
    except ServerMissing as error:
        report = msgspec.structs.replace(described(row), verdict="not run", remedy=str(error))
    except LoadTestError as error:
        report = msgspec.structs.replace(described(row), verdict="failed", problems=[str(error)])
    except Exception as error:  # whatever it is, it must not cost the figures of the other rows
        broke = f"the row itself broke: {type(error).__name__}: {error}"
        report = msgspec.structs.replace(described(row), verdict="failed", problems=[broke])
    return msgspec.structs.replace(report, seconds=round(perf_counter() - started_at, 1))


class Drill:
    """Runs one row. stage: has begun already."""

    def __init__(self, row: Row, pace: Pace, stage: Stage) -> None:
        self._row = row
        self._pace = pace
        self._stage = stage
        self._random = Random(stage.seed)
        self._memory = MemoryWatch(stage.service.processes)
        self._unshipped_during = 0
        people, items = stage.kept.people, stage.kept.items
        n_shoppers = min(N_SHOPPERS, len(people) // 3)
        shopping = Shopping(draw_shoppers(people[:n_shoppers]), items, stage.seed)
        known = Known(self._questions(people[n_shoppers:]))
        self._traffic = Traffic(
            stage.service.port,
            known,
            shopping,
            pace.rates,
            stage.seed,
            opens_anew=row.setting.opens_anew,
        )
        stage.at_most_seconds = pace.at_most_seconds
        stage.sent, stage.say = self._traffic.sender.sent, self._traffic.sender.send

    async def run(self) -> RowReport:
        """Run the whole row. Raises LoadTestError if it cannot begin, or if its repair or its export fails."""
        await self._prepare()
        try:
            async with self._memory.watching():
                moments, well_at = await self._break()
            n_unaccepted = await self._traffic.stop(ACCEPTED_SECONDS)
        finally:
            await self._traffic.stop(0)
        events = await self._count_events(n_unaccepted)
        if self._row.check is not None:
            self._stage.found += await self._row.check(self._stage)
        return self._report(moments, well_at, events)

    async def _prepare(self) -> None:
        """Connect to each worker, send the events of the remembered people, and learn the right answers."""
        stage = self._stage
        workers = await stage.do(stage.service.workers)
        await self._traffic.lane.open(workers, heavy_question(stage.kept.people).request)
        await self._traffic.sender.send(self._remembered())
        for version in reversed(stage.store.good):
            if version != stage.store.current():
                await stage.do(stage.operator.promote, version)
            await self._traffic.learn(version)

    async def _break(self) -> tuple[Moments, float | None]:
        """Make the fault under traffic and repair it; return these moments, and when all was well again."""
        row = self._row
        started_at = perf_counter()
        self._traffic.start()
        await asyncio.sleep(self._pace.before_seconds)
        await self._memory.begin()
        fault_at = perf_counter()
        async with row.fault(self._stage):
            lasts = min(row.seconds, self._pace.at_most_seconds)
            await asyncio.sleep(lasts - SHIPPING_SECONDS if row.ships else lasts)
            if row.ships:
                await self._look_for_unshipped()
        repaired_at = perf_counter()
        n_excused = excused_in_a_row(self._traffic.judged, fault_at)
        well_at = await self._traffic.until_well(repaired_at, row.recovers_seconds + 10, n_excused)
        return Moments(started_at, fault_at, repaired_at), well_at

    async def _look_for_unshipped(self) -> None:
        """Count events accepted by now that are not in Redis a little later, while the fault lasts."""
        accepted = set(self._traffic.sender.sent.accepted)
        await asyncio.sleep(SHIPPING_SECONDS)
        self._unshipped_during = len(accepted - set(await self._exported("export-during")))

    async def _count_events(self, n_unaccepted: int) -> EventFigures:
        """Export all events and count them. Raises ExportBroken."""
        stage, sent = self._stage, self._traffic.sender.sent
        with suppress(ServerFailed, OSError, HTTPException):  # missing events are counted below
            await stage.do(stage.service.wait_until_shipped, SHIPPED_SECONDS)
        exported = await self._exported("export")
        missing = sent.accepted - set(exported) - stage.forgiven
        on_disk = set(await self._exported("export-all", stage.spool)) if missing else set[str]()
        return EventFigures(
            sent=len(sent.sent),
            accepted=len(sent.accepted),
            lost=len(missing - on_disk),
            doubled=sum(n_times - 1 for n_times in exported.values()),
            invented=len(set(exported) - sent.sent),
            unshipped=len(missing & on_disk),
            unshipped_during=self._unshipped_during,
            unaccepted=n_unaccepted,
            unlike=len(sent.unlike),
            statuses=dict(sorted(sent.statuses.items())),
        )

    async def _exported(self, folder: str, spool: Path | None = None) -> Counter[str]:
        """Export now, and return how often each event is in the export, by its mark."""
        stage = self._stage
        settings = {**stage.service.settings, "STILLROOM_REDIS_URL": stage.redis.url, "LD_PRELOAD": ""}
        await stage.do(export, settings, stage.folder / folder, spool)
        return await stage.do(read_marks, stage.folder / folder)

    def _questions(self, people: Sequence[str]) -> list[Question]:
        """Return the questions whose right answers are learned, about people who do nothing meanwhile."""
        stage, deadline_ms = self._stage, self._pace.rates.deadline_ms
        drawn = draw_questions(people, stage.kept.items, N_QUESTIONS, stage.seed, deadline_ms)
        of_remembered = [
            Question(
                "/recommend", {"user_id": f"remembered-{number}", "limit": 10, "deadline_ms": deadline_ms}
            )
            for number in range(N_REMEMBERED)
        ]
        return drawn + of_remembered

    def _remembered(self) -> dict[str, Any]:
        """Return the events of people whom no bundle knows."""
        items = self._stage.kept.items
        events = [
            {
                "user_id": f"remembered-{person}",
                "kind": "purchase",
                "item_id": item,
                "time": REMEMBERED_SINCE + 60 * place,
                "request_id": f"remembered-{person}-{place}",
            }
            for person in range(N_REMEMBERED)
            for place, item in enumerate(self._random.sample(items, 5))
        ]
        return {"key": f"remembered-{self._stage.seed}", "events": events}

    def _report(self, moments: Moments, well_at: float | None, events: EventFigures) -> RowReport:
        row, judged = self._row, self._traffic.judged
        figures = of_questions(judged, moments, row.helpless, self._pace.rates.deadline_ms)
        report = msgspec.structs.replace(
            described(row),
            **figures,
            events=events,
            recovery_seconds=None if well_at is None else round(well_at - moments.repaired_at, 2),
            memory=self._memory.figures(),
            log_errors=unforeseen(self._stage.service.log),
            noted=self._stage.noted,
        )
        deadline_ms = self._pace.rates.deadline_ms
        found = problems(row, report, self._stage.found, deadline_ms, self._pace.allowance)
        return msgspec.structs.replace(report, verdict="failed" if found else "held", problems=found)


def described(row: Row) -> RowReport:
    """Return a row's report without figures so far."""
    return RowReport(row.name, row.group, row.done, row.holds, verdict="held", problems=[], remedy="")
