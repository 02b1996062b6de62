"""Read published files line by line; an error names the file, the number of the line and a remedy."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from training.base.errors import SourceUnreadable
from training.data.files.errors import unreadable


def read_lines(file: Path) -> pl.DataFrame:
    """Read the lines that are not blank: line_number (from 1), and line without its end. Raises SourceUnreadable."""
    lines = pl.DataFrame({"line": read_text(file).split("\n")}, schema={"line": pl.String})
    numbered = lines.with_row_index("line_number", offset=1)
    return numbered.with_columns(pl.col("line").str.strip_chars_end("\r")).filter(
        pl.col("line").str.strip_chars() != ""
    )


def read_text(file: Path) -> str:
    """Read a text file as UTF-8, or, as older data sets need, as Latin-1. Raises SourceUnreadable."""
    if not file.is_file():
        raise SourceUnreadable(f"There is no file {file}.")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise unreadable(file, error) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def refuse_lines(lines: pl.DataFrame, is_bad: pl.Expr, file: Path, *, problem: str, remedy: str) -> None:
    """Raise SourceUnreadable, naming the first line to which `is_bad` applies; null means "not bad".

    lines: has the columns line_number and line. problem: what that line does, such as "names no item".
    """
    bad = lines.filter(is_bad.fill_null(False))
    if bad.is_empty():
        return
    number, line = bad.select("line_number", "line").row(0)
    others = f" (and {bad.height - 1:,} more)" if bad.height > 1 else ""
    shown = line if len(line) <= 60 else f"{line[:60]}…"
    raise SourceUnreadable(f"{file}, line {number}{others}, {problem}: {shown!r}. {remedy}.")
