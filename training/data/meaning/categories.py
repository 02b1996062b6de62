"""Read categories as shops write them: one, a list, or a path from the widest to the narrowest."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import polars as pl

from training.data.files.dialect import plain_name
from training.data.meaning.markup import without_markup
from training.data.meaning.missing import MISSING

MEMBER: Final = "\x1f"
"""Stands between the categories of a cell once they are read; no file has it in a name."""
_MEMBERS: Final = re.compile(r"\s*[|;]\s*")
_STEPS: Final = re.compile(r"\s*[>»›]\s*")
_LISTS: Final = ("categories", "genres", "tags", "product_categories")
"""Names of columns whose commas stand between categories; elsewhere they belong to one: Doctors, Health & Medical."""
_NAMES: Final = ("name", "title", "label", "category", "value")
"""Keys under which an object that is a category has its name, the likeliest first."""
_NAMED_OBJECT: Final = r"""\{[^{}]*['"]name['"]\s*:\s*['"]([^{}]*?)['"]\s*(?:,[^{}]*)?\}"""
_NO_CATEGORY = re.compile(r"\(no .* listed\)")


def names_within(cell: pl.Expr) -> pl.Expr:
    """Put names in place of objects that have one: `[{'id': 16, 'name': 'Animation'}]` becomes `['Animation']`."""
    return cell.str.replace_all(_NAMED_OBJECT, '"${1}"')


def categories_of(columns: Sequence[str]) -> pl.Expr:
    """Return all categories that the columns name, `MEMBER` between them and ` > ` between the steps of a path.

    Null if they name none.
    """
    if not columns:
        return pl.lit(None, pl.String)
    told = [_of_column(column) for column in columns]
    return pl.concat_str(told, separator=MEMBER, ignore_nulls=True).replace("", None)


def first_category(told: pl.Expr) -> pl.Expr:
    """Return the first step of the first category. told: what `categories_of` returned."""
    return told.str.split(MEMBER).list.first().str.split(" > ").list.first()


def are_several(told: pl.Series) -> bool:
    """Whether any item has several categories, or a path of them. told: what `categories_of` returned."""
    return bool(told.str.contains_any([MEMBER, " > "]).any())


def members_of(cell: str, *, has_commas: bool = False) -> list[str]:
    """Return the categories of a cell, each once, in their order; the steps of a path have ` > ` between them.

    `A | B`, `A; B`, `["A", "B"]` and `[{"id": 1, "name": "A"}]` are lists, `A > B` is a path. has_commas: whether
    commas stand between categories.
    """
    text = cell.strip()
    parsed = _parsed(text)
    if parsed is not None:
        members = [name.strip() for name in _names(parsed)]
    else:
        if text.startswith("[") and text.endswith("]"):
            text, has_commas = text[1:-1], True
        members = [_unquoted(member) for member in _MEMBERS.split(text)]
        if has_commas:
            members = [_unquoted(part) for member in members for part in member.split(",")]
    told = (" > ".join(step for step in _STEPS.split(member) if step) for member in members)
    return list(dict.fromkeys(member for member in told if _is_told(member)))


def _of_column(column: str) -> pl.Expr:
    has_commas = plain_name(column.rpartition(".")[2]) in _LISTS

    def read(cells: pl.Series) -> pl.Series:
        distinct = cells.drop_nulls().unique()
        told = [MEMBER.join(members_of(cell, has_commas=has_commas)) or None for cell in distinct]
        return cells.replace_strict(
            distinct, pl.Series(told, dtype=pl.String), default=None, return_dtype=pl.String
        )

    text = without_markup(pl.col(column).cast(pl.String))
    if column.endswith(":token_seq"):
        text = text.str.replace_all(" ", "|", literal=True)  # as RecBole writes a list
    return text.map_batches(read, return_dtype=pl.String, is_elementwise=True)


def _parsed(text: str) -> Any:
    """Return the list or object that a cell is, in JSON or as Python writes it; None if it is none."""
    if not (text.startswith(("[", "{")) and text.endswith(("]", "}"))):
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return None


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        named = next((value[key] for key in _NAMES if isinstance(value.get(key), str)), None)
        if named is not None:
            yield named
    elif isinstance(value, list | tuple | set):
        for each in value:
            yield from _names(each)
    elif value is not None:
        yield str(value)


def _unquoted(text: str) -> str:
    bare = text.strip()
    return bare[1:-1].strip() if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "'\"" else bare


def _is_told(member: str) -> bool:
    return member.lower() not in MISSING and not _NO_CATEGORY.fullmatch(member)
