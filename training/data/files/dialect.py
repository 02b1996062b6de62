"""Find how a text table is written by looking at its first lines: the delimiter, the header, lines above it.

`find_dialect` takes decoded text; `Dialect` says what was found. Quotes are those of RFC 4180, doubled within.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

DELIMITERS: Final = (",", "\t", ";", "|", "::", "\x01", "\x1f", "^", "~", " ")
"""The delimiters that are looked for; of equally good ones the first is taken."""
MAX_LINES: Final = 200
"""Lines that are looked at."""
MIN_CODES: Final = 3
"""Rows below which codes beneath a word tell nothing of a header."""
MAX_LINES_ABOVE: Final = 30
"""Rows among which a header is looked for."""
STAND_IN: Final = "\x1f"
"""What replaces a delimiter of several characters before it is read, since csv and polars take a single one."""

csv.field_size_limit(
    1 << 30
)  # the default of 131,072 characters would take a long description for a broken row

_NUMBER = re.compile(r"\s*[-+]?[\d.,]*\d[\d.,eE+-]*\s*")
_DATE = re.compile(r"\s*(?:\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\b.*|\d{4}-\d\d-\d\dT.*)")


@dataclass(frozen=True)
class Dialect:
    """How a text table is written.

    delimiter: one or several characters. columns: the names in the header, or column_1, column_2 … without one.
    has_header: whether the file names its columns. n_skipped: lines before the header, or before the first row.
    """

    delimiter: str
    columns: tuple[str, ...]
    has_header: bool
    n_skipped: int = 0


def find_dialect(
    text: str, names: frozenset[str], *, delimiter: str | None = None, has_header: bool | None = None
) -> Dialect:
    """Look at the beginning of a table. names: plain names that only a header holds, see `plain_name`.

    delimiter, has_header: what is known already. A text without any line has no columns.
    """
    if not text.strip():
        return Dialect(delimiter or ",", (), has_header=False)
    delimiter = delimiter or _find_delimiter(text, names)
    rows = _first_rows(text, delimiter)
    width = _usual_width([row.cells for row in rows])
    place = _first_place([row.cells for row in rows], width, names)
    first, below = rows[place].cells, [row.cells for row in rows[place + 1 :]]
    if has_header is None:
        has_header = _is_header(first, below, names)
    if has_header and _are_numbered(first, below):
        first = ["", *first]
    columns = first if has_header else [f"column_{number}" for number in range(1, width + 1)]
    return Dialect(
        delimiter, unique_names([cell.strip() for cell in columns]), has_header, n_skipped=rows[place].line
    )


def plain_name(column: str) -> str:
    """Normalise a column's name: `Item ID`, `itemId`, `item-id` and `item_id:token` all become item_id."""
    bare = column.strip().strip("\ufeff\"'").partition(":")[0]
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", bare)
    return re.sub(r"[^\w]+", "_", parted.lower()).strip("_")


def unique_names(columns: Sequence[str]) -> tuple[str, ...]:
    """Give every column a name of its own: an empty one gets its place, a repeated one a number."""
    seen: Counter[str] = Counter()
    unique = []
    for place, column in enumerate(columns, start=1):
        name = column or f"column_{place}"
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return tuple(unique)


def split_line(line: str, separator: str) -> list[str]:
    """Split one line; where its quotes do not pair, they are characters like any other."""
    if '"' not in line or line.count('"') % 2:
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:
        return line.split(separator)


class _Row(NamedTuple):
    line: int
    """How many lines come before it."""
    cells: list[str]


def _first_rows(text: str, delimiter: str) -> list[_Row]:
    """Split the first rows; a quoted cell may contain line ends where all quotes pair, else a row is a line."""
    whole = text[: text.rfind("\n") + 1] or text  # the last line may be cut
    lines = list(islice(io.StringIO(whole), MAX_LINES))
    separator = delimiter if len(delimiter) == 1 else STAND_IN
    if separator != delimiter:
        lines = [line.replace(delimiter, separator) for line in lines]
    try:
        reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
        rows, line = [], 0
        for cells in reader:
            rows.append(_Row(line, cells))
            line = reader.line_num
        return rows
    except csv.Error:
        return [_Row(place, split_line(line.rstrip("\r\n"), separator)) for place, line in enumerate(lines)]


def _find_delimiter(text: str, names: frozenset[str]) -> str:
    """Return the delimiter that splits the largest share of rows into one number of cells, two or more."""
    best, best_score = ",", 0.0
    for delimiter in DELIMITERS:
        if delimiter not in text:
            continue
        rows = [row.cells for row in _first_rows(text, delimiter) if any(cell.strip() for cell in row.cells)]
        width = _usual_width(rows)
        if width < 2:
            continue
        share = sum(len(row) == width for row in rows) / len(rows)
        n_known = max(sum(plain_name(cell) in names for cell in row) for row in rows[:20])
        # Blanks stand within names and words; of two that fit, the one that makes more cells is the delimiter.
        score = share * (1 + 3 * min(n_known, width) / width) * (1 + min(width, 20) / 100)
        score *= 0.3 if delimiter == " " else 1
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _first_place(rows: Sequence[Sequence[str]], width: int, names: frozenset[str]) -> int:
    """Return the place of the header or the first row: two known names tell it, or else the usual number of cells."""
    for place, cells in enumerate(rows[:MAX_LINES_ABOVE]):
        if sum(plain_name(cell) in names for cell in cells) >= 2 and not any(map(_is_value, cells)):
            return place
    return next(place for place, cells in enumerate(rows) if len(cells) >= width)


def _usual_width(rows: Sequence[Sequence[str]]) -> int:
    """Return the most frequent number of cells of a row that is not blank; of equals, the largest."""
    widths = Counter(len(row) for row in rows if any(cell.strip() for cell in row))
    if not widths:
        return 0
    return max(widths, key=lambda width: (widths[width], width))


def _is_header(first: Sequence[str], rows: Sequence[Sequence[str]], names: frozenset[str]) -> bool:
    """Whether the first row holds names: no number or date in it, and known names, or values below words."""
    if any(_is_value(cell) for cell in first):
        return False
    if any(plain_name(cell) in names for cell in first):
        return True
    below = [row for row in rows if len(row) == len(first)]
    return any(
        sum(_is_value(row[place]) for row in below) > len(below) / 2
        or (len(below) >= MIN_CODES and _are_codes([row[place] for row in below], first[place]))
        for place in range(len(first))
        if below
    )


def _are_codes(cells: Sequence[str], above: str) -> bool:
    """Whether nearly all cells have digits and the one above has none: CN-2016-1 below a word."""
    n_with = sum(any(map(str.isdigit, cell)) for cell in cells)
    return n_with > 0.95 * len(cells) and not any(map(str.isdigit, above))


def _are_numbered(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether each row begins with its number, for which the header has no name, as R writes tables."""
    own = [row for row in rows if any(row)][:-1] or rows  # the last of the sample may be cut
    return bool(own) and all(
        len(row) == len(header) + 1 and row[0] == str(number) for number, row in enumerate(own, start=1)
    )


def _is_value(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell) or _DATE.fullmatch(cell))
