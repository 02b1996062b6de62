"""Read whether an item may be recommended, as shops write it: yes and no, numbers in stock, schema.org's terms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

NAMES = (
    *("available", "is_available", "item_available", "availability", "in_stock", "is_in_stock", "instock"),
    *("verfügbar", "lieferbar", "disponible", "disponibile"),
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
"""Names of such columns, in any case, and with spaces or hyphens instead of underscores."""

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
"""Values for yes and for no, compared without case, spaces, hyphens and underscores. schema.org/ItemAvailability is
included: what can be ordered, even later or elsewhere, is available."""

_SAYS_NO = r"^not|outofstock|unavailable|soldout|discontinued"
"""Phrases for no within a longer text, such as: temporarily out of stock, currently unavailable, not for sale."""

_SCHEMA_ORG = r"^(?:https?://)?(?:www\.)?schema(?:\.org)?[/:]"
_NUMBER = r"^([+-]?\d+(?:[.,]\d+)?(?:e[+-]?\d+)?)\s*(?:units?|pieces?|pcs?\.?|items?|stk\.?|left|in stock)?$"


def availability_columns(found: Sequence[str]) -> tuple[str, ...]:
    """Return the columns whose names say that they hold availability, in the table's order."""
    return tuple(
        column for column in found if column.strip().lower().replace(" ", "_").replace("-", "_") in NAMES
    )


def is_available(column: str) -> pl.Expr:
    """Whether a cell says that the item is available; null if it is empty or cannot be read.

    A number is a stock count: more than 0 is available.
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
    """Whether all of these columns say that the item is available; a cell that says nothing counts as yes."""
    return pl.all_horizontal(pl.lit(True), *(is_available(column).fill_null(True) for column in columns))


def is_unreadable(columns: Iterable[str]) -> pl.Expr:
    """Whether one of these columns holds a value that cannot be read as yes or no."""
    said = (_text(column) != "" for column in columns)
    read = (is_available(column).is_not_null() for column in columns)
    return pl.any_horizontal(pl.lit(False), *(one & ~other for one, other in zip(said, read, strict=True)))


def _text(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.String).fill_null("").str.strip_chars()
