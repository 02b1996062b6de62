"""Read categories as shops write them: one, a list, or a path from the widest to the narrowest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import polars as pl

from training.data.files.dialect import plain_name
from training.data.meaning.markup import without_markup
from training.data.meaning.missing import MISSING

_SEPARATORS: Final = r"\s*(?:\||>|»|›)\s*|\s*;\s*"
"""What stands between several categories, and between the steps of a path."""
_LISTS: Final = ("categories", "genres", "tags", "product_categories")
"""Names of columns whose commas stand between categories; elsewhere they belong to one: Doctors, Health & Medical."""
_NAMED_OBJECT: Final = r"""\{[^{}]*['"]name['"]\s*:\s*['"]([^{}]*?)['"]\s*(?:,[^{}]*)?\}"""
_BETWEEN_QUOTED: Final = r"""['"]\s*,\s*['"]"""
_NO_CATEGORY = re.compile(r"^\(no .* listed\)$")


def has_several(sample: pl.Series) -> bool:
    """Whether a cell names several categories, or the steps of a path."""
    told = sample.str.contains(_SEPARATORS) | sample.str.contains(_BETWEEN_QUOTED)
    return bool(told.any()) or (_is_list(sample.name) and bool(sample.str.contains(",", literal=True).any()))


def names_within(cell: pl.Expr) -> pl.Expr:
    """Put names in place of objects that have one: `[{'id': 16, 'name': 'Animation'}]` becomes `['Animation']`."""
    return cell.str.replace_all(_NAMED_OBJECT, '"${1}"')


def categories_of(columns: Sequence[str]) -> pl.Expr:
    """Return the first category that the columns name, null if none does."""
    firsts = [_first(column) for column in columns]
    return pl.coalesce(firsts) if firsts else pl.lit(None, pl.String)


def all_categories(columns: Sequence[str]) -> pl.Expr:
    """Return all categories that the columns name, with `|` between them and `>` between the steps of a path."""
    told = [_all(column) for column in columns]
    return pl.concat_str(told, separator="|", ignore_nulls=True) if told else pl.lit("")


def _all(column: str) -> pl.Expr:
    between = r",\s*" if _is_list(column) else _BETWEEN_QUOTED
    members = (
        _unbracketed(column)
        .str.replace_all(_BETWEEN_QUOTED, "|")
        .str.replace_all(between, "|")
        .str.split("|")
    )
    return members.list.eval(pl.element().filter(_is_told(pl.element().str.strip_chars()))).list.join("|")


def _unbracketed(column: str) -> pl.Expr:
    named = names_within(pl.col(column).cast(pl.String).fill_null(""))
    return without_markup(named.str.strip_chars("[]'\" "))


def _is_told(text: pl.Expr) -> pl.Expr:
    return ~text.str.to_lowercase().is_in(MISSING) & ~text.str.contains(_NO_CATEGORY.pattern)


def _first(column: str) -> pl.Expr:
    first = (
        _unbracketed(column)
        .str.replace(f"(?:{_SEPARATORS}).*$", "")
        .str.replace(f"{_BETWEEN_QUOTED}.*$", "")
        .str.replace(r",\s.*$" if _is_list(column) else r"^$", "")
        .str.strip_chars()
    )
    return pl.when(_is_told(first)).then(first)


def _is_list(column: str) -> bool:
    return plain_name(column.rpartition(".")[2]) in _LISTS
