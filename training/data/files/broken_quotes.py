"""Read rows of a table whose quotes do not pair, so that a stray quote costs nobody else's row.

A quoted cell is read as RFC 4180 says where it is one: it begins and ends at a delimiter, and its row has the right
number of cells. Any other quote is a character like others, and its row is its line: `TV 42"` loses nothing.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from typing import Final

from training.data.files.dialect import split_line
from training.data.files.rows_file import Row

MAX_LINES_OF_ROW: Final = 1_000
"""Lines after which a quote that does not end is taken for a stray one."""


def read_rows(lines: Iterable[str], separator: str, width: int, *, first_line: int) -> Iterator[Row]:
    """Yield the rows of lines without their ends; blank lines are rows of no cells.

    separator: one character. width: the number of columns. first_line: the number of the first of the lines.
    """
    ahead = _Ahead(lines, first_line)
    opens = re.compile(rf'(?:^|{re.escape(separator)})\s*"')
    while (line := ahead.take()) is not None:
        number = ahead.line
        if '"' not in line:
            yield Row(number, line.split(separator) if line else ())
        elif opens.search(line) and (cells := _quoted(line, ahead, separator, width)):
            yield Row(number, cells)
        elif '\\"' in line and (cells := _quoted(line.replace('\\"', '""'), ahead, separator, width)):
            yield Row(number, cells)  # databases escape quotes with a backslash
        else:
            yield Row(number, split_line(line, separator))


class _Ahead:
    """Lines that can be looked at before they are taken. line: the number of the line taken last."""

    def __init__(self, lines: Iterable[str], first_line: int) -> None:
        self._coming = iter(lines)
        self._seen: list[str] = []
        self.line = first_line - 1

    def take(self) -> str | None:
        self.line += 1
        return self._seen.pop(0) if self._seen else next(self._coming, None)

    def look(self, place: int) -> str | None:
        """Return the line that is `place` lines ahead, from 0; None after the end."""
        while len(self._seen) <= place:
            line = next(self._coming, None)
            if line is None:
                return None
            self._seen.append(line)
        return self._seen[place]

    def skip(self, n_lines: int) -> None:
        del self._seen[:n_lines]
        self.line += n_lines


def _quoted(line: str, ahead: _Ahead, separator: str, width: int) -> list[str] | None:
    """Return the cells of the row that begins with this line, and take its lines; None if its quotes do not pair."""
    lines, n_quotes = [line], line.count('"')
    while n_quotes % 2:
        following = ahead.look(len(lines) - 1)
        if following is None or len(lines) >= MAX_LINES_OF_ROW:
            return None
        lines.append(following)
        n_quotes += following.count('"')
    if len(lines) > 1 and _are_rows(lines, separator, width):
        return None
    try:
        # Line ends within a cell stay; strict refuses a quote that closes before its cell ends.
        rows = list(csv.reader(_with_ends(lines), delimiter=separator, strict=True, skipinitialspace=True))
    except csv.Error:
        return None
    if len(rows) != 1 or (len(lines) > 1 and len(rows[0]) != width):
        return None
    ahead.skip(len(lines) - 1)
    return rows[0]


def _are_rows(lines: list[str], separator: str, width: int) -> bool:
    """Whether most lines are rows by themselves: then stray quotes stand in them, and no cell of several lines."""
    told = [line for line in lines if line]
    return 2 * sum(len(line.split(separator)) >= width for line in told) > len(told)


def _with_ends(lines: list[str]) -> list[str]:
    return [f"{line}\n" for line in lines[:-1]] + lines[-1:]
