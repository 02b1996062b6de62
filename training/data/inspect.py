"""Say how a shop's files are understood, before anything is trained: what `python -m training inspect` prints."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl

from models.history import EventKind
from models.removals import REMOVAL
from training.base.errors import DataError, TooLittleData
from training.data.checks import stops
from training.data.columns import both_uses, column_lines
from training.data.event_columns import means_returned
from training.data.interactions import EventsRead
from training.data.options import ReadingOptions
from training.data.plan import Plan
from training.data.read import assembled, plan_shop, read_parts, scratch_folder
from training.data.roles import sample_text
from training.data.shop import Shop, require_trainable

MAX_ROWS: Final = 1_000_000
"""Rows of events that are read to be described; of a longer table the first ones are."""
N_SHOWN: Final = 3
N_STATES: Final = 20
KIND_NAMES: Final = {kind.value: kind.name.lower() for kind in EventKind} | {REMOVAL: "removal"}


def inspect_shop(source: Path, items: Path | None, options: ReadingOptions) -> tuple[list[str], bool]:
    """Return lines that say how the files are understood, and whether they can be trained on as they are.

    The last lines are the ready command, or what stands in its way and the option that removes it.
    """
    with scratch_folder() as scratch:
        try:
            planned = plan_shop(source, items, options, scratch)
            told = _of_shop(planned) if isinstance(planned, Shop) else _of_plan(planned, options)
            lines, problems = list(told[0]), told[1]
        except DataError as error:
            return [str(error)], False
    if problems:
        ways = [f"  {text} [{name}]" if name else f"  {text}" for name, text in problems.items()]
        names = ",".join(filter(None, problems))
        accepted = [f"  accept what is all right by name: --accept {names}"] if names else []
        return [*lines, "", "in the way:", *ways, *accepted], False
    return [*lines, "", f"ready: {command(source, items, options)}"], True


def command(source: Path, items: Path | None, options: ReadingOptions) -> str:
    """Return the command that trains on these files."""
    words = ["python", "-m", "training", "train", str(source)]
    for name, text in {"items": str(items or ""), **options.words()}.items():
        words += [f"--{name}", text] if text else []
    return shlex.join(words)


def _of_shop(shop: Shop) -> tuple[list[str], dict[str, str]]:
    lines = [shop.layout, *column_lines(shop.columns), *shop.dropped.lines()]
    return [*lines, *_span(shop.events), *_rows(shop.events, shop.items), *_items(shop.items, None)], {}


def _of_plan(plan: Plan, options: ReadingOptions) -> tuple[list[str], dict[str, str]]:
    is_cut = plan.events.n_rows > MAX_ROWS
    if is_cut:
        plan = replace(plan, events=plan.events.first_rows(MAX_ROWS))
    events, items = read_parts(plan, options)
    uses = events.columns + items.columns if plan.has_item_table else both_uses(events.columns, items.columns)
    lines = [plan.layout]
    if is_cut:
        lines.append(f"  looked at: the first {MAX_ROWS:,} rows")
    if not plan.events.has_header:
        lines.append(
            "  no header: columns are taken for what is in them; if that is wrong, name them with --columns"
        )
    if plan.items is plan.events:
        lines.append("  events and items are in the same table")
    lines += [f"not read: {', '.join(plan.unused)}"] if plan.unused else []
    lines += column_lines(uses)
    lines += [f"times are {events.time_format}", *_span(events.rows, are_made_up=events.are_made_up)]
    lines += _kinds(plan, events)
    lines += _states(plan)
    lines += events.dropped.with_notes(items.notes).lines()
    lines += _rows(events.rows, items.items)
    lines += _items(items.items, events.rows)
    problems = stops(plan, events, items, options)
    if problems or is_cut:
        return lines, problems
    shop = assembled(plan, events, items, options)
    n_recommendable = int(shop.recommendable(unlisted_too=False).sum())
    lines.append(f"{n_recommendable:,} of {shop.items.height:,} items may be recommended")
    return lines, _too_little(shop)


def _too_little(shop: Shop) -> dict[str, str]:
    """Say what is missing to train on; nobody can accept that."""
    try:
        require_trainable(shop)
    except TooLittleData as error:
        return {"": str(error)}
    return {}


def _kinds(plan: Plan, events: EventsRead) -> Iterator[str]:
    if plan.event_roles.kind is None:
        guess = "; no column says it, so say --default-kind if that is wrong" if plan.is_kind_guessed else ""
        yield f"every row is a {plan.default_kind.name.lower()}{guess}"
        return
    yield f"kinds in {plan.event_roles.kind!r}:"
    for word, count in events.kinds.items():
        meaning = events.meanings.get(word) or "not known"
        yield f"  {count:>12,}  {word!r} is {meaning}"


def _states(plan: Plan) -> Iterator[str]:
    """List the words of a column of states, since those that are not known for returns are taken for good orders."""
    column = plan.event_roles.status
    if column is None:
        return
    counts = sample_text(plan.events, column).str.to_lowercase().value_counts(sort=True).head(N_STATES)
    is_returned = means_returned(pl.col(column)).alias("is_returned")
    told = [
        f"{word!r} ({count:,} rows) {'is a return' if returned else 'stays'}"
        for word, count, returned in counts.with_columns(is_returned).rows()
    ]
    yield f"states in {column!r}, of the first rows: {', '.join(told)}"


def _span(events: pl.DataFrame, *, are_made_up: bool = False) -> Iterator[str]:
    if events.height:
        first, last = events["time"].min(), events["time"].max()
        note = " (an order and no times: these moments are made up)" if are_made_up else ""
        yield f"from {_moment(first)} to {_moment(last)}{note}; {events['user_id'].n_unique():,} people"


def _moment(seconds: object) -> str:
    return f"{datetime.fromtimestamp(int(str(seconds)), UTC):%Y-%m-%d %H:%M:%S}"


def _rows(events: pl.DataFrame, items: pl.DataFrame) -> Iterator[str]:
    if events.height:
        yield "the first rows, as understood:"
    shown = events.head(N_SHOWN)
    titles = dict(
        items.filter(pl.col("item_id").is_in(shown["item_id"].implode())).select("item_id", "title").rows()
    )
    for row in shown.iter_rows(named=True):
        title = titles.get(row["item_id"], "")
        named = f" ({title})" if title not in ("", row["item_id"]) else ""
        kind = KIND_NAMES.get(row["kind"], "?")
        yield f"  {_moment(row['time'])}  {row['user_id']}  {kind}  {row['item_id']}{named}  {_value(row['value'])}"


def _value(value: float | None) -> str:
    return "no value" if value is None else f"value {value:g}"


def _items(items: pl.DataFrame, events: pl.DataFrame | None) -> Iterator[str]:
    if items.is_empty():
        yield "items: no table of items; they have ids and nothing else"
        return
    shares = {
        "text": (items["text"] != "").mean(),
        "category": items["category"].is_not_null().mean(),
        "price": items["price"].is_not_null().mean(),
    }
    told = ", ".join(f"{float(str(share)):.0%} with {name}" for name, share in shares.items())
    yield f"items: {items.height:,}, {told}"
    if events is not None and events.height:
        met = float(str(events["item_id"].is_in(items["item_id"].implode()).mean()))
        yield f"  {met:.1%} of the events are of items in this table"
