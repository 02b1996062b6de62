"""A shop's tables, opened: what files there are, how each is written, and a lazy frame of its cells.

A path goes in, of a file, a folder or an archive; `open_tables` returns the tables in it. Parts of one table, such as
files of days, are one table. What is unpacked or written anew lies in a scratch folder that the caller removes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import polars as pl
from polars.exceptions import PolarsError

from training.base.errors import SourceUnreadable
from training.data.files.archives import is_archive, unpack_archive
from training.data.files.columnar import flattened, is_nested
from training.data.files.errors import unreadable
from training.data.files.json_table import is_json, open_json
from training.data.files.packed import SUFFIXES as PACKED_SUFFIXES
from training.data.files.packed import unpacked_blocks
from training.data.files.rows_file import LINE, SURPLUS
from training.data.files.text_table import TextForm, look_at_text, open_text
from training.data.files.workbook import open_workbook

TEXT_SUFFIXES: Final = (
    *(
        ".csv",
        ".tsv",
        ".tab",
        ".psv",
        ".txt",
        ".dat",
        ".data",
        ".inter",
        ".item",
        ".user",
        ".jsonl",
        ".ndjson",
    ),
    ".json",
)
COLUMNAR_SUFFIXES: Final = (".parquet", ".feather", ".arrow", ".ipc")
TABLE_SUFFIXES: Final = (*TEXT_SUFFIXES, *COLUMNAR_SUFFIXES, ".xlsx")
MAX_FILES: Final = 10_000
"""The most files in a folder."""
SAMPLE_ROWS: Final = 2_000
SAMPLE_PARTS: Final = 8
"""Rows of a part, and parts, that are looked at."""

_IGNORED = re.compile(
    r"^(?:[._]|readme|license|licence)|\.(?:md|pdf|html?|crc|sh|py|pl|ipynb|yaml|toml)$", re.IGNORECASE
)
_OTHER_FORMS: Final = {
    b"\xd0\xcf\x11\xe0": "a workbook of the old kind (.xls). Save it as .xlsx or as .csv",
    b"SQLite format 3": "a database of SQLite. Write its table of events to a .csv",
    b"%PDF": "a PDF. Export the table as .csv or .xlsx",
    **dict.fromkeys(
        (b"<!", b"<?xml", b"<html", b"<HTML", b"<table"),
        "HTML or XML, and no table: perhaps a page was saved in place of the file. Export the table as .csv or .xlsx",
    ),
    b"version https://git-lfs": "a pointer of Git LFS and not the file. Fetch the file with `git lfs pull`",
    **dict.fromkeys(
        (b"INSERT INTO", b"CREATE TABLE", b"-- MySQL dump", b"-- PostgreSQL", b"--\n-- PostgreSQL"),
        "a dump of SQL. Write its table of events to a .csv",
    ),
}
"""What a file is that is no table, by its first bytes, and the remedy."""
_SAME_PART = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}(?:-c\d+)?|\d+", re.IGNORECASE)


@dataclass(frozen=True)
class FormOptions:
    """What a person says of how text files are written; None is found by looking."""

    encoding: str | None = None
    delimiter: str | None = None
    has_header: bool | None = None


@dataclass(frozen=True)
class Part:
    """One file of a table. frame: its cells; text, but for columnar files. form: how it is written, in words.

    n_rows: rows, blank lines included. first_line: the line of row 0, or None if rows are no lines of text.
    has_header: whether the file names its columns. sheet: of a workbook; "" in any other file.
    """

    path: Path
    frame: pl.LazyFrame
    columns: tuple[str, ...]
    form: str
    n_rows: int
    first_line: int | None = None
    has_header: bool = True
    sheet: str = ""


@dataclass(frozen=True)
class Table:
    """One table, of one or several files. name: of the file, or of the pattern of its parts.

    made_of: the names of the tables that were joined into it.
    """

    name: str
    parts: tuple[Part, ...]
    folder: Path = field(default_factory=Path)
    made_of: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tables that it is made of, its own included."""
        return (self.name, *self.made_of)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of all parts, in the order of their first appearance."""
        return tuple(dict.fromkeys(column for part in self.parts for column in part.columns))

    @property
    def n_rows(self) -> int:
        return sum(part.n_rows for part in self.parts)

    @property
    def has_header(self) -> bool:
        return self.parts[0].has_header

    @cached_property
    def sample(self) -> pl.DataFrame:
        """The first rows of some parts, the first and the last among them, their cells as they are."""
        n_parts = len(self.parts)
        places = {round(place * (n_parts - 1) / max(SAMPLE_PARTS - 1, 1)) for place in range(SAMPLE_PARTS)}
        some = [self.parts[place] for place in sorted(places)]
        heads = [_collected(part.frame.head(SAMPLE_ROWS), part.path) for part in some]
        return pl.concat(heads, how="diagonal_relaxed").drop(SURPLUS, LINE, strict=False)

    def select(self, expressions: Callable[[Part], Sequence[pl.Expr]]) -> pl.DataFrame:
        """Read from each part what `expressions` asks of it, in batches; rows keep their order."""
        frames = [part.frame.select(expressions(part)) for part in self.parts]
        whole = pl.concat(frames, how="vertical_relaxed") if len(frames) > 1 else frames[0]
        return _collected(whole, self.parts[0].path)

    def first_rows(self, n_rows: int) -> Table:
        """Return the table up to this number of rows."""
        parts = []
        for part in self.parts:
            n_here = min(part.n_rows, n_rows)
            parts.append(replace(part, frame=part.frame.head(n_here), n_rows=n_here))
            n_rows -= n_here
            if not n_rows:
                break
        return replace(self, parts=tuple(parts))

    def cell(self, row: int, column: str) -> object:
        """Return one cell as it stands in the file; None if its part has no such column."""
        for part in self.parts:
            if row < part.n_rows:
                break
            row -= part.n_rows
        if column not in part.columns:
            return None
        return _collected(part.frame.select(column).slice(row, 1), part.path).item()

    def line_of(self, row: int) -> str:
        """Say where a row stands: its file if there are several, and its line or row from 1."""
        for part in self.parts:
            if row < part.n_rows:
                break
            row -= part.n_rows
        prefix = f"{part.path.name} " if len(self.parts) > 1 else ""
        if LINE in part.frame.collect_schema():
            line = part.frame.select(LINE).slice(row, 1).collect().item()
            return f"{prefix}line {line}"
        return (
            f"{prefix}row {row + 1}" if part.first_line is None else f"{prefix}line {part.first_line + row}"
        )


def _collected(frame: pl.LazyFrame, path: Path) -> pl.DataFrame:
    try:
        return frame.collect(engine="streaming")
    except (PolarsError, OSError) as error:
        raise unreadable(path, error) from error


def files_of(source: Path, scratch: Path) -> list[Path]:
    """List the files that may be tables: the file itself, those of a folder, or those of an archive, unpacked.

    Raises SourceUnreadable if there is nothing, or too much.
    """
    if not source.exists():
        raise SourceUnreadable(f"There is nothing at {source}.")
    if source.is_dir():
        return _files_below(source, source)
    if is_archive(source):
        folder = unpack_archive(source, scratch / "archive")
        _unpack_within(folder)
        return _files_below(folder, source)
    return [source]


def _unpack_within(folder: Path) -> None:
    """Unpack the archives of an archive, each beside its own file; those within these stay packed."""
    for path in [path for path in sorted(folder.rglob("*.zip")) if path.is_file() and is_archive(path)]:
        if not any(_is_ignored(part) for part in path.relative_to(folder).parts):
            unpack_archive(path, path.with_suffix(""))


def _files_below(folder: Path, source: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    if len(found) > MAX_FILES:
        raise SourceUnreadable(
            f"{source} holds {len(found):,} files, at most {MAX_FILES:,} are read. Name the file."
        )
    inside = [path for path in found if not any(_is_ignored(part) for part in path.relative_to(folder).parts)]
    tables = [path for path in inside if stem_and_suffix(path)[1] in TABLE_SUFFIXES]
    if not tables:
        names = ", ".join(path.name for path in found[:5]) or "nothing"
        raise SourceUnreadable(
            f"{source} holds no table: it has {names}. Tables end in {', '.join(TABLE_SUFFIXES)}, plain or packed as "
            f"{', '.join(PACKED_SUFFIXES)}."
        )
    return tables


def _is_ignored(name: str) -> bool:
    return bool(_IGNORED.search(name)) or name == "__MACOSX"


def stem_and_suffix(path: Path) -> tuple[str, str]:
    """Split a file's name into stem and suffix, in lower case, leaving out the suffix of its packing."""
    name = path.name.lower()
    for packed in PACKED_SUFFIXES:
        name = name.removesuffix(packed)
    stem, dot, suffix = name.rpartition(".")
    return (stem, f".{suffix}") if dot else (name, "")


def open_tables(
    files: Sequence[Path], names: frozenset[str], scratch: Path, options: FormOptions | None = None
) -> list[Table]:
    """Open every file, and join the parts of one table.

    names: plain names of columns that only a header holds. Raises SourceUnreadable if a file is damaged or no table.
    """
    options = options or FormOptions()
    files = [path for path in files if _holds_something(path)] or files
    parts = [
        part
        for number, path in enumerate(files)
        for part in _open(path, names, scratch / f"{number:06}", options)
    ]
    grouped: dict[tuple[object, ...], list[Part]] = {}
    for part in parts:
        grouped.setdefault(_family(part), []).append(part)
    return [_table(family) for family in grouped.values()]


def _holds_something(path: Path) -> bool:
    """Whether a file has any bytes; jobs that write in parts leave empty ones where there was nothing to write."""
    return not path.is_file() or (path.stat().st_size > 0 and any(unpacked_blocks(path, max_bytes=1)))


def _family(part: Part) -> tuple[object, ...]:
    """What parts of one table have in common: folder, name but for its digits, and suffix; or sheet."""
    stem, suffix = stem_and_suffix(part.path)
    folder = "/".join(piece for piece in part.path.parts[:-1] if "=" not in piece)
    own: tuple[object, ...] = ()
    if suffix in (".xlsx", ""):
        # Of sheets without a header, columns say nothing; their names do.
        own = part.columns if part.has_header else (part.columns, _SAME_PART.sub("#", part.sheet))
    return folder, _SAME_PART.sub("#", stem), suffix, own


def _table(parts: Sequence[Part]) -> Table:
    first = parts[0].path
    if parts[0].sheet:
        return Table(_name_of_sheets(parts), tuple(parts), first.parent)
    is_part = first.name.startswith("part-")
    if (len(parts) == 1 and not is_part) or (len(parts) > 1 and all(part.path == first for part in parts)):
        return Table(first.name, tuple(parts), first.parent)
    name = f"{first.parent.name}/{_SAME_PART.sub('*', first.name)} ({len(parts)} file{'s' if len(parts) > 1 else ''})"
    widths = {len(part.columns) for part in parts}
    if not parts[0].has_header and len(widths) > 1:
        raise SourceUnreadable(
            f"{name}: the files have no headers and {sorted(widths)} columns. Name one of them."
        )
    return Table(name, tuple(parts), first.parent)


def _name_of_sheets(parts: Sequence[Part]) -> str:
    books = ", ".join(dict.fromkeys(part.path.name for part in parts))
    sheets = ", ".join(dict.fromkeys(repr(part.sheet) for part in parts))
    return f"{books} {sheets}"


def _open(path: Path, names: frozenset[str], scratch: Path, options: FormOptions) -> Iterable[Part]:
    if not path.is_file():
        raise SourceUnreadable(f"There is no file {path}.")
    head = b"".join(unpacked_blocks(path, max_bytes=4096))[:4096]
    if not head:
        raise SourceUnreadable(f"{path} is empty.")
    for magic, told in _OTHER_FORMS.items():
        if head.lstrip().startswith(magic):
            raise SourceUnreadable(f"{path} is {told}.")
    if head.startswith(b"PAR1"):
        return [_columnar(path, pl.scan_parquet(path, glob=False), "Parquet")]
    if head.startswith((b"ARROW1", b"FEA1")):
        return [_columnar(path, pl.scan_ipc(path, glob=False), "Feather")]
    if head.startswith(b"PK\x03\x04"):
        return _sheets(path, names, options)
    if is_json(head):
        opened = open_json(path, scratch)
        columns = tuple(name for name in opened.frame.collect_schema().names() if name not in (LINE, SURPLUS))
        return [Part(path, opened.frame, columns, "JSON", opened.n_rows, first_line=1)]
    return [_text(path, names, scratch, options)]


def _columnar(path: Path, frame: pl.LazyFrame, form: str) -> Part:
    try:
        frame = flattened(frame) if is_nested(frame) else frame
        columns = tuple(frame.collect_schema().names())
        n_rows = int(frame.select(pl.len()).collect().item())
    except (PolarsError, OSError) as error:
        raise unreadable(path, error) from error
    return Part(path, frame, columns, form, n_rows)


def _sheets(path: Path, names: frozenset[str], options: FormOptions) -> list[Part]:
    return [
        Part(
            path,
            frame,
            dialect.columns,
            f"sheet {name!r}",
            int(frame.select(pl.len()).collect().item()),
            has_header=dialect.has_header,
            sheet=name,
        )
        for name, (frame, dialect) in open_workbook(path, names, has_header=options.has_header).items()
    ]


def _text(path: Path, names: frozenset[str], scratch: Path, options: FormOptions) -> Part:
    form: TextForm = look_at_text(
        path,
        names,
        encoding=options.encoding,
        delimiter=options.delimiter,
        has_header=options.has_header,
    )
    opened = open_text(path, form, scratch)
    return Part(
        path,
        opened.frame,
        form.dialect.columns,
        opened.form.words(),
        opened.n_rows,
        opened.first_line if opened.are_lines else None,
        form.dialect.has_header,
    )


__all__ = ["LINE", "SURPLUS", "FormOptions", "Part", "Table", "files_of", "open_tables"]
