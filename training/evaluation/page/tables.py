"""Make tables of the page: figures by name go in, cells of text come out, with the best of each column marked."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Literal

from msgspec import structs

from training.quality.figures import Figure, Interval, Part

View = dict[str, Any]
"""The values that fill a section's template."""
Form = Callable[[Any], str]
Figures = Mapping[str, Any] | Part
"""The figures in a row of a table, by the keys of its columns."""
NOTHING = "–"


@dataclass(frozen=True)
class Column:
    """One figure of each row.

    key: the figure's key in a row. form: formats the figure as text. better: which direction is better, None if
    neither is.
    group: a heading above neighbouring columns.
    """

    key: str
    title: str
    form: Form
    better: Literal["higher", "lower"] | None = None
    group: str = ""


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    is_best: bool = False


@dataclass(frozen=True)
class Row:
    """A name and its figures. is_ours: the row is shaded, because a reader looks for it."""

    name: str
    cells: list[Cell]
    is_ours: bool


@dataclass(frozen=True)
class Table:
    """A table that the template `macros` draws. head: what the rows are."""

    head: str
    columns: list[Column]
    rows: list[Row]

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Return headings over neighbouring columns with their widths; [] if no column has one."""
        runs = [(group, len(list(run))) for group, run in groupby(column.group for column in self.columns)]
        return runs if any(group for group, _ in runs) else []


def table(
    head: str,
    columns: list[Column],
    rows: Mapping[str, Figures],
    *,
    ours: Collection[str] = (),
    best_of: Literal["column", "row"] = "column",
) -> Table:
    """Make a table of rows by the name shown, each by figure. A column for which no row has a figure is left out.

    If several figures read the same as the best one, all are marked, because a reader sees no difference.
    """
    figures = {name: structs.asdict(row) if isinstance(row, Part) else row for name, row in rows.items()}
    shown = [column for column in columns if any(row.get(column.key) is not None for row in figures.values())]
    judged = [column for column in shown if column.better is not None]

    def best(column: Column, row: Mapping[str, Any]) -> str | None:
        if column not in judged:
            return None
        if best_of == "row":
            return _best(column, [row.get(other.key) for other in judged])
        return _best(column, [other.get(column.key) for other in figures.values()])

    return Table(
        head,
        shown,
        [
            Row(
                name,
                [_cell(column, row.get(column.key), best(column, row)) for column in shown],
                name in ours,
            )
            for name, row in figures.items()
        ],
    )


def _best(column: Column, values: list[Any]) -> str | None:
    """Return the best of some values, as the column shows it; None if all read the same, as then none is best."""
    measured = [value for value in values if value is not None]
    if len({column.form(value) for value in measured}) < 2:
        return None
    pick = max if column.better == "higher" else min
    return column.form(pick(measured, key=_number))


def _cell(column: Column, value: Any, best: str | None) -> Cell:
    if value is None:
        return Cell(NOTHING)
    text = column.form(value)
    return Cell(text, text == best)


def _number(value: Any) -> float:
    return float(value.value if isinstance(value, Figure) else value)


def score(value: float) -> str:
    """Format a figure between 0 and 1, or near it."""
    return f"{value:.4f}"


def signed(value: float) -> str:
    """Format a difference of two scores."""
    return f"{value:+.4f}".replace("-", "−")


def interval(span: Interval) -> str:
    """Format both ends of an interval of scores."""
    low, high = span
    return f"{signed(low)} to {signed(high)}"


def with_interval(figure: Figure) -> str:
    """Format a difference and its interval."""
    return f"{signed(figure.value)} ({interval(figure.interval)})"


def share(value: float) -> str:
    """Format a share as a percentage."""
    return f"{100 * value:.1f}\N{NO-BREAK SPACE}%"


def share_with_interval(figure: Figure) -> str:
    """Format a share and its interval."""
    return f"{share(figure.value)} ({share_interval(figure.interval)})"


def share_interval(span: Interval) -> str:
    """Format both ends of an interval of shares."""
    low, high = span
    return f"{100 * low:.1f} to {share(high)}"


def number(value: float) -> str:
    """Format a count or a setting: from 1,000 on without decimals, below to four digits."""
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:.4g}"


def milliseconds(value: float) -> str:
    """Format a latency in milliseconds."""
    return f"{value:,.3f}" if value < 100 else f"{value:,.1f}"


def seconds(value: float) -> str:
    """Format a duration."""
    return f"{value:,.1f} s" if value < 600 else f"{value / 60:,.1f} min"


def size(n_bytes: float) -> str:
    """Format bytes on disk or in memory, in decimal units."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:,.1f} {unit}"
    return f"{n_bytes / 1e3:,.1f} kB"


def dollars(value: float) -> str:
    """Format a price to two digits, however far below a cent."""
    n_decimals = 2 if value <= 0 else max(2, 1 - math.floor(math.log10(value)))
    return f"${value:,.{n_decimals}f}"


def dollars_a_million(value: float) -> str:
    """Format the price of a million, given the price of one."""
    return dollars(1e6 * value)


def day(unix_seconds: int) -> str:
    """Format a moment as a date in UTC."""
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%d")


def words(value: Any) -> str:
    """Format text unchanged, and a boolean as yes or no."""
    return str(value) if not isinstance(value, bool) else "yes" if value else "no"
