"""Record what each column of a shop's tables is used for, so that a misnamed one is noticed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from training.quality.figures import ColumnUse


def uses_of(
    table: str, columns: Iterable[str], uses: Mapping[str, Sequence[str] | str]
) -> tuple[ColumnUse, ...]:
    """Return the use of each column of a table, in the table's order. uses: by column, which may have several."""
    return tuple(ColumnUse(table, column, _words(uses.get(column, ""))) for column in columns)


def both_uses(events: Iterable[ColumnUse], items: Iterable[ColumnUse]) -> tuple[ColumnUse, ...]:
    """Join the uses of a table that tells of events and of items."""
    of_items = {(each.table, each.column): each.use for each in items}

    def joined(each: ColumnUse) -> str:
        words = [each.use, of_items.get((each.table, each.column), "")]
        return ", ".join(dict.fromkeys(filter(None, words)))

    return tuple(ColumnUse(each.table, each.column, joined(each)) for each in events)


def column_lines(uses: Iterable[ColumnUse]) -> list[str]:
    """Return one line per table: columns with what they are used for, then those that are not used."""
    return [_line(table, list(own)) for table, own in groupby(uses, key=lambda use: use.table)]


def _line(table: str, uses: Sequence[ColumnUse]) -> str:
    used = [f"{use.column} ({use.use})" for use in uses if use.use]
    unused = [use.column for use in uses if not use.use]
    told = [", ".join(used)] if used else []
    if unused:
        told.append(f"not used: {', '.join(unused)}")
    return f"{table}: {'; '.join(told)}"


def _words(use: Sequence[str] | str) -> str:
    return use if isinstance(use, str) else ", ".join(use)
