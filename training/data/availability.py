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
"""What such a column is called, in any case, with spaces or hyphens for the underscores; the first that is there."""

AVAILABLE = (
    *("yes", "y", "true", "t", "on", "available", "active", "enabled", "published", "instock", "lowstock"),
    *("instoreonly", "onlineonly", "limitedavailability", "preorder", "presale", "backorder", "onbackorder"),
    "madetoorder",
)
UNAVAILABLE = (
    *("no", "n", "false", "f", "off", "unavailable", "notavailable", "inactive", "disabled", "unpublished"),
    *("draft", "archived", "hidden", "deleted", "outofstock", "soldout", "discontinued", "reserved"),
)
"""Both without case, spaces, hyphens and underscores. schema.org/ItemAvailability is among them: what can be ordered,
later or elsewhere too, is available."""

_SCHEMA_ORG = r"^(?:https?://)?(?:www\.)?schema(?:\.org)?[/:]"


def availability_column(found: Sequence[str]) -> str | None:
    """The column of a table that says it by its name, None where there is none."""
    plain = {column.strip().lower().replace(" ", "_").replace("-", "_"): column for column in reversed(found)}
    return next((plain[name] for name in NAMES if name in plain), None)


def is_available(column: str) -> pl.Expr:
    """Whether a cell says that the item is available; null where it is empty or cannot be read.

    A number is how many there are: more than none is available.
    """
    text = _text(column).str.to_lowercase().str.replace(_SCHEMA_ORG, "").str.replace_all(r"[\s_-]", "")
    number = _text(column).cast(pl.Float64, strict=False)
    return (
        pl.when(number.is_not_nan())
        .then(number > 0)
        .when(text.is_in(AVAILABLE))
        .then(pl.lit(True))
        .when(text.is_in(UNAVAILABLE))
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
