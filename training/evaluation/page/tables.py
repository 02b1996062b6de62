"""Tables of the page: figures by name go in, cells of text come out, the best of each column marked."""

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
"""What a section's template is filled with."""
Form = Callable[[Any], str]
Figures = Mapping[str, Any] | Part
"""What a row of a table has, by the keys of its columns."""
NOTHING = "–"


@dataclass(frozen=True)
class Column:
    """One figure of each row.

    key: where a row has it. form: a figure as text. better: which way is up, None where neither end is good.
    group: a heading above neighbouring columns.
    """

    key: str
    title: str
    form: Form
    better: Literal["higher", "lower"] | None = None
    group: str = ""


@dataclass(frozen=True)
class Cell:
    """What stands in one place."""

    text: str
    is_best: bool = False


@dataclass(frozen=True)
class Row:
    """A name and its figures. is_ours: shaded, for a reader looks for it."""

    name: str
    cells: list[Cell]
    is_ours: bool


@dataclass(frozen=True)
class Table:
    """What the template `macros` draws. head: what the rows are."""

    head: str
    columns: list[Column]
    rows: list[Row]

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Headings over neighbouring columns with their widths; empty where no column has one."""
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
    """Rows by the name they are shown with, each by figure. A column that no row has a figure for is left out.

    Where several figures read the same as the best one, all are marked: what cannot be seen is no difference.
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
    """The best of some values, as the column shows it; None where all read the same, for then none is."""
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
    """A figure between 0 and 1, or near it."""
    return f"{value:.4f}"


def signed(value: float) -> str:
    """A difference of two scores."""
    return f"{value:+.4f}".replace("-", "−")


def interval(span: Interval) -> str:
    """Both ends of an interval of scores."""
    low, high = span
    return f"{signed(low)} to {signed(high)}"


def with_interval(figure: Figure) -> str:
    """A difference and its interval."""
    return f"{signed(figure.value)} ({interval(figure.interval)})"


def share(value: float) -> str:
    """A share as a percentage."""
    return f"{100 * value:.1f}\N{NO-BREAK SPACE}%"


def share_with_interval(figure: Figure) -> str:
    """A share and its interval."""
    return f"{share(figure.value)} ({share_interval(figure.interval)})"


def share_interval(span: Interval) -> str:
    """Both ends of an interval of shares."""
    low, high = span
    return f"{100 * low:.1f} to {share(high)}"


def number(value: float) -> str:
    """A count, or a setting: thousands without decimals, what is smaller to four digits."""
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:.4g}"


def milliseconds(value: float) -> str:
    """A latency."""
    return f"{value:,.3f}" if value < 100 else f"{value:,.1f}"


def seconds(value: float) -> str:
    """A duration."""
    return f"{value:,.1f} s" if value < 600 else f"{value / 60:,.1f} min"


def size(n_bytes: float) -> str:
    """Bytes on disk or in memory, in decimal units."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:,.1f} {unit}"
    return f"{n_bytes / 1e3:,.1f} kB"


def dollars(value: float) -> str:
    """A price to two digits, however far below a cent."""
    n_decimals = 2 if value <= 0 else max(2, 1 - math.floor(math.log10(value)))
    return f"${value:,.{n_decimals}f}"


def dollars_a_million(value: float) -> str:
    """The price of a million of what one costs."""
    return dollars(1e6 * value)


def day(unix_seconds: int) -> str:
    """A moment's date, UTC."""
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%d")


def words(value: Any) -> str:
    """Text as it is; a claim as yes or no."""
    return str(value) if not isinstance(value, bool) else "yes" if value else "no"
