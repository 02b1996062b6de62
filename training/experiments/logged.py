"""Read logged answers from an export, with the outcomes of each.

It reads `exposures/`, `interactions/`, `visits/` and `removals/`, the Parquet parts that `make export-events` writes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Any

import polars as pl

from models.experiments.attribution import Attributor
from training.base.errors import ColumnMissing, SourceUnreadable

EXPOSURE_COLUMNS = (
    *("request_id", "sent_ms", "user_id", "session_id", "unit", "item_ids", "version", "variant", "tier"),
    *("experiment", "arm", "propensity", "n_session"),
)
EVENT_COLUMNS = (
    "event_id",
    "user_id",
    "session_id",
    "item_id",
    "kind",
    "time",
    "request_id",
    "received_ms",
    "value",
)


@dataclass(frozen=True)
class PastEvent:
    """An event of a person. time: Unix seconds, from the shop. received_ms: Unix milliseconds."""

    event_id: str
    user_id: str | None
    session_id: str | None
    item_id: str
    kind: str
    time: int
    request_id: str
    received_ms: int
    value: float | None


@dataclass(frozen=True)
class LoggedHistory:
    """The history that a student read, oldest first: item ids, Unix seconds, `EventKind` codes."""

    item_ids: list[str]
    times: list[int]
    kinds: list[int]


@dataclass
class LoggedAnswer:
    """One answer.

    history: the history it was made from, None if the log lacks it. rewarded: its items with the wanted outcome.
    """

    request_id: str
    sent_ms: int
    user_id: str | None
    session_id: str | None
    unit: str
    item_ids: list[str]
    version: str
    variant: str
    tier: str
    experiment: str
    arm: str
    propensity: float
    n_session: int
    history: LoggedHistory | None = None
    rewarded: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Log:
    """A log. answers: by time. events_of: each person's events and removals, in the order of acceptance."""

    answers: list[LoggedAnswer]
    events_of: dict[str, list[PastEvent]]

    def between(self, since: datetime | None, until: datetime | None) -> Log:
        """Keep the answers of a period; None for no bound."""
        first = -inf if since is None else 1000 * since.timestamp()
        end = inf if until is None else 1000 * until.timestamp()
        return Log([answer for answer in self.answers if first <= answer.sent_ms < end], self.events_of)


def read_log(folder: Path, *, outcome: str, window_seconds: int) -> Log:
    """Read an export and join outcomes with answers.

    outcome: "click" or "purchase". Raises SourceUnreadable if there are no exposures, ColumnMissing for a table of
    another layout.
    """
    answers = [_answer(row) for row in _rows(folder, "exposures", EXPOSURE_COLUMNS, is_needed=True)]
    events = [
        _event(row)
        for table in ("interactions", "visits")
        for row in _rows(folder, table, EVENT_COLUMNS, is_needed=False)
    ]
    answers.sort(key=lambda answer: answer.sent_ms)
    events.sort(key=_accepted)
    _attribute(answers, events, outcome, window_seconds)
    removals = [_event(row) for row in _rows(folder, "removals", EVENT_COLUMNS, is_needed=False)]
    events_of: defaultdict[str, list[PastEvent]] = defaultdict(list)
    for event in sorted([*events, *removals], key=_accepted):
        if event.user_id is not None:
            events_of[event.user_id].append(event)
    return Log(answers, dict(events_of))


def _event(row: dict[str, Any]) -> PastEvent:
    return PastEvent(**{name: row[name] for name in EVENT_COLUMNS} | {"request_id": row["request_id"] or ""})


def _accepted(event: PastEvent) -> tuple[int, int]:
    """Return when an event was accepted, and its position in its batch, whose events share the moment."""
    place = event.event_id.rpartition("-")[2]
    return event.received_ms, int(place) if place.isdecimal() else 0


def _attribute(
    answers: list[LoggedAnswer], events: list[PastEvent], outcome: str, window_seconds: int
) -> None:
    attributor: Attributor[LoggedAnswer] = Attributor(window_seconds, max(len(answers), 1))
    moments: list[tuple[int, int, Any]] = [(answer.sent_ms, 0, answer) for answer in answers]
    moments += [(event.received_ms, 1, event) for event in events]
    for _, _, what in sorted(moments, key=lambda moment: moment[:2]):
        found = attributor.exposed(what) if isinstance(what, LoggedAnswer) else attributor.happened(what)
        for attributed in found:
            if attributed.outcome == outcome:
                attributed.exposure.rewarded.add(attributed.item_id)


def _answer(row: dict[str, Any]) -> LoggedAnswer:
    sampled = row.get("sampled")
    history = None if sampled is None else LoggedHistory(**sampled)
    return LoggedAnswer(**{name: row[name] for name in EXPOSURE_COLUMNS}, history=history)


def _rows(folder: Path, table: str, columns: tuple[str, ...], *, is_needed: bool) -> Iterator[dict[str, Any]]:
    parts = sorted((folder / table).glob("part-*.parquet"))
    if not parts and is_needed:
        raise SourceUnreadable(
            f"there is no {table}/part-*.parquet in {folder}; `make export-events` writes it from the live log"
        )
    for part in parts:
        try:
            read = pl.read_parquet(part)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise SourceUnreadable(f"{part} is not readable as Parquet: {error}") from error
        missing = [name for name in columns if name not in read.columns]
        if missing:
            held = ", ".join(read.columns)
            raise ColumnMissing(f"{part} has no column {missing[0]!r}; it has: {held}; export it again")
        yield from read.iter_rows(named=True)
