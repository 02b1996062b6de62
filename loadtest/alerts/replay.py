"""What a shop's people did last, done again now: the traffic that a bundle's reference was made of.

Each of the last events is asked about just before it happens, by somebody new whose visit is what the person had done
until then, all times moved so that the event is of this moment; then the event itself is told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import time
from typing import Any

from loadtest.errors import IdsMissing

KINDS = ("view", "click", "cart", "purchase", "rating")
MAX_VISIT = 100
"""Events that a request may bring along."""

REPLAYED_SHARE = 0.1
"""Of all events, the last ones."""


@dataclass(frozen=True)
class Step:
    """One thing somebody did. before: what they had done until then, the last time of each item, oldest first."""

    before: tuple[tuple[str, str, int], ...]
    item_id: str
    kind: str
    time: int


@dataclass(frozen=True)
class Question:
    """user_id: of somebody new. asked: body of /recommend. told: the event that follows, for /events."""

    user_id: str
    asked: dict[str, Any]
    told: dict[str, Any]


Disguise = Callable[[Step, Random], Step]
"""Makes another step of one: how traffic is made to drift."""


def as_it_was(step: Step, rng: Random) -> Step:
    """No disguise."""
    return step


def of_another_season(step: Step, rng: Random) -> Step:
    """Half of what people do is bought at once, of items that nobody knows; and hardly anybody has a history."""
    if rng.random() < 0.5:
        return Step(step.before[-1:], f"new-season-{rng.randrange(100)}", "purchase", step.time)
    return Step(step.before[-1:], step.item_id, step.kind, step.time)


def last_steps(shop: Path, seed: int = 0) -> list[Step]:
    """The steps of a shop that `training generate` wrote, in random order. Raises IdsMissing where there are none."""
    steps = list(_steps(shop))
    steps.sort(key=lambda step: step.time)
    steps = steps[round(len(steps) * (1 - REPLAYED_SHARE)) :]
    if not steps:
        raise IdsMissing(
            f"no events under {shop / 'interactions'}; write them with `python -m training generate`"
        )
    Random(seed).shuffle(steps)
    return steps


def question(step: Step, number: int) -> Question:
    """The step as of now, by the person of this number."""
    user_id = f"drill-{number}"
    moved = int(time()) - step.time
    visit = [
        {"item_id": item_id, "kind": kind, "time": moment + moved} for item_id, kind, moment in step.before
    ]
    return Question(
        user_id,
        asked={"user_id": user_id, "session": visit[-MAX_VISIT:]},
        told={"kind": step.kind, "item_id": step.item_id, "user_id": user_id},
    )


def _steps(shop: Path) -> Iterator[Step]:
    """All of them, person by person."""
    for rows in _rows_by_person(shop).values():
        before: dict[str, tuple[str, str, int]] = {}
        for moment, item_id, kind in sorted(rows):
            yield Step(tuple(before.values()), item_id, kind, moment)
            before.pop(item_id, None)
            before[item_id] = (item_id, kind, moment)


def _rows_by_person(shop: Path) -> dict[str, list[tuple[int, str, str]]]:
    """(time, item, kind) by user."""
    from pyarrow import parquet

    rows: defaultdict[str, list[tuple[int, str, str]]] = defaultdict(list)
    for part in sorted((shop / "interactions").glob("part-*.parquet")):
        table = parquet.read_table(part, columns=["user_id", "item_id", "time", "kind"])
        columns = (table.column(name).to_pylist() for name in ("user_id", "time", "item_id", "kind"))
        for user_id, moment, item_id, kind in zip(*columns, strict=True):
            rows[user_id].append((moment, item_id, KINDS[kind]))
    return dict(rows)
