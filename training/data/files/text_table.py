"""Open a table of text, in any encoding and with any delimiter, as a lazy table of text columns that loses no row.

A table that RFC 4180 describes is read where it lies. Any other is first written anew into a scratch folder: with
another encoding or delimiter as text, with quotes that do not pair as rows.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import polars as pl

from training.base.errors import SourceUnreadable
from training.data.files.broken_quotes import read_rows
from training.data.files.dialect import STAND_IN, Dialect, find_dialect
from training.data.files.encoding import find_encoding
from training.data.files.packed import packing, unpacked_blocks
from training.data.files.rows_file import LINE, SURPLUS, Row, write_rows
from training.data.files.survey import Survey, survey_text

SAMPLE_BYTES = 1 << 20
"""Bytes from the beginning of a file by which its encoding, delimiter and header are found."""
MAX_CONTROL_SHARE = 0.005
"""The share of control characters above which a file is no text; \\x01 and \\x1f are delimiters of databases."""
_HEAD = re.compile(r"\s*[\w-]+:[ \t]*\r?\n[^\n]*[^\n:\s]")
_CONTROL = re.compile(r"[\x00\x02-\x08\x0b\x0e-\x1e\x7f]")


@dataclass(frozen=True)
class TextForm:
    """How a text file is written. dialect: its delimiter and header. encoding: Python's name of it.

    heads_rows: whether lines such as `17:` name the item of the rows below them, as those of the Netflix prize do.
    """

    encoding: str
    dialect: Dialect
    heads_rows: bool = False

    def words(self) -> str:
        """Return the form in words."""
        delimiter = {"\t": "tab", " ": "space", "\x01": "\\x01", "\x1f": "\\x1f"}.get(
            self.dialect.delimiter, self.dialect.delimiter
        )
        header = "with a header" if self.dialect.has_header else "without a header"
        if self.heads_rows:
            header = "with lines that name the item of the rows below"
        above = f", {self.dialect.n_skipped} lines above it" if self.dialect.n_skipped else ""
        return f"separated by {delimiter!r}, {self.encoding}, {header}{above}"


@dataclass(frozen=True)
class OpenedText:
    """A text table, opened. frame: text columns, SURPLUS, and LINE where rows were written anew.

    first_line: the number of the line of the first row. are_lines: whether row and line numbers differ by a constant.
    n_rows: rows below the header, blank lines included.
    """

    frame: pl.LazyFrame
    form: TextForm
    n_rows: int
    first_line: int
    are_lines: bool


def look_at_text(
    path: Path,
    names: frozenset[str],
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    has_header: bool | None = None,
) -> TextForm:
    """Find how a file is written by its beginning. names: plain names of columns that only a header holds.

    Raises SourceUnreadable if it is empty or not text.
    """
    sample = b"".join(unpacked_blocks(path, max_bytes=SAMPLE_BYTES))
    encoding = encoding or find_encoding(sample)
    text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(sample)
    if len(_CONTROL.findall(text)) > MAX_CONTROL_SHARE * len(text):
        raise SourceUnreadable(f"{path} holds binary data, not a table of text.")
    if "\r" in text and "\n" not in text:
        text = text.replace("\r", "\n")
    dialect = find_dialect(text.lstrip("\ufeff"), names, delimiter=delimiter, has_header=has_header)
    if not dialect.columns:
        raise SourceUnreadable(f"{path} is empty: it has no line to read.")
    if not dialect.has_header and _HEAD.match(text):
        width = len(text.partition("\n")[2].partition("\n")[0].split(dialect.delimiter))
        columns = tuple(f"column_{number}" for number in range(1, width + 2))
        return TextForm(encoding, Dialect(dialect.delimiter, columns, has_header=False), heads_rows=True)
    return TextForm("utf-8" if encoding == "utf-8-sig" else encoding, dialect)


def open_text(path: Path, form: TextForm, scratch: Path) -> OpenedText:
    """Open a table for reading; every row of the file is a row of the answer, or a blank line.

    scratch: a folder for what must be written anew. Raises SourceUnreadable if the file is damaged.
    """
    delimiter = form.dialect.delimiter
    if form.heads_rows:
        return _with_heads(path, form, scratch)
    if form.encoding == "utf-8" and len(delimiter) == 1 and packing(path) in (None, "gzip"):
        survey = survey_text(unpacked_blocks(path), delimiter.encode())
        if survey.is_plain:
            return _scanned(path, form, survey)
        if not survey.is_utf8:
            form = replace(form, encoding=_encoding_of_all(path))
    separator = delimiter if len(delimiter) == 1 else STAND_IN
    file = scratch / "table.txt"
    scratch.mkdir(parents=True, exist_ok=True)
    written = _write_anew(path, form, separator, file)
    survey = survey_text(written, separator.encode())
    if survey.is_plain:
        return _scanned(file, form, survey, separator)
    file_lines = _lines(file)
    for _ in range(form.dialect.n_skipped + form.dialect.has_header):
        next(file_lines, None)
    first_line = form.dialect.n_skipped + form.dialect.has_header + 1
    columns = form.dialect.columns
    rows = read_rows(file_lines, separator, len(columns), first_line=first_line)
    frame = write_rows(rows, columns, scratch / "rows")
    file.unlink()
    n_rows = int(frame.select(pl.len()).collect().item())
    return OpenedText(frame, form, n_rows, first_line, are_lines=True)


def _with_heads(path: Path, form: TextForm, scratch: Path) -> OpenedText:
    """Write the item of the line above as the second cell of each row, behind the person; a head is a blank line."""
    scratch.mkdir(parents=True, exist_ok=True)
    delimiter, columns = form.dialect.delimiter, form.dialect.columns
    lines = chain.from_iterable(block.splitlines() for block in _decoded(path, form.encoding))
    frame = write_rows(_rows_below_heads(lines, delimiter), columns, scratch / "rows")
    n_rows = int(frame.select(pl.len()).collect().item())
    return OpenedText(frame, form, n_rows, first_line=1, are_lines=True)


def _rows_below_heads(lines: Iterator[str], delimiter: str) -> Iterator[Row]:
    item = ""
    for number, line in enumerate(lines, start=1):
        if line.rstrip().endswith(":"):
            item = line.strip().removesuffix(":")
            yield Row(number, ())
        else:
            person, *others = line.split(delimiter)
            yield Row(number, (person, item, *others) if line.strip() else ())


def _scanned(path: Path, form: TextForm, survey: Survey, separator: str | None = None) -> OpenedText:
    """Scan a table in place. A column for what stands beyond the last one tells rows that are too long."""
    dialect = form.dialect
    n_above = dialect.n_skipped + dialect.has_header
    frame = pl.scan_csv(
        path,
        schema={**dict.fromkeys(dialect.columns, pl.String), SURPLUS: pl.String},
        has_header=False,
        skip_lines=n_above,
        separator=separator or dialect.delimiter,
        quote_char='"' if survey.has_quotes else None,
        missing_columns="insert",
        extra_columns="ignore",
        truncate_ragged_lines=True,
        glob=False,
    )
    return OpenedText(
        frame,
        form,
        survey.n_rows - n_above,
        first_line=n_above + 1,
        are_lines=not survey.has_long_rows,
    )


def _encoding_of_all(path: Path) -> str:
    """Find the encoding by the lines beyond ASCII, wherever in the file they are; its beginning was ASCII."""
    telling = bytearray()
    for block in unpacked_blocks(path):
        if not block.isascii():
            telling += b"\n".join(line for line in block.split(b"\n") if not line.isascii()) + b"\n"
        if len(telling) >= SAMPLE_BYTES:
            break
    return find_encoding(bytes(telling))


def _write_anew(path: Path, form: TextForm, separator: str, file: Path) -> Iterator[bytes]:
    """Write a table as UTF-8 with line feeds and a delimiter of one byte, and yield what is written."""
    with file.open("wb") as writing:
        for text in _with_line_feeds(_decoded(path, form.encoding)):
            if separator != form.dialect.delimiter:
                text = text.replace(separator, " ").replace(form.dialect.delimiter, separator)
            block = text.encode()
            writing.write(block)
            if block:
                yield block


def _decoded(path: Path, encoding: str) -> Iterator[str]:
    """Decode block by block; a block ends with a line feed, if it has one, so that no delimiter is cut."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    kept = ""
    for raw in chain(unpacked_blocks(path), (None,)):
        text = kept + (decoder.decode(raw) if raw is not None else decoder.decode(b"", final=True))
        cut = text.rfind("\n") + 1 if raw is not None else len(text)
        cut = cut or (text.rfind("\r") if raw is not None else 0)
        kept = text[max(cut, 0) :]
        yield text[: max(cut, 0)].lstrip("\ufeff")


def _with_line_feeds(blocks: Iterator[str]) -> Iterator[str]:
    """Replace carriage returns by line feeds where no line feed ends a line; the first line decides."""
    first = next(blocks, "")
    while not first.strip() and (more := next(blocks, None)) is not None:
        first += more
    has_old_ends = "\r" in first and "\n" not in first
    for text in chain((first,), blocks):
        yield text.replace("\r", "\n") if has_old_ends else text


def _lines(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8", newline="\n") as reading:
        for line in reading:
            yield line.rstrip("\n").removesuffix("\r")


__all__ = ["LINE", "SURPLUS", "OpenedText", "TextForm", "look_at_text", "open_text"]
