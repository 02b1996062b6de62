"""Bring tables into the one form that is read: orders joined with their lines, kinds of events,
and properties as columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import polars as pl

from models.history import EventKind
from models.removals import RETURN
from training.data.column_mapping import ColumnMapping
from training.data.files.dialect import plain_name
from training.data.files.rows_file import LINE, SURPLUS
from training.data.files.tables import Part, Table
from training.data.meaning import names
from training.data.meaning.kinds import NAMES, code_of
from training.data.meaning.names import all_named, named
from training.data.roles import EventRoles, event_roles, sample_text

PROPERTY: Final = ("property", "attribute", "attribute_name", "property_name", "key", "field")
PROPERTY_VALUE: Final = ("value", "property_value", "attribute_value")
_TOLD: Final = (EventKind.VIEW, EventKind.CLICK, EventKind.CART, EventKind.PURCHASE, RETURN)
"""The kinds that tables are named after."""
RETURNED_ORDER: Final = "orders that came back"
"""The column that says it, where a table apart lists them."""
_ORDER: Final = "number of the order"
_RETURNS: Final = re.compile(
    r"return|refund|retour|storn|devol|rembours|rückgabe|rueckgabe|退|반품|返品|zwrot"
)
_YES: Final = ("yes", "y", "true", "1", "ja", "oui", "si", "sí")
_NO: Final = ("no", "n", "false", "0", "nein", "non")
_OTHER_ROLES: Final = ("value", "quantity", "status", "order", "clock")
MAX_PROPERTIES: Final = 40
"""The most properties that become columns, the most frequent first."""


def joined_orders(tables: Sequence[Table], mapping: ColumnMapping) -> tuple[Table, EventRoles] | None:
    """Join a table of orders, which knows the person, with the table of their lines, which knows the items.

    None if no two tables are such. Several tables of lines with the same columns are read one after the other.
    """
    for orders in tables:
        others = [table for table in tables if table is not orders and _item(table, mapping)]
        keys = [column for table in others for column in all_named(table.columns, names.ORDER)]
        orders = _with_key(orders, keys)
        user = mapping.user_id or named(orders.columns, names.USER)
        if user is None or user not in orders.columns:
            continue
        for key in all_named(orders.columns, names.ORDER):
            lines = [table for table in others if key in table.columns]
            alike = [table for table in lines if set(table.columns) == set(lines[0].columns)]
            if alike:
                joined = _joined(orders, alike, key, user, tables)
                roles = event_roles(joined, mapping)
                return (joined, replace(roles, order=key)) if roles is not None else None
    return None


def _with_key(orders: Table, keys: Sequence[str]) -> Table:
    """Call the id of a table of orders as the table of their lines does: id becomes order_id."""
    own = next((column for column in orders.columns if plain_name(column) == "id"), None)
    key = next((key for key in keys if plain_name(key).removesuffix("_id") in plain_name(orders.name)), None)
    if own is None or key is None or key in orders.columns:
        return orders
    parts = [
        replace(
            part,
            frame=part.frame.rename({own: key}),
            columns=tuple(key if column == own else column for column in part.columns),
        )
        for part in orders.parts
    ]
    return replace(orders, parts=tuple(parts))


def _item(table: Table, mapping: ColumnMapping) -> str | None:
    return mapping.item_id if mapping.item_id in table.columns else named(table.columns, names.ITEM)


def _joined(orders: Table, lines: Sequence[Table], key: str, user: str, tables: Sequence[Table]) -> Table:
    of_order = pl.concat([part.frame for part in orders.parts], how="diagonal").drop(
        SURPLUS, LINE, strict=False
    )
    of_order = _with_person(of_order, user, orders, tables).unique(key, keep="first", maintain_order=True)
    parts = [_with_order(part, of_order, key) for table in lines for part in table.parts]
    name = " + ".join([orders.name, *(table.name for table in lines)])
    return Table(name, tuple(parts), orders.folder, made_of=(orders.name, *(table.name for table in lines)))


def _with_order(part: Part, of_order: pl.LazyFrame, key: str) -> Part:
    own = [name for name in of_order.collect_schema().names() if name == key or name not in part.columns]
    frame = part.frame.join(of_order.select(own), on=key, how="left", maintain_order="left")
    return replace(part, frame=frame, columns=(*part.columns, *(name for name in own if name != key)))


def _with_person(orders: pl.LazyFrame, user: str, table: Table, tables: Sequence[Table]) -> pl.LazyFrame:
    """Add the person behind an account that is new with every order, where a table tells."""
    for other in tables:
        better = named(other.columns, ("customer_unique_id",))
        if other is not table and user in other.columns and better and better not in table.columns:
            people = pl.concat([part.frame for part in other.parts]).select(user, better)
            return orders.join(people.unique(user, keep="first"), on=user, how="left", maintain_order="left")
    return orders


def with_returned_orders(
    events: Table, roles: EventRoles, tables: Sequence[Table]
) -> tuple[Table, EventRoles]:
    """Add which orders came back, where a table apart lists their numbers.

    If its name speaks of returns, all its orders did, unless a column that does so says no. Any other table has to
    say yes in a column whose name speaks of returns.
    """
    order = roles.order
    if order is None or roles.status is not None:
        return events, roles
    for other in tables:
        key = next((each for each in other.columns if plain_name(each) == plain_name(order)), None)
        if other.name in events.names or key is None or named(other.columns, names.ITEM):
            continue
        flags = [each for each in other.columns if each != key and _RETURNS.search(plain_name(each))]
        is_named_so = _RETURNS.search(plain_name(other.name)) is not None
        if not is_named_so:
            # The label of a parcel that may be sent back is no return.
            flags = [each for each in flags if _says_yes_or_no(other, each)]
            if not flags:
                continue
        rows = pl.concat([part.frame for part in other.parts], how="diagonal")
        words = _NO if is_named_so else _YES
        says_so = [pl.col(each).cast(pl.String).str.to_lowercase().is_in(words) for each in flags]
        says_any = pl.any_horizontal(pl.lit(False), *says_so).fill_null(False)
        listed = rows.filter(~says_any if is_named_so else says_any).select(
            pl.col(key).cast(pl.String).str.strip_chars().alias(_ORDER),
            pl.lit("returned").alias(RETURNED_ORDER),
        )
        unique = listed.unique(_ORDER)
        parts = [
            replace(
                part,
                frame=part.frame.with_columns(pl.col(order).cast(pl.String).str.strip_chars().alias(_ORDER))
                .join(unique, on=_ORDER, how="left", maintain_order="left")
                .drop(_ORDER),
                columns=(*part.columns, RETURNED_ORDER),
            )
            for part in events.parts
        ]
        table = Table(
            events.name, tuple(parts), events.folder, (*(events.made_of or (events.name,)), other.name)
        )
        return table, replace(roles, status=RETURNED_ORDER, order=None)
    return events, roles


def _says_yes_or_no(table: Table, column: str) -> bool:
    words = set(sample_text(table, column).str.to_lowercase())
    return bool(words) and words <= {*_YES, *_NO}


def with_lookups(table: Table, tables: Sequence[Table]) -> Table:
    """Add the names behind numbers, such as those of departments, where a table of two columns tells them."""
    for other in tables:
        key = next((column for column in other.columns if column in table.columns), None)
        told = next((column for column in other.columns if column != key), None)
        if other is table or key is None or told is None or len(other.columns) != 2 or told in table.columns:
            continue
        lookup = pl.concat([part.frame.select(key, told) for part in other.parts]).unique(key, keep="first")
        parts = [
            replace(
                part,
                frame=part.frame.join(lookup, on=key, how="left", maintain_order="left"),
                columns=(*part.columns, told),
            )
            for part in table.parts
        ]
        table = Table(table.name, tuple(parts), table.folder, (*table.made_of, other.name))
    return table


def joined_kinds(found: Sequence[tuple[Table, EventRoles]]) -> tuple[Table, EventRoles] | None:
    """Put tables of one kind each, such as clicks and buys, one below the other, with a column of kinds.

    None unless the names of two tables tell different kinds, and their ids and times are of the same types.
    """
    told = [
        (table, roles, kind)
        for table, roles in found
        if roles.time and not roles.kind and (kind := _kind_of_name(table.name)) is not None
    ]
    if len({kind for _, _, kind in told}) < 2:
        return None
    parts = [_with_kind(part, roles, kind) for table, roles, kind in told for part in table.parts]
    if any(_types(part) != _types(parts[0]) for part in parts):
        return None
    names_of_tables = tuple(table.name for table, _, _ in told)
    joined = Table(" + ".join(names_of_tables), tuple(parts), told[0][0].folder, made_of=names_of_tables)
    value, quantity, status, order, clock = (
        role if role in joined.columns else None for role in _OTHER_ROLES
    )
    return joined, EventRoles("user_id", ("item_id",), "time", "kind", value, quantity, status, order, clock)


def _kind_of_name(name: str) -> int | None:
    """Return the kind that the words of a table's name tell, None if they tell none, or several."""
    words = plain_name(name.replace(".", " ").replace("/", " ")).split("_")
    codes = [code_of(each) for word in words for each in (word, word.removesuffix("s"))]
    kinds = {code for code in codes if code is not None and code in _TOLD}
    return kinds.pop() if len(kinds) == 1 else None


def _with_kind(part: Part, roles: EventRoles, kind: int) -> Part:
    """Give the columns of a part the names of their roles, and add its kind."""
    meant = {"user_id": roles.user_id, "item_id": roles.item_id[0], "time": roles.time}
    meant |= {role: getattr(roles, role) for role in _OTHER_ROLES}
    here = {role: column for role, column in meant.items() if column in part.columns}
    others = [each for each in part.columns if each not in here.values() and each not in (*meant, "kind")]
    kept = [each for each in (SURPLUS, LINE) if each in part.frame.collect_schema()]
    frame = part.frame.select(
        *(pl.col(column).alias(role) for role, column in here.items()),
        *others,
        *kept,
        pl.lit(NAMES[kind]).alias("kind"),
    )
    return replace(part, frame=frame, columns=(*here, *others, "kind"))


def _types(part: Part) -> list[pl.DataType]:
    schema = part.frame.collect_schema()
    return [schema[name] for name in ("user_id", "item_id", "time")]


def one_row_a_property(table: Table) -> Table | None:
    """Turn a table of one property a row into one row an item; the latest value of a property counts.

    None if the table is not of this form.
    """
    item = named(table.columns, names.ITEM)
    column = named(table.columns, PROPERTY)
    value = named([each for each in table.columns if each != column], PROPERTY_VALUE)
    if item is None or column is None or value is None:
        return None
    time = named(table.columns, names.TIME)
    rows = pl.concat([part.frame for part in table.parts], how="diagonal").select(
        item=pl.col(item).cast(pl.String).str.strip_chars(),
        property=pl.col(column).cast(pl.String).str.strip_chars(),
        value=pl.col(value).cast(pl.String),
        **({"time": pl.col(time).cast(pl.Float64, strict=False)} if time else {}),
    )
    order = pl.col("value").sort_by("time", maintain_order=True).last() if time else pl.col("value").last()
    latest = (
        rows.group_by("item", "property", maintain_order=True).agg(value=order).collect(engine="streaming")
    )
    counts = latest["property"].value_counts(sort=True)
    frequent = counts["property"].drop_nulls().head(MAX_PROPERTIES).to_list()
    wide = latest.filter(pl.col("property").is_in(frequent)).pivot("property", index="item", values="value")
    texts = [each for each in wide.columns if each != "item" and _is_wordy(wide[each])]
    wide = (
        wide.with_columns(text=pl.concat_str(pl.col(texts).fill_null(""), separator=" ")).drop(texts)
        if texts
        else wide
    )
    wide = wide.rename({each: _column_name(each) for each in wide.columns if each != "item"}).rename(
        {"item": "item_id"}
    )
    part = Part(
        Path(table.parts[0].path), wide.lazy(), tuple(wide.columns), "one property a row", wide.height
    )
    return Table(table.name, (part,), table.folder)


def _is_wordy(cells: pl.Series) -> bool:
    """Whether most values have several words, under a name that says nothing: hashed words are words too."""
    return plain_name(cells.name).isdigit() and bool(
        (cells.drop_nulls().str.count_matches(r"\S+") > 1).mean() or 0 > 0.5
    )


def _column_name(prop: str) -> str:
    return f"property {prop}" if plain_name(prop).isdigit() else prop
