"""Replay the last actions of a shop's people now, as the traffic from which a bundle's reference was made.

For each of the last events, a request comes just before it happens, from a new person whose visit has the events
that the original person had done until then, with all times moved so that the event is now; then the event itself is
sent.
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

KINDS = {0: "view", 1: "click", 2: "cart", 3: "purchase", 4: "rating", 6: "dislike"}
RETURN = 7
"""The code of a return, which a request cannot tell of its visit."""

MAX_VISIT = 100
"""The most events that a request may have in its visit."""

REPLAYED_SHARE = 0.1
"""Share of all events that is replayed; these are the last ones."""


@dataclass(frozen=True)
class Step:
    """One action of a person. before: their earlier actions as (item_id, kind, time), the oldest first,
    no more than MAX_VISIT of them.
    """

    before: tuple[tuple[str, str, int], ...]
    item_id: str
    kind: str
    time: int


@dataclass(frozen=True)
class Question:
    """One question. user_id: of a new person. request: body of /recommend. event: what follows it, for /events."""

    user_id: str
    request: dict[str, Any]
    event: dict[str, Any]


Disguise = Callable[[Step, Random], Step]
"""A function that changes a step, by which traffic is made to drift."""


def as_it_was(step: Step, rng: Random) -> Step:
    """Return the step unchanged."""
    return step


def of_another_season(step: Step, rng: Random) -> Step:
    """Turn half of the steps into purchases of unknown items, and let hardly anybody have a history."""
    if rng.random() < 0.5:
        return Step(step.before[-1:], f"new-season-{rng.randrange(100)}", "purchase", step.time)
    return Step(step.before[-1:], step.item_id, step.kind, step.time)


def last_steps(shop: Path, seed: int = 0) -> list[Step]:
    """Return the last steps of a shop from `training generate`, in random order. Raises IdsMissing without any."""
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
    """Return the step as a question of now, by the person of this number."""
    user_id = f"drill-{number}"
    moved = int(time()) - step.time
    visit = [
        {"item_id": item_id, "kind": kind, "time": moment + moved} for item_id, kind, moment in step.before
    ]
    return Question(
        user_id,
        request={"user_id": user_id, "session": visit},
        event={"kind": step.kind, "item_id": step.item_id, "user_id": user_id},
    )


def _steps(shop: Path) -> Iterator[Step]:
    """Yield all steps, person by person."""
    for rows in _rows_by_person(shop).values():
        before: tuple[tuple[str, str, int], ...] = ()
        for moment, item_id, kind in sorted(rows):
            yield Step(before, item_id, kind, moment)
            before = (*before, (item_id, kind, moment))[-MAX_VISIT:]


def _rows_by_person(shop: Path) -> dict[str, list[tuple[int, str, str]]]:
    """Read (time, item, kind) by user, without returns."""
    from pyarrow import parquet

    rows: defaultdict[str, list[tuple[int, str, str]]] = defaultdict(list)
    for part in sorted((shop / "interactions").glob("part-*.parquet")):
        table = parquet.read_table(part, columns=["user_id", "item_id", "time", "kind"])
        columns = (table.column(name).to_pylist() for name in ("user_id", "time", "item_id", "kind"))
        for user_id, moment, item_id, kind in zip(*columns, strict=True):
            if kind != RETURN:
                rows[user_id].append((moment, item_id, KINDS[kind]))
    return dict(rows)
