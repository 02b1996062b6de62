"""Read a shop in any layout: look at its files, decide what they mean, and read them with nothing lost unsaid.

The pipeline and the command line call `read_shop`; the answer's `layout` says what was recognised.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from training.base.progress import Stages
from training.data.checks import require_meant
from training.data.columns import both_uses, column_lines
from training.data.complete_journey import is_complete_journey, read_complete_journey
from training.data.interactions import EventsRead, read_events
from training.data.item_table import NO_ITEMS, ItemsRead, read_items
from training.data.movielens import find_movielens, read_movielens
from training.data.online_retail import is_table_of_online_retail, read_online_retail
from training.data.options import ReadingOptions
from training.data.plan import Plan, is_own_folder, make_plan, open_source, plan_of_tables
from training.data.removals import (
    NO_EVENT,
    REMOVAL_SCHEMA,
    UNDONE,
    in_live_order,
    removals_among,
    without_undone,
)
from training.data.shop import Shop, assemble_shop


@dataclass(frozen=True)
class ShopFiles:
    """The paths of a shop's events and items, and what a person says of them."""

    source: Path
    options: ReadingOptions = field(default_factory=ReadingOptions)
    items: Path | None = None

    def read(self) -> Shop:
        """Read the files; see `read_shop`."""
        return read_shop(self.source, options=self.options, items=self.items)


def read_shop(source: Path, *, options: ReadingOptions | None = None, items: Path | None = None) -> Shop:
    """Recognise the layout of `source` and read it.

    items: the item table, if it is not beside the events. Raises DataError, which names what the files lack and the
    option that says it, or what would be lost and the option that accepts it.
    """
    options = options or ReadingOptions()
    with scratch_folder() as scratch:
        planned = plan_shop(source, items, options, scratch)
        return planned if isinstance(planned, Shop) else carry_out(planned, options)


def plan_shop(source: Path, items: Path | None, options: ReadingOptions, scratch: Path) -> Plan | Shop:
    """Decide how a shop is read; a data set that has a loader of its own is read at once."""
    if options.mapping != ReadingOptions().mapping or items is not None or is_own_folder(source):
        return make_plan(source, items, options, scratch)
    if (folder := find_movielens(source, scratch)) is not None:
        return read_movielens(folder, source.name)
    tables = open_source(source, options, scratch)
    if is_table_of_online_retail(tables):
        return read_online_retail(tables[0])
    if is_complete_journey(tables):
        return read_complete_journey(tables, source.name)
    return plan_of_tables(source, tables, None, options, scratch)


def read_with_notes(files: ShopFiles, stages: Stages) -> Shop:
    """Read the files as a stage of a run, and print how they were understood."""
    with stages.stage("read", f"Reading {files.source.name}"):
        shop = files.read()
    for line in (shop.layout, *column_lines(shop.columns), *shop.dropped.lines()):
        stages.note(line)
    return shop


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for what is unpacked or written anew; it is removed in the end, whatever happens."""
    with tempfile.TemporaryDirectory(prefix="stillroom-reading-") as folder:
        yield Path(folder)


def carry_out(plan: Plan, options: ReadingOptions) -> Shop:
    """Read what was planned. Raises DataError if more is lost than a person can mean, unless it is accepted."""
    events, items = read_parts(plan, options)
    require_meant(plan, events, items, options)
    return assembled(plan, events, items, options)


def assembled(plan: Plan, events: EventsRead, items: ItemsRead, options: ReadingOptions) -> Shop:
    """Bring what was read into the common form; removals from the cart undo the events that they are of."""
    removals = pl.DataFrame(schema=REMOVAL_SCHEMA)
    columns = events.columns
    if plan.removals is not None:
        # Removals have one kind, so what a person says of the words of other tables is not about them.
        exported = read_events(plan.removals, plan.event_roles, replace(options, kinds={}), plan.default_kind)
        removals, columns = removals_among(exported.rows), columns + exported.columns
    own_removals = removals_among(events.rows)
    rows = in_live_order(events.rows)
    kept = without_undone(rows, removals)
    n_undone = rows.height - own_removals.height - kept.height
    dropped = events.dropped.without(NO_EVENT, own_removals.height).without(UNDONE, n_undone)
    return assemble_shop(
        plan.name,
        kept,
        items.items,
        dropped.with_notes(items.notes),
        f"{plan.layout}; time as {events.time_format}",
        columns=columns + items.columns if plan.has_item_table else both_uses(columns, items.columns),
        has_item_table=plan.has_item_table,
        removals=pl.concat([own_removals, removals]),
        attributes=items.attributes,
    )


def read_parts(plan: Plan, options: ReadingOptions) -> tuple[EventsRead, ItemsRead]:
    """Read the events and the items of a plan."""
    events = read_events(plan.events, plan.event_roles, options, plan.default_kind)
    if plan.items is None or plan.item_roles is None:
        return events, NO_ITEMS
    return events, read_items(plan.items, plan.item_roles, are_events=not plan.has_item_table)
