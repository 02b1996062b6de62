"""Find what the other columns of an item table say: words, numbers, yes and no, or more text.

What is left of a table after title, text, category, price and availability says what kind of item it is: brand, size,
material, energy class. Each column gets one kind for all items, by all of its values; a column that cannot tell items
apart, or that tells each from all others, is left out by a named reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import polars as pl

from models.attributes import CATEGORIES
from training.data.files.dialect import plain_name
from training.data.meaning import names
from training.data.meaning.markup import without_markup
from training.data.meaning.missing import cleaned
from training.data.meaning.numbers import number, number_format

MAX_ATTRIBUTES: Final = 64
"""The most attributes; a table with more columns than that names the ones that matter with item_attributes."""
MAX_VALUES: Final = 50_000
"""The most distinct words of an attribute; with more, it is hardly one."""
MAX_WORDS: Final = 50
"""The most words of one item in an attribute; the rest of its cell is not read."""
MAX_CHARACTERS: Final = 128
"""The most characters of a word of an attribute."""
NUMERIC_SHARE: Final = 0.95
"""The share of an attribute's values that are numbers if it is one; the others are unknown then."""
MANY: Final = 50
"""Values below which it says nothing that all of them differ."""
DISTINCT_SHARE: Final = 0.5
"""The share of distinct values above which an attribute tells items from each other, and nothing about them."""
MEAN_WORDS_OF_TEXT: Final = 3.0
"""Values of so many words on average that are mostly distinct are text."""

RESERVED: Final = frozenset(
    {"item_id", "title", "text", "category", "price", "min_price", "max_price", "available", "score", "kind"}
)
"""Fields of items and of filters, after which no attribute can be named."""

_IDS: Final = frozenset({"id", "uuid", "guid"})
_MOMENTS: Final = frozenset({"at", "date", "time", "timestamp", "datum"})
_LINKS: Final = frozenset({"url", "link", "image", "images", "img", "href", "uri", "photo"})
_YES: Final = frozenset({"yes", "y", "true", "t", "ja", "oui", "si", "sí", "1"})
_NO: Final = frozenset({"no", "n", "false", "f", "nein", "non", "0"})
_BETWEEN: Final = r"\s*[|;]\s*"
_STEP: Final = r"\s*[>»›]\s*"


class AttributesRead(NamedTuple):
    """Attributes in columns whose types are their kinds: List(String) for words, Float32, Boolean; item_id is first.

    texts: names of columns that are text after all. uses: of each column that is read. notes: by reason.
    """

    table: pl.DataFrame
    texts: tuple[str, ...]
    uses: dict[str, str]
    notes: dict[str, int]


def may_be_attribute(column: str) -> bool:
    """Whether a column may say something about its item, by its name: no other id, no moment and no link does."""
    plain = plain_name(column)
    parts = plain.split("_")
    is_id = plain in {*names.ITEM, *names.USER, *names.ORDER, *names.PARENT, "id"} or parts[-1] in _IDS
    is_moment = plain in names.TIME or not _MOMENTS.isdisjoint(parts)
    is_link = not _LINKS.isdisjoint(parts)
    return bool(plain) and not (is_id or is_moment or is_link)


def typed_attributes(
    raw: pl.DataFrame, *, are_named: bool = False, has_categories: bool = False
) -> AttributesRead:
    """Type columns of text, one row per item. raw: item_id and one String column each, null where nothing is said.

    are_named: a person named these columns, so that none of them is text and none is left out for what it holds.
    has_categories: the items have `CATEGORIES` besides, so that no column is called that.
    """
    columns: list[pl.Series] = [raw["item_id"]]
    texts: list[str] = []
    uses: dict[str, str] = {}
    notes: dict[str, int] = {}
    taken = {CATEGORIES} if has_categories else set[str]()
    for column in raw.columns[1:]:
        told, name = raw[column], plain_name(column.rpartition(".")[2])
        fault = _fault(told, name, taken, are_named=are_named)
        if fault == _TEXT:
            texts.append(column)
            uses[column] = "text"
            continue
        if fault:
            notes[f"column {column}: {fault}"] = len(told)
            continue
        taken.add(name)
        typed, kind, n_unreadable = _typed(told)
        if n_unreadable:
            notes[f"value of the attribute {name} that is no number, taken as unknown"] = n_unreadable
        columns.append(typed.alias(name))
        uses[column] = f"attribute {name}, {kind}"
    return AttributesRead(pl.DataFrame(columns), tuple(texts), uses, notes)


def cell_of(column: str, schema: pl.Schema) -> pl.Expr:
    """Return a cell as text, a list with `|` between its values; null where it says nothing."""
    kind = schema[column]
    if isinstance(kind, pl.List | pl.Array):
        values = pl.col(column) if isinstance(kind, pl.List) else pl.col(column).arr.to_list()
        if kind.inner.is_nested():
            return pl.lit(None, pl.String)
        return cleaned(values.cast(pl.List(pl.String)).list.join("|", ignore_nulls=True))
    if kind.is_nested() or kind == pl.Binary:
        return pl.lit(None, pl.String)
    return cleaned(without_markup(pl.col(column).cast(pl.String)))


_TEXT: Final = "text"


def _fault(told: pl.Series, name: str, taken: set[str], *, are_named: bool) -> str:
    """Say why a column is no attribute; empty if it is one, `_TEXT` if it is text."""
    known = told.drop_nulls()
    if name in RESERVED:
        return f"no attribute can be called {name}, which is a field of an item; rename the column to have it read"
    if name in taken:
        return f"another column is the attribute {name} already; rename one of them to have both read"
    if known.is_empty():
        return "is empty throughout, so it is not read"
    if len(taken) >= MAX_ATTRIBUTES:
        return f"there are {MAX_ATTRIBUTES} attributes already; name those that matter with item_attributes"
    n_distinct = known.n_unique()
    if n_distinct == 1 and len(known) == len(told) > 1:
        return "says the same of every item, so it is not read"
    if are_named or _is_numeric(known):
        return ""
    if len(known) >= MANY and n_distinct > DISTINCT_SHARE * len(known):
        mean_words = float(str(known.str.count_matches(r"\S+").mean()))
        n_words = words_of_cells(known).explode().n_unique()
        if n_words <= DISTINCT_SHARE * len(known):
            return ""  # lists of few words, hardly any two alike
        is_text = mean_words >= MEAN_WORDS_OF_TEXT
        return _TEXT if is_text else "says something else of every item, so it is not read"
    if n_distinct > MAX_VALUES:
        return f"has {n_distinct:,} different values, {MAX_VALUES:,} allowed; group them in the table"
    return ""


def _is_numeric(known: pl.Series) -> bool:
    return float(str(_numbers(known).is_not_null().mean())) >= NUMERIC_SHARE


def _typed(told: pl.Series) -> tuple[pl.Series, str, int]:
    """Return the values, their kind in words, and how many cannot be read."""
    known = told.drop_nulls()
    spelled = set(known.str.to_lowercase().unique())
    if len(spelled) == 2 and len(spelled & _YES) == len(spelled & _NO) == 1:
        return told.str.to_lowercase().is_in(_YES).set(told.is_null(), None), "flag", 0
    if _is_numeric(known):
        numbers = _numbers(told)
        return numbers, "number", numbers.null_count() - told.null_count()
    return words_of_cells(told), "words", 0


def _numbers(told: pl.Series) -> pl.Series:
    """Read numbers; a value with a unit (500 g) is a word, since another one may have another unit."""
    written = number_format(told.drop_nulls().head(1_000))
    is_bare = told.str.contains(r"^[-+]?[\d.,'\s]*\d[\d.,]*(?:[eE][-+]?\d+)?%?$")
    frame = told.alias("cell").to_frame()
    read = frame.select(number(pl.col("cell"), written)).to_series()
    return read.set(~is_bare.fill_null(False) | ~read.is_finite().fill_null(False), None).cast(pl.Float32)


def words_of(cell: str) -> list[str]:
    """Return the distinct words of a cell, sorted: the members of a set; of a path, itself and all that lead to it.

    `Oak | Pine`, `Oak; Pine` and `["Oak", "Pine"]` are sets, `Home > Light > Lamps` is a path. At most `MAX_WORDS`
    count, each cut after `MAX_CHARACTERS`.
    """
    if cell.startswith("[") and cell.endswith("]"):
        members = [member.strip(" '\"") for member in cell[1:-1].split("," if "," in cell else "|")]
    else:
        members = re.split(_BETWEEN, cell)
    return with_wider_steps(members[:MAX_WORDS], max_characters=MAX_CHARACTERS)


def with_wider_steps(members: Iterable[str], *, max_characters: int) -> list[str]:
    """Return members and, of a path, all that lead to it, sorted, each once and cut after so many characters."""
    words = set[str]()
    for member in members:
        steps = [step for step in re.split(_STEP, member.strip()) if step]
        words.update(" > ".join(steps[: length + 1])[:max_characters] for length in range(len(steps)))
    return sorted(words)


def words_of_cells(told: pl.Series, read: Callable[[str], list[str]] = words_of) -> pl.Series:
    """Return each cell's words, a List(String) column; null stays null. read: of one cell."""
    by_cell = {cell: read(cell) for cell in told.drop_nulls().unique()}
    return pl.Series([None if cell is None else by_cell[cell] for cell in told], dtype=pl.List(pl.String))
