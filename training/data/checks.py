"""Stop where a reading would lose more than a person can mean; each stop has a name by which it is accepted."""

from __future__ import annotations

import re
import shlex
from typing import Final

from training.base.errors import DataLost
from training.data.interactions import EventsRead
from training.data.item_table import ItemsRead
from training.data.left_out import ON_PURPOSE
from training.data.options import ReadingOptions
from training.data.plan import Plan
from training.data.removals import arrival_columns
from training.data.roles import sample_text

MAX_LOST_SHARE: Final = 0.1
"""The share of rows from which rows that are dropped for one reason are asked about."""
MIN_LOST_ROWS: Final = 3
"""Rows below which a share says nothing, as long as any row is left."""
MIN_ROWS_OF_ZERO: Final = 100
"""Events of a person 0 from which that one may be many; a person with the number 0 has fewer."""
MAX_UNKNOWN_SHARE: Final = 0.001
"""The share of rows below which an unknown kind is a slip of the pen."""
MIN_MET_SHARE: Final = 0.5
"""The share of events whose item has a row in the item table, below which the two do not belong together."""


_REMEDIES: Final = {
    "unreadable time": "; name another column with --columns time=COLUMN, or say how it is written with "
    "--time-format, such as '%d.%m.%y %H:%M'",
    "missing user": "; if another column tells the person in these rows, name it with --columns user_id=COLUMN",
    "missing item": "; if another column tells the item in these rows, name it with --columns item_id=COLUMN",
    "more cells than columns": "; if another delimiter parts the cells, say it with --delimiter",
    "time before 1990": "; if the unit is another one, say it with --time-format, such as unix-s or unix-ms",
}
"""What may help, by reason."""


def require_meant(plan: Plan, events: EventsRead, items: ItemsRead, options: ReadingOptions) -> None:
    """Raise DataLost, which names every stop and its remedy, unless all of them are accepted."""
    found = stops(plan, events, items, options)
    if found:
        told = "; ".join(found.values())
        names = ",".join(found)
        raise DataLost(f"{plan.events.name}: {told}. If that is as it should be, say --accept {names}.")


def stops(plan: Plan, events: EventsRead, items: ItemsRead, options: ReadingOptions) -> dict[str, str]:
    """Return what stops the reading, by the name by which it is accepted; {} if nothing does."""
    found = [
        *_lost_kinds(events),
        *_lost_rows(plan, events),
        *_unmet_items(plan, events, items),
        *_unused_title(plan),
        *_numbered_items(plan),
        *_several_items(plan),
        *_spoiled_ids(plan, events),
    ]
    return {name: text for name, text in found if name not in options.accept}


def _lost_kinds(events: EventsRead) -> list[tuple[str, str]]:
    n_rows = sum(events.kinds.values())
    unknown = {word: count for word, count in events.kinds.items() if not events.meanings.get(word)}
    many = max(MIN_LOST_ROWS, MAX_UNKNOWN_SHARE * n_rows)
    is_little = max(unknown.values(), default=0) < many and sum(unknown.values()) < max(
        MIN_LOST_ROWS, MAX_LOST_SHARE * n_rows
    )
    if not unknown or (is_little and events.dropped.n_kept):
        return []
    told = ", ".join(f"{word!r} ({count:,} rows)" for word, count in list(unknown.items())[:10])
    example = next(iter(unknown))
    return [
        (
            "unknown-kinds",
            f"the kinds {told} are not known and would be left out; say what they are with --kinds {example}=view, "
            "kinds are view, click, cart, purchase, rating, removal, return, and drop",
        )
    ]


def _lost_rows(plan: Plan, events: EventsRead) -> list[tuple[str, str]]:
    dropped = events.dropped
    # The live log has events of visits without an account, which are nobody's on purpose.
    fine = {*ON_PURPOSE, "unknown kind"} | (
        {"missing user"} if arrival_columns(plan.events.columns) else set()
    )
    n_rows = dropped.n_read - dropped.dropped.get("blank line", 0)
    found = []
    for reason, count in dropped.dropped.items():
        is_little = count < max(MIN_LOST_ROWS, MAX_LOST_SHARE * n_rows) and dropped.n_kept > 0
        if reason in fine or not count or is_little:
            continue
        place = f", {dropped.examples[reason]}" if reason in dropped.examples else ""
        remedy = _REMEDIES.get(reason, "")
        text = f"{count:,} of {n_rows:,} rows ({count / n_rows:.0%}) would be dropped as: {reason}{place}{remedy}"
        found.append((reason_name(reason), text))
    return found


def reason_name(reason: str) -> str:
    """Return the name by which a reason is accepted: its first three words."""
    return "-".join(reason.lower().split()[:3])


def _spoiled_ids(plan: Plan, events: EventsRead) -> list[tuple[str, str]]:
    """Ask about ids that a spreadsheet shortened, and about a person 0, as whom shop systems book guests."""
    found, rows = [], events.rows
    many = max(MIN_LOST_ROWS, MAX_LOST_SHARE * rows.height)
    columns = {"user_id": plan.event_roles.user_id, "item_id": plan.event_roles.item_id[0]}
    for name, column in columns.items():
        signed = rows[name].filter(
            rows[name].str.contains("+", literal=True)
        )  # few ids, found in a tenth of the time
        short = signed.filter(signed.str.contains(r"^\d(?:\.\d+)?[eE]\+\d+$"))
        if len(short) >= many:
            told = f"{len(short):,} ids in {column!r} are shortened, such as {short[0]!r}, and may be several in one"
            found.append(("shortened-ids", f"{told}; export the column as text"))
    n_nobody = int(rows["user_id"].is_in(["0", "-1"]).sum())
    if n_nobody >= max(many, MIN_ROWS_OF_ZERO):
        told = (
            f"{n_nobody:,} of {rows.height:,} events are of the person 0 in {columns['user_id']!r}, a guest"
        )
        found.append(
            (
                "person-zero",
                f"{told}; leave their rows out, or name another column with --columns user_id=COLUMN",
            )
        )
    return found


def _unmet_items(plan: Plan, events: EventsRead, items: ItemsRead) -> list[tuple[str, str]]:
    if not plan.has_item_table or plan.items is None or events.rows.is_empty():
        return []
    ids = events.rows["item_id"]
    n_met = int(ids.is_in(items.items["item_id"].implode()).sum())
    if n_met >= MIN_MET_SHARE * len(ids):
        return []
    of_items, of_events = (
        items.items["item_id"].head(3).to_list(),
        ids.unique(maintain_order=True).head(3).to_list(),
    )
    return [
        (
            "unmet-items",
            f"{n_met:,} of {len(ids):,} events are of items in {plan.items.name}: its ids are {of_items} and so on, "
            f"those of the events {of_events}; name the right column with --columns items_item_id=COLUMN",
        )
    ]


def _unused_title(plan: Plan) -> list[tuple[str, str]]:
    """Ask about a column of a table of items without a title; most of its cells differ and have several words."""
    roles = plan.item_roles
    if not plan.has_item_table or plan.items is None or roles is None or roles.title is not None:
        return []
    used = {*roles.item_id, *roles.texts, *roles.categories, *roles.available, roles.price, roles.parent}
    for column in plan.items.columns:
        told = sample_text(plan.items, column)
        if column in used or told.is_empty():
            continue
        is_wordy = told.str.contains(r"\p{L}{2,}\s+\S") & ~told.str.starts_with("http")
        if told.n_unique() > 0.5 * len(told) and float(str(is_wordy.mean())) > 0.5:
            return [
                (
                    "unused-title",
                    f"column {column!r} of {plan.items.name} looks like a title, such as {told[0]!r}, and would not "
                    f"be read; say --columns {shlex.quote('item_title=' + column)}",
                )
            ]
    return []


def _numbered_items(plan: Plan) -> list[tuple[str, str]]:
    """Ask where the items of one order stand beside each other: of `Item 1 SKU`, `Item 2 SKU` one alone is read."""
    item = plan.event_roles.item_id[0]
    form = re.sub(r"\d+", "#", item)
    alike = [column for column in plan.events.columns if re.sub(r"\d+", "#", column) == form]
    if not plan.events.has_header or len(alike) < 2:
        return []
    return [
        (
            "numbered-items",
            f"{', '.join(map(repr, alike[:3]))} hold the items of one order, and {item!r} alone would be read; write "
            "one row an item",
        )
    ]


def _several_items(plan: Plan) -> list[tuple[str, str]]:
    """Ask where a cell holds all items of an order: most cells are lists, or have parts whose number differs."""
    item = plan.event_roles.item_id[0]
    told = sample_text(plan.events, item)
    is_list = told.str.contains(r"^\[.*,.*\]$")
    for is_several, parts in (
        (is_list, told.str.count_matches(",")),
        *((told.str.contains(mark), told.str.count_matches(mark)) for mark in (r"\|", ";", ",")),
    ):
        if 2 * is_several.sum() > len(told) and parts.n_unique() > 1:
            return [
                (
                    "several-items",
                    f"the cells of {item!r} hold several items, such as {told.filter(is_several)[0]!r}, which would "
                    "be read as one; write one row an item",
                )
            ]
    return []
