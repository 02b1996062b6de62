"""Reading whether an item may be recommended, as shops write it: yes and no, numbers in stock, schema.org's words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

NAMES = (
    *("available", "is_available", "item_available", "availability", "in_stock", "is_in_stock", "instock"),
    *(
        "stock_status",
        "for_sale",
        "is_active",
        "active",
        "is_published",
        "published",
        "is_enabled",
        "enabled",
    ),
)
"""What such columns are called, in any case, with spaces or hyphens for the underscores."""

AVAILABLE = (
    *("yes", "y", "true", "t", "on", "available", "active", "enabled", "published", "instock", "lowstock"),
    *("ja", "oui", "si", "sí", "sim"),
    *("instoreonly", "onlineonly", "limitedavailability", "preorder", "presale", "backorder", "onbackorder"),
    "madetoorder",
)
UNAVAILABLE = (
    *("no", "n", "false", "f", "off", "unavailable", "notavailable", "inactive", "disabled", "unpublished"),
    *(
        "draft",
        "archived",
        "hidden",
        "deleted",
        "reserved",
        "sold",
        "retired",
        "expired",
        "removed",
        "nostock",
    ),
    *("nein", "non", "nee", "nao", "não"),
)
"""Both without case, spaces, hyphens and underscores. schema.org/ItemAvailability is among them: what can be ordered,
later or elsewhere too, is available."""

_SAYS_NO = r"^not|outofstock|unavailable|soldout|discontinued"
"""In a longer text: temporarily out of stock, currently unavailable, not for sale."""

_SCHEMA_ORG = r"^(?:https?://)?(?:www\.)?schema(?:\.org)?[/:]"
_NUMBER = r"^([+-]?\d+(?:[.,]\d+)?(?:e[+-]?\d+)?)\s*(?:units?|pieces?|pcs?\.?|items?|stk\.?|left|in stock)?$"


def availability_columns(found: Sequence[str]) -> tuple[str, ...]:
    """The columns of a table that say it by their names, in the table's order."""
    return tuple(
        column for column in found if column.strip().lower().replace(" ", "_").replace("-", "_") in NAMES
    )


def is_available(column: str) -> pl.Expr:
    """Whether a cell says that the item is available; null where it is empty or cannot be read.

    A number is how many there are: more than none is available.
    """
    cell = _text(column).str.to_lowercase()
    text = cell.str.replace(_SCHEMA_ORG, "").str.replace_all(r"[\s_-]|[./!]+$", "")
    number = cell.str.extract(_NUMBER, 1).str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    return (
        pl.when(number.is_not_null())
        .then(number > 0)
        .when(text.is_in(AVAILABLE))
        .then(pl.lit(True))
        .when(text.is_in(UNAVAILABLE) | text.str.contains(_SAYS_NO))
        .then(pl.lit(False))
    )


def all_available(columns: Iterable[str]) -> pl.Expr:
    """Available by every one of these columns, each of which counts as yes where it says nothing."""
    return pl.all_horizontal(pl.lit(True), *(is_available(column).fill_null(True) for column in columns))


def is_unreadable(columns: Iterable[str]) -> pl.Expr:
    """Whether one of these columns holds something, and not something that says yes or no."""
    said = (_text(column) != "" for column in columns)
    read = (is_available(column).is_not_null() for column in columns)
    return pl.any_horizontal(pl.lit(False), *(one & ~other for one, other in zip(said, read, strict=True)))


def _text(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.String).fill_null("").str.strip_chars()
