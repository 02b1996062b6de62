"""Map a shop's own column names to Stillroom's, and read the mapping from a command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from training.base.errors import SettingsInvalid

_SEVERAL = ("item_text", "item_category", "item_available", "item_attributes")


@dataclass(frozen=True)
class ColumnMapping:
    """The names of the shop's columns, by what they hold; what is not named is found by its usual names."""

    user_id: str | None = None
    item_id: str | None = None
    time: str | None = None
    kind: str | None = None
    """Words for what a person did: view, click, cart, purchase, rating, removal, return, and their usual synonyms."""
    value: str | None = None
    """A rating or an amount of money. Without this column every row has the value 1."""
    quantity: str | None = None
    """How many were bought; below 0 are returns."""
    status: str | None = None
    """The state of an order; refunded, voided and cancelled ones are returns."""
    items_item_id: str | None = None
    item_title: str | None = None
    item_text: tuple[str, ...] = ()
    """Columns with useful text; they are joined after the title."""
    item_category: tuple[str, ...] = ()
    item_price: str | None = None
    item_available: tuple[str, ...] = ()
    """Columns that say whether an item may be recommended, which all of them must allow."""
    item_attributes: tuple[str, ...] = ()
    """Columns that say something else of an item: brand, size, material. Without this, all that may be are read."""


def parse_columns(text: str) -> ColumnMapping | None:
    """Read `user_id=customer,item_text=name+description` into a mapping; an empty text is no mapping.

    Raises `SettingsInvalid`, naming the fields that can be mapped.
    """
    if not text:
        return None
    names = {field.name for field in fields(ColumnMapping)}
    chosen: dict[str, Any] = {}
    for part in text.split(","):
        name, _, column = (piece.strip() for piece in part.partition("="))
        if name not in names or not column:
            raise SettingsInvalid(f"{part!r} maps nothing: write field=column, field one of {sorted(names)}.")
        chosen[name] = tuple(column.split("+")) if name in _SEVERAL else column
    return ColumnMapping(**chosen)


def uses_by_column(roles: Mapping[str, Sequence[str] | str | None]) -> dict[str, list[str]]:
    """Invert roles, from use to column or columns, into the uses of each column, which may have several."""
    uses: dict[str, list[str]] = {}
    for use, columns in roles.items():
        for column in [columns] if isinstance(columns, str) else columns or ():
            uses.setdefault(column, []).append(use)
    return uses
