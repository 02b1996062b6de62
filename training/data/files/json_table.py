"""Read JSON as a table: one object a line, an array of objects, or one object that holds such an array.

Objects within objects become columns named by their path, such as user.id. Lists of plain values become text joined
by " | ". A list of objects, such as the items of an order, makes one row of each, beside what its row holds besides.
"""

from __future__ import annotations

import ast
import codecs
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import polars as pl

from training.base.errors import SourceUnreadable
from training.data.files.encoding import find_encoding
from training.data.files.packed import unpacked_blocks
from training.data.files.rows_file import BATCH_ROWS, LINE, SURPLUS

LIST_SEPARATOR: Final = " | "
MAX_DOCUMENT_BYTES: Final = 1 << 30
"""The largest JSON file that is one value; it is held in memory as a whole."""
_OF_ITEMS = re.compile(r"item|product|article", re.IGNORECASE)
OF_CATEGORIES = re.compile(r"categor|genre|^tags?$|collection", re.IGNORECASE)
"""Names of lists of objects that are categories, and no items: they make no rows."""
NAMES: Final = ("name", "title", "label")
_TYPES: Final = frozenset(
    ("$oid", "$date", "$numberLong", "$numberInt", "$numberDouble", "$numberDecimal", "S", "N", "BOOL")
)
"""Keys under which MongoDB and DynamoDB write a value with its type."""
MAX_COLUMNS: Final = 2_000
"""The most columns; objects whose keys are data, such as ids, would make millions."""


class OpenedJson(NamedTuple):
    """A JSON table, opened. frame: text columns and LINE. n_rows: rows in it. n_bad: lines that hold no object."""

    frame: pl.LazyFrame
    n_rows: int


def is_json(sample: bytes) -> bool:
    """Whether a file begins as JSON does."""
    start = sample.lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith((b"{", b"[{", b"[ {", b"[\n", b"[\r\n"))


def open_json(path: Path, scratch: Path, *, max_bytes: int | None = None) -> OpenedJson:
    """Read a JSON file into scratch files, and return them as a lazy table. Raises SourceUnreadable if it is damaged.

    A line that cannot be read becomes a row with nothing but SURPLUS, which holds its beginning.
    max_bytes: read only the first bytes, to look at; lines that are cut are left out.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    frames: list[pl.LazyFrame] = []
    batch: list[dict[str, Any]] = []
    n_rows = 0
    for line, value in _values(path, max_bytes):
        batch += [{LINE: line, **row} for row in _rows(value)]
        if len(batch) >= BATCH_ROWS:
            frames.append(_write(batch, scratch / f"{len(frames):06}.parquet"))
            n_rows, batch = n_rows + len(batch), []
    if batch or not frames:
        frames.append(_write(batch, scratch / f"{len(frames):06}.parquet"))
        n_rows += len(batch)
    return OpenedJson(pl.concat(frames, how="diagonal_relaxed") if len(frames) > 1 else frames[0], n_rows)


def _write(batch: list[dict[str, Any]], file: Path) -> pl.LazyFrame:
    columns = dict.fromkeys(name for row in batch for name in row if name not in (LINE, SURPLUS))
    if len(columns) > MAX_COLUMNS:
        raise SourceUnreadable(
            f"{file.name} has more than {MAX_COLUMNS:,} different keys, so its keys are data. Write one object an "
            "event, with the same keys in each."
        )
    schema = {**dict.fromkeys(columns, pl.String), SURPLUS: pl.String, LINE: pl.Int64}
    pl.DataFrame(batch, schema=schema, orient="row").write_parquet(file, compression="lz4")
    return pl.scan_parquet(file)


def _values(path: Path, max_bytes: int | None) -> Iterator[tuple[int, Any]]:
    """Yield values with the number of their line; text that is not JSON is yielded as it is."""
    blocks = unpacked_blocks(path, max_bytes=max_bytes)
    first = next(blocks, b"")
    encoding = find_encoding(first)
    start = first.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"[") or _is_document(first):
        yield from _elements(path, encoding)
        return
    for number, line in enumerate(
        _text_lines(first, blocks, encoding, is_cut=max_bytes is not None), start=1
    ):
        if line.strip():
            value = _value(line)
            rows = _rows_within(value) if number == 1 and isinstance(value, dict) else None
            yield from ((number, row) for row in rows or [value])


def _is_document(first: bytes) -> bool:
    """Whether the file is one object over several lines."""
    line = first.lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")[0].strip()
    return line in (b"{", b"[") or (
        line.startswith(b"{") and not line.endswith((b"}", b",")) and b"\n" in first
    )


def _elements(path: Path, encoding: str) -> Iterator[tuple[int, Any]]:
    content = b"".join(unpacked_blocks(path, max_bytes=MAX_DOCUMENT_BYTES + 1))
    if len(content) > MAX_DOCUMENT_BYTES:
        raise SourceUnreadable(
            f"{path} is one JSON value of more than {MAX_DOCUMENT_BYTES:,} bytes. Write one object a line (.jsonl)."
        )
    try:
        value = json.loads(content.decode(encoding))
    except ValueError as error:
        raise SourceUnreadable(
            f"{path} is no valid JSON: {error}. Write one object a line, or one array."
        ) from error
    if isinstance(value, dict):
        arrays = [
            each for each in value.values() if isinstance(each, list) and each and isinstance(each[0], dict)
        ]
        value = arrays[0] if len(arrays) == 1 else _rows_within(value) or [value]
    yield from enumerate(value, start=1)


def _rows_within(value: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return the rows of an object that holds nothing else, or its columns as rows; None if it is neither."""
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        return [dict(zip(map(str, value["columns"]), row, strict=False)) for row in value["data"]]
    columns = list(value.values())
    if (
        len(columns) == 1
        and isinstance(columns[0], list)
        and all(isinstance(row, dict) for row in columns[0])
    ):
        return columns[0]
    if len(columns) > 1 and all(
        isinstance(column, dict) and column.keys() == columns[0].keys() for column in columns
    ):
        return [{name: column[place] for name, column in value.items()} for place in columns[0]]
    if len(columns) > 1 and all(
        isinstance(column, list) and len(column) == len(columns[0]) for column in columns
    ):
        return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]
    return None


def _text_lines(first: bytes, blocks: Iterable[bytes], encoding: str, *, is_cut: bool) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    kept = decoder.decode(first)
    for block in blocks:
        *lines, kept = kept.split("\n")
        yield from lines
        kept += decoder.decode(block)
    *lines, kept = (kept + decoder.decode(b"", final=True)).split("\n")
    yield from lines
    if kept and not is_cut:
        yield kept


def _value(line: str) -> Any:
    """Read a line as JSON or, as in older files, as a literal of Python; text if it is neither."""
    try:
        return json.loads(line)
    except ValueError:
        pass
    try:
        return ast.literal_eval(line.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return line


def _rows(value: Any) -> Iterator[dict[str, str | None]]:
    if not isinstance(value, Mapping):
        yield {SURPLUS: str(value)[:200] or "empty"}
        return
    plain: dict[str, str | None] = {}
    lists: list[tuple[str, list[Any]]] = []
    _flatten("", value, plain, lists)
    yield from _spread(plain, lists)


def _flatten(
    prefix: str, value: Mapping[str, Any], plain: dict[str, str | None], lists: list[tuple[str, list[Any]]]
) -> None:
    """Collect plain values by their path, and lists of objects apart."""
    for key, each in value.items():
        name = f"{prefix}{key}"
        each = _unwrapped(each)
        if isinstance(each, Mapping):
            _flatten(f"{name}.", each, plain, lists)
        elif (names := names_of_categories(key, each)) is not None:
            plain[name] = names
        elif isinstance(each, list) and any(isinstance(part, Mapping) for part in each):
            lists.append((name, each))
        elif isinstance(each, list):
            plain[name] = LIST_SEPARATOR.join(_text(part) or "" for part in _flat(each)) or None
        else:
            plain[name] = _text(each)


def names_of_categories(key: str, value: Any) -> str | None:
    """Return the names of objects that are categories or tags of what holds them, as JSON; None if they are not."""
    if not (isinstance(value, list) and value and OF_CATEGORIES.search(key)):
        return None
    names = [
        next((part[each] for each in NAMES if each in part), None)
        for part in value
        if isinstance(part, Mapping)
    ]
    if len(names) < len(value) or not all(isinstance(name, str) for name in names):
        return None
    return json.dumps(names, ensure_ascii=False)


def _spread(
    plain: dict[str, str | None], lists: list[tuple[str, list[Any]]]
) -> Iterator[dict[str, str | None]]:
    """Make one row of each object in the list that holds items; name and value pairs become columns.

    Two lists of objects that are both no pairs would multiply, so one alone makes rows: the first whose name speaks
    of items, or else the first.
    """
    spread = False
    rows = [plain]
    for name, objects in sorted(lists, key=lambda each: not _OF_ITEMS.search(each[0].rpartition(".")[2])):
        parts = [part for part in objects if isinstance(part, Mapping)]
        if all("key" in part and "value" in part for part in parts):
            for part in parts:
                pairs: dict[str, str | None] = {}
                _flatten(f"{name}.{part['key']}.", {"value": part["value"]}, pairs, [])
                told = next((text for text in pairs.values() if text is not None), None)
                plain[f"{name}.{part['key']}"] = told
        elif not spread:
            spread = True
            rows = []
            for part in parts:
                own: dict[str, str | None] = {}
                within: list[tuple[str, list[Any]]] = []
                _flatten(f"{name}.", part, own, within)
                rows += _spread(own, within)
    for row in rows:
        yield {**plain, **row} if row is not plain else plain


def _unwrapped(value: Any) -> Any:
    """Return what databases write with its type, such as {"$oid": "5f"} or {"S": "a"}, as the value alone."""
    while isinstance(value, Mapping) and len(value) == 1:
        [(key, inner)] = value.items()
        if key not in _TYPES:
            return value
        value = inner
    return value


def _flat(values: list[Any]) -> Iterator[Any]:
    for value in values:
        yield from _flat(value) if isinstance(value, list) else (value,)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return value if isinstance(value, str) else str(value)
