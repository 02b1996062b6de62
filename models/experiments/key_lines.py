"""Finds the line of a key in a TOML file, which `tomllib` does not tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

KeyPath = tuple[str | int, ...]
"""Keys, and positions in arrays of tables: ("experiment", 0, "arm", 1, "weight")."""

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*"
    r"|[\[\]{}=\n]",
    re.DOTALL,
)
"""Matches what may hold a line break or a bracket without meaning, and what ends keys and statements."""


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return lines by key path, from 1. text: TOML that `tomllib` has parsed without an error.

    Keys inside an inline table or array are not listed; for them `line_of` finds what they stand in.
    """
    lines: dict[KeyPath, int] = {}
    arrays: dict[KeyPath, int] = {}
    table: KeyPath = ()
    start, depth, is_value = 0, 0, False
    text = text.replace("\r\n", "\n")
    for token in _TOKEN.finditer(text + "\n"):
        sign = token[0]
        depth += (sign in "[{") - (sign in "]}")
        if depth or sign not in "=\n":
            continue
        statement = text[start : token.start()]
        line = 1 + text.count("\n", 0, start + len(statement) - len(statement.lstrip()))
        if sign == "=" and not is_value:
            is_value = True
            lines.setdefault(table + _keys(statement + "=0"), line)
        elif sign == "\n":
            if not is_value and statement.lstrip().startswith("["):
                table = _table(statement, arrays)
                lines.setdefault(table, line)
            start, is_value = token.end(), False
    return lines


def line_of(path: KeyPath, lines: Mapping[KeyPath, int]) -> int:
    """Return the line of a key, or of the innermost table around it that has one; 1 for the file itself."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return 1


def _table(header: str, arrays: dict[KeyPath, int]) -> KeyPath:
    """Return the path that a header opens. arrays: counts the tables so far of each array of tables."""
    path: KeyPath = ()
    keys = _keys(header)
    for place, key in enumerate(keys):
        path += (key,)
        if place == len(keys) - 1 and header.lstrip().startswith("[["):
            arrays[path] = arrays.get(path, 0) + 1
        if path in arrays:
            path += (arrays[path] - 1,)
    return path


def _keys(statement: str) -> tuple[str, ...]:
    """Return the keys of a header, or of `key=0`; tomllib handles quotes and dots."""
    keys = []
    inner: Any = tomllib.loads(statement)
    while isinstance(inner, (dict, list)) and inner:
        if isinstance(inner, list):
            inner = inner[0]
            continue
        [(key, inner)] = inner.items()
        keys.append(key)
    return tuple(keys)
