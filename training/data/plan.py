"""Decide how a shop's files are read before anything is: which table holds events, which items, what columns mean.

`make_plan` opens the files, looks at their beginnings, and returns a `Plan`; `inspect` prints it and `read_shop`
carries it out. What the files cannot say is an error that names the option that can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import polars as pl

from models.history import EventKind
from training.base.errors import SourceUnreadable
from training.data.column_mapping import ColumnMapping
from training.data.files.dialect import plain_name
from training.data.files.tables import Table, files_of, open_tables, stem_and_suffix
from training.data.joins import (
    joined_kinds,
    joined_orders,
    one_row_a_property,
    with_lookups,
    with_returned_orders,
)
from training.data.meaning.names import ITEM, KNOWN, TIME, USER, named
from training.data.options import ReadingOptions
from training.data.roles import EventRoles, ItemRoles, event_roles, item_roles, require_columns, texts_of

SALES: Final = ("order", "invoice", "sale", "transaction", "purchase", "basket", "checkout", "receipt")
N_LISTED: Final = 40
"""The most columns of a table that a message lists."""
MOSTLY: Final = 0.5
"""The share of the items of the first events that a table of items must have to be preferred."""
VIEWS: Final = ("view", "click", "page", "visit", "session", "impression")
"""Words in the name of a table or of its columns that say what happened in each row, where no column does."""


@dataclass(frozen=True)
class Plan:
    """How a shop is read. layout: in words.

    items: the table of items, which is that of the events where one file is both; None if there is none.
    removals: removals from the cart, as an export of the live log has them. unused: tables nothing is read of.
    """

    name: str
    layout: str
    events: Table
    event_roles: EventRoles
    default_kind: EventKind
    is_kind_guessed: bool
    items: Table | None = None
    item_roles: ItemRoles | None = None
    removals: Table | None = None
    unused: tuple[str, ...] = ()

    @property
    def has_item_table(self) -> bool:
        """Whether the shop gave a table of its items in addition to its events."""
        return self.items is not None and self.items is not self.events


def make_plan(source: Path, items: Path | None, options: ReadingOptions, scratch: Path) -> Plan:
    """Look at the files and decide. scratch: a folder for what is unpacked or written anew, to be kept until the end.

    Raises DataError if the files cannot be read or do not say what is needed.
    """
    if source.is_dir() and (own := _own_files(source)) is not None:
        events_files, item_files, removal_files = own
        return _plan_of_own(
            source, events_files, [items] if items else item_files, removal_files, options, scratch
        )
    tables = open_source(source, options, scratch)
    return plan_of_tables(source, tables, items, options, scratch)


def open_source(source: Path, options: ReadingOptions, scratch: Path) -> list[Table]:
    """Open every table of a file, a folder or an archive. Raises SourceUnreadable if one cannot be read."""
    return open_tables(files_of(source, scratch), KNOWN, scratch / "tables", options.form)


def plan_of_tables(
    source: Path, tables: Sequence[Table], items: Path | None, options: ReadingOptions, scratch: Path
) -> Plan:
    """Decide what each of these tables is for. source: their file or folder. items: a table of items apart."""
    events, roles = with_returned_orders(*_events_among(tables, source, options), tables)
    others = [table for table in tables if table.name not in events.names]
    if items is not None:
        others = open_tables(files_of(items, scratch / "items"), KNOWN, scratch / "item-tables", options.form)
    found = _items_among(others, events, roles, options, is_named=items is not None)
    used = {*events.names, *(found[0].names if found else ())}
    return _plan(
        stem_and_suffix(source)[0] if source.is_file() else source.name,
        events,
        roles,
        options,
        found,
        unused=tuple(_unused(table) for table in (*tables, *others) if table.name not in used),
    )


def _unused(table: Table) -> str:
    """Name a table that nothing is read of, and say why."""
    has_people, has_items = (named(table.columns, known) is not None for known in (USER, ITEM))
    if has_people and has_items:
        why = "another table tells more of the events; join the two to have both read"
    elif has_items:
        why = "another table tells more of the items, or its ids meet the events better"
    elif has_people:
        why = "it tells of people and of no items; what is told of people is not read"
    else:
        why = "it has no column of people and none of items by a name that is known"
    return f"{table.name} ({why})"


def _plan(
    name: str,
    events: Table,
    roles: EventRoles,
    options: ReadingOptions,
    found: tuple[Table, ItemRoles] | None,
    *,
    removals: Table | None = None,
    unused: tuple[str, ...] = (),
) -> Plan:
    if found is None and (own := _items_of_events(events, roles, options.mapping)) is not None:
        found = events, replace(own, item_id=roles.item_id, parent=None)
    _require_named_items(events, found, options)
    kind, is_guessed = _default_kind(events, roles, options)
    items, roles_of_items = found or (None, None)
    forms = ", ".join(dict.fromkeys(part.form for part in events.parts))
    return Plan(
        name,
        f"{events.name}: {forms}",
        events,
        roles,
        kind,
        is_guessed,
        items,
        roles_of_items,
        removals=removals,
        unused=tuple(dict.fromkeys(unused)),
    )


def _items_of_events(events: Table, roles: EventRoles, mapping: ColumnMapping) -> ItemRoles | None:
    """Return what a table of events says of its items; None if it says nothing."""
    is_told = mapping.item_title or mapping.item_text or mapping.item_category or mapping.item_attributes
    if (is_told or mapping.item_price) and not mapping.items_item_id:
        mapping = replace(mapping, items_item_id=roles.item_id[0])
    return item_roles(events, mapping, taken=roles.of_events())


def _require_named_items(
    events: Table, found: tuple[Table, ItemRoles] | None, options: ReadingOptions
) -> None:
    """Raise ColumnMissing if a person named columns of items that no table in use has."""
    mapping = options.mapping
    every = (mapping.items_item_id, mapping.item_title, mapping.item_price)
    wanted = [*filter(None, every), *mapping.item_text, *mapping.item_category, *mapping.item_available]
    table = found[0] if found is not None else events
    require_columns(table, wanted)


def is_own_folder(source: Path) -> bool:
    """Whether a folder is laid out as Stillroom writes it: its events are called interactions."""
    return source.is_dir() and _own_files(source) is not None


def _own_files(folder: Path) -> tuple[list[Path], list[Path], list[Path]] | None:
    """Return the files of events, items and removals of a Stillroom folder; None if it is none.

    Raises SourceUnreadable if a table is there twice, since only one of the two can be meant.
    """
    by_stem: dict[str, list[Path]] = {"interactions": [], "items": [], "removals": []}
    for path in sorted(folder.iterdir()):
        stem = stem_and_suffix(path)[0] if path.is_file() else path.name.lower()
        if stem in by_stem:
            by_stem[stem].append(path)
    if not by_stem["interactions"]:
        return None
    for stem, paths in by_stem.items():
        if len(paths) > 1:
            names = " and ".join(path.name for path in paths)
            raise SourceUnreadable(
                f"{folder} has {names}: which of them holds the {stem}? Remove the others."
            )
    return tuple(_parts(paths[0]) if paths else [] for paths in by_stem.values())  # type: ignore[return-value]


def _parts(path: Path) -> list[Path]:
    return sorted(path.glob("part-*")) if path.is_dir() else [path]


def _plan_of_own(
    source: Path,
    events_files: list[Path],
    item_files: Sequence[Path],
    removal_files: list[Path],
    options: ReadingOptions,
    scratch: Path,
) -> Plan:
    if not events_files:
        raise SourceUnreadable(f"{source / 'interactions'} holds no part-*.parquet.")
    [events] = open_tables(events_files, KNOWN, scratch / "events", options.form)
    roles = event_roles(events, options.mapping)
    if roles is None:
        raise _roleless([events], source)
    items = open_tables(item_files, KNOWN, scratch / "items", options.form)
    found = _items_among(items, events, roles, options, is_named=True) if items else None
    removals = open_tables(removal_files, KNOWN, scratch / "removals", options.form)
    return _plan(source.name, events, roles, options, found, removals=removals[0] if removals else None)


def _events_among(tables: Sequence[Table], source: Path, options: ReadingOptions) -> tuple[Table, EventRoles]:
    """Return the table that tells most of events. Raises SourceUnreadable if there is none, or if two do alike."""
    mapped = [table for table in tables if _may_map(table, options)] or [
        max(tables, key=lambda table: sum(each in table.columns for each in _named_of_events(options)))
    ]
    found = [(table, roles) for table in mapped if (roles := event_roles(table, options.mapping)) is not None]
    # A list of two words a row may be anything, as long as another table has names for its columns.
    if any(table.has_header for table in tables):
        found = [(table, roles) for table, roles in found if table.has_header or roles.time is not None]
    if not found and (joined := joined_orders(tables, options.mapping)) is not None:
        return joined
    if not found:
        raise _roleless(tables, source)
    is_said = options.mapping.kind is not None or options.default_kind is not None
    if not is_said and (joined := joined_kinds(found)) is not None:
        return joined
    most = max(_merit(*each) for each in found)
    best = [each for each in found if _merit(*each) == most]
    if len(best) > 1:
        names = " and ".join(table.name for table, _ in best)
        raise SourceUnreadable(
            f"{source} holds events in {names}; one table of events is read at a time. Name that file, and the items "
            "with --items; or join them into one table first."
        )
    return best[0]


def _merit(table: Table, roles: EventRoles) -> tuple[bool, int]:
    return roles.time is not None, roles.n_found


def _may_map(table: Table, options: ReadingOptions) -> bool:
    """Whether the table has the columns of events that a person named."""
    return all(each in table.columns for each in _named_of_events(options))


def _named_of_events(options: ReadingOptions) -> list[str]:
    mapping = options.mapping
    every = (mapping.user_id, mapping.item_id, mapping.time, mapping.kind, mapping.value)
    return [each for each in (*every, mapping.quantity, mapping.status) if each]


def _items_among(
    tables: Sequence[Table], events: Table, roles: EventRoles, options: ReadingOptions, *, is_named: bool
) -> tuple[Table, ItemRoles] | None:
    """Return the table that says most of the items; None if no table says anything.

    is_named: a person said that these are items, so a table without an id is an error.
    """
    known = texts_of(events.sample, roles.item_id[0]).drop_nulls().str.strip_suffix(".0")
    found = []
    for table in tables if is_named else [each for each in tables if _may_describe(each, options)]:
        pivoted = one_row_a_property(table) or with_lookups(table, tables)
        if (own := item_roles(pivoted, options.mapping, known, is_named=is_named)) is not None:
            found.append((pivoted, own))
    if not found:
        if is_named and tables:
            names = ", ".join(map(repr, tables[0].columns))
            raise SourceUnreadable(
                f"{tables[0].name} has no column of item ids by a name that is known; it has {names}. Name the right "
                "one with --columns items_item_id=COLUMN."
            )
        return None
    return max(found, key=lambda each: _fit(each[0], each[1], roles, known))


def _fit(table: Table, own: ItemRoles, roles: EventRoles, known: pl.Series) -> tuple[bool, bool, bool, int]:
    """How well a table of items fits the events: the id has the same name, the table is named after it, ids meet."""
    name = plain_name(roles.item_id[0])
    stem = name.removesuffix("_id").removesuffix("id").removesuffix("_no") or name
    ids = table.select(lambda part: [pl.col(own.item_id[0]).cast(pl.String).alias("id")])["id"]
    n_met = int(known.unique().is_in(ids.str.strip_chars().str.strip_suffix(".0").implode()).sum())
    return (
        n_met >= MOSTLY * known.n_unique(),
        plain_name(own.item_id[0]) == name,
        stem in plain_name(table.name),
        own.n_found,
    )


def _may_describe(table: Table, options: ReadingOptions) -> bool:
    """Whether a table beside the events may be one of items: it has the columns that were named, and no people."""
    mapping = options.mapping
    named_columns = [each for each in (mapping.items_item_id, mapping.item_title, mapping.item_price) if each]
    wanted = [*named_columns, *mapping.item_text, *mapping.item_category]
    return all(each in table.columns for each in wanted) and named(table.columns, USER) is None


def _roleless(tables: Sequence[Table], source: Path) -> SourceUnreadable:
    seen = "; ".join(f"{table.name} has {_listed(table.columns)}" for table in tables[:5])
    lacks = {
        role: not any(named(table.columns, known) for table in tables)
        for role, known in (("user_id", USER), ("item_id", ITEM), ("time", TIME))
    }
    wanted = [role for role in ("user_id", "item_id") if lacks[role]] or ["user_id", "item_id"]
    told = {"user_id": "people", "item_id": "items", "time": "times"}
    names = ",".join(f"{role}=COLUMN" for role in (*wanted, *(["time"] if lacks["time"] else [])))
    return SourceUnreadable(
        f"{source}: no table has a column of {' and one of '.join(told[role] for role in wanted)} by a name that is "
        f"known. {seen}. Name what is there with --columns {names}."
    )


def _listed(columns: Sequence[str]) -> str:
    more = f" and {len(columns) - N_LISTED:,} more" if len(columns) > N_LISTED else ""
    return ", ".join(map(repr, columns[:N_LISTED])) + more


def _default_kind(table: Table, roles: EventRoles, options: ReadingOptions) -> tuple[EventKind, bool]:
    """Return the kind of every row of a table without kinds, and whether it is a mere guess."""
    if options.default_kind is not None:
        return options.default_kind, False
    if roles.is_rating:
        return EventKind.RATING, False
    words = " ".join((plain_name(table.name), *map(plain_name, table.columns)))
    if roles.quantity or roles.status or any(word in words for word in SALES):
        return EventKind.PURCHASE, False
    if any(word in words for word in VIEWS):
        return EventKind.VIEW, False
    return EventKind.PURCHASE, roles.kind is None
