"""Map a shop's own column names to Stillroom's, and read the mapping from a command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from models.history import EventKind
from training.base.errors import SettingsInvalid


@dataclass(frozen=True)
class ColumnMapping:
    """The names of the shop's columns, by what they hold; the defaults are Stillroom's own names.

    Columns for kind, value, item_title, item_text, item_category and item_price may be absent if the name is the
    default; a column that is named here must be there.
    """

    user_id: str = "user_id"
    item_id: str = "item_id"
    time: str = "time"
    """Unix seconds, Unix milliseconds, ISO 8601 text, or a date type of Parquet; detected from the values."""
    kind: str = "kind"
    """`EventKind` names in any case, or codes. Without this column every row is of `default_kind`."""
    value: str = "value"
    """A rating or an amount of money. Without this column every row has the value 1."""
    items_item_id: str = "item_id"
    item_title: str = "title"
    item_text: tuple[str, ...] = ("text",)
    """Columns with useful text; they are joined after the title."""
    item_category: str = "category"
    item_price: str = "price"
    item_available: tuple[str, ...] = ()
    """Columns that say whether an item may be recommended, which all of them must allow; if not given, those whose
    names are in `availability.NAMES`."""
    default_kind: EventKind = EventKind.PURCHASE


def parse_columns(text: str) -> ColumnMapping | None:
    """Read `user_id=customer,item_text=name+description` into a mapping; an empty text is no mapping.

    Raises `SettingsInvalid`, naming the fields that can be mapped.
    """
    if not text:
        return None
    names = {field.name for field in fields(ColumnMapping)} - {"default_kind"}
    chosen: dict[str, Any] = {}
    for part in text.split(","):
        name, _, column = (piece.strip() for piece in part.partition("="))
        if name not in names or not column:
            raise SettingsInvalid(f"{part!r} maps nothing: write field=column, field one of {sorted(names)}.")
        chosen[name] = tuple(column.split("+")) if name in ("item_text", "item_available") else column
    return ColumnMapping(**chosen)


def optional_column(column: str, default: str, found: Sequence[str]) -> str | None:
    """Return the column, or None if it is absent and the mapping did not name it explicitly."""
    return None if column == default and column not in found else column


def uses_by_column(roles: Mapping[str, Sequence[str] | str | None]) -> dict[str, list[str]]:
    """Invert roles, from use to column or columns, into the uses of each column, which may have several."""
    uses: dict[str, list[str]] = {}
    for use, columns in roles.items():
        for column in [columns] if isinstance(columns, str) else columns or ():
            uses.setdefault(column, []).append(use)
    return uses
