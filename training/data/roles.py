"""Find what each column of a table is for: by the names that a person gave, by usual names, or by what is in it."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Final

import polars as pl

from models.removals import RETURN
from training.base.errors import ColumnMissing
from training.data.column_mapping import ColumnMapping
from training.data.files.dialect import plain_name
from training.data.files.tables import Table
from training.data.meaning import names
from training.data.meaning.attributes import may_be_attribute
from training.data.meaning.availability import availability_columns
from training.data.meaning.kinds import code_of
from training.data.meaning.missing import cleaned
from training.data.meaning.names import all_named, named
from training.data.meaning.times import (
    EARLIEST_SECONDS,
    TimeFormat,
    clock_seconds,
    detect_time_format,
    unix_seconds,
)

MOSTLY: Final = 0.6
"""The share of a column's first values that must be what its name says."""
MAX_LETTERS: Final = 8
"""The most different values of a column of kinds that are single letters."""
MIN_ROWS: Final = 50
"""Rows below which the number of different values says nothing."""
MAX_KINDS: Final = 50
"""The most different words of a column of kinds."""


@dataclass(frozen=True)
class EventRoles:
    """The columns of a table of events; None where there is none. item_id: the first that is not empty counts.

    clock: the time of day, where the time is a date alone. is_rating: whether the value is a rating, by its name.
    """

    user_id: str
    item_id: tuple[str, ...]
    time: str | None = None
    kind: str | None = None
    value: str | None = None
    quantity: str | None = None
    status: str | None = None
    order: str | None = None
    clock: str | None = None
    is_rating: bool = False

    def of_events(self) -> tuple[str | None, ...]:
        """Return the columns that say something of an event and nothing of its item."""
        own = (self.user_id, self.time, self.clock, self.kind, self.value, self.quantity, self.status)
        return (*own, self.order)

    @property
    def n_found(self) -> int:
        """How much the table tells of an event."""
        return sum(each is not None for each in (self.time, self.kind, self.value, self.quantity))


@dataclass(frozen=True)
class ItemRoles:
    """The columns of a table of items. texts: joined after the title. available: all of them must allow an item.

    parent: the column that variants of one item share; a variant inherits what its first row says. attributes: those
    that may say something else of an item; words that are joined to the text may be among them.
    are_attributes_named: whether a person named them.
    """

    item_id: tuple[str, ...]
    title: str | None = None
    texts: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    price: str | None = None
    available: tuple[str, ...] = ()
    parent: str | None = None
    attributes: tuple[str, ...] = ()
    are_attributes_named: bool = False

    @property
    def n_found(self) -> int:
        """How much the table tells of an item."""
        return (
            2 * (self.title is not None) + bool(self.texts) + bool(self.categories) + (self.price is not None)
        )


def event_roles(table: Table, mapping: ColumnMapping) -> EventRoles | None:
    """Find the roles of a table of events; None if it names no person or no item.

    Raises ColumnMissing if the mapping names a column that is not there.
    """
    if not table.has_header and mapping.user_id is None and mapping.item_id is None:
        return _by_content(table)
    own = [column for column in (mapping.user_id, mapping.item_id, mapping.time, mapping.kind) if column]
    require_columns(
        table, [*own, *(column for column in (mapping.value, mapping.quantity, mapping.status) if column)]
    )
    free = [column for column in table.columns if column not in own]
    user = mapping.user_id or named(free, names.USER) or _column_of_emails(table, free)
    items = (
        [mapping.item_id]
        if mapping.item_id
        else [each for each in all_named(free, names.ITEM) if each != user]
    )
    if user is None or not items:
        return None
    free = [column for column in free if column not in (user, items[0])]
    time = mapping.time or _time_column(table, all_named(free, names.TIME))
    if time is None:
        time = next((each for each in free if _is_named_as_time(each) and _holds_moments(table, each)), None)
    named_kinds = [each for each in all_named(free, names.KIND) if each != time]
    others = [each for each in free if each not in (*named_kinds, time)]
    kind = mapping.kind or _kind_column(table, named_kinds) or _column_of_kinds(table, others)
    free = [column for column in free if column not in (time, kind)]
    value = mapping.value or named(free, names.VALUE)
    return EventRoles(
        user,
        (items[0], *_fallbacks([*items, *(each for each in free if "." in each and each not in items)])),
        time,
        kind,
        value,
        mapping.quantity or named([each for each in free if each != value], names.QUANTITY),
        mapping.status or named(free, names.STATUS),
        _order_column([each for each in free if each != value]),
        clock=None if mapping.time else _clock_column(table, time),
        is_rating=value is not None and _is_named_as_rating(value),
    )


def item_roles(
    table: Table,
    mapping: ColumnMapping,
    known_ids: pl.Series | None = None,
    *,
    taken: Sequence[str | None] = (),
    is_named: bool = False,
) -> ItemRoles | None:
    """Find the roles of a table of items; None if it names no item, or nothing about it.

    known_ids: ids of events; of several columns of ids, the one that meets most of them is taken.
    is_named: a person said that this is a table of items, so one with nothing but ids is one, too.
    taken: columns that say something of an event.
    Raises ColumnMissing if the mapping names a column that is not there.
    """
    wanted = [mapping.items_item_id, mapping.item_title, mapping.item_price, *mapping.item_text]
    wanted += [*mapping.item_category, *mapping.item_available, *mapping.item_attributes]
    require_columns(table, [column for column in wanted if column])
    own = {column for column in wanted if column}
    candidates = (
        [mapping.items_item_id]
        if mapping.items_item_id
        else all_named(table.columns, names.ITEM_ROLES["items_item_id"])
    )
    if mapping.item_id in table.columns and mapping.item_id not in candidates:
        candidates = [*candidates, mapping.item_id]  # as the events call it
    if not candidates:
        return None
    item = candidates[0] if known_ids is None else _meeting(table, candidates, known_ids)
    free = [column for column in table.columns if column not in {item, *own, *taken}]
    beside = [column for column in free if _path(column) == _path(item)]
    free = (
        beside if beside and _path(item) else free
    )  # context.page.title is no title of properties.product_id
    titles = [each for each in all_named(free, names.TITLE) if not _is_numeric(table, each)]
    described = [each for each in all_named(free, names.DESCRIPTION) if not _is_numeric(table, each)]
    title = mapping.item_title or (titles[0] if titles else None)
    if title is None:
        title = next((each for each in free if _is_name_of(each, item)), None)
    if title is None and described and not mapping.item_text:
        title = described[0]
    free = [column for column in free if column != title]
    words = [
        each for each in all_named(free, (*names.DESCRIPTION, *names.WORDS)) if not _is_numeric(table, each)
    ]
    categories = mapping.item_category or _worded(table, all_named(free, names.CATEGORY))
    texts = mapping.item_text or tuple(each for each in words if each not in categories)
    price = mapping.item_price or named(free, names.PRICE)
    available = mapping.item_available or availability_columns(table.columns)
    parent = named([column for column in table.columns if column != item], names.PARENT)
    attributes = mapping.item_attributes or _attributes(free, {price, parent, *available, *categories})
    roles = ItemRoles(
        (item,),
        title,
        texts,
        categories,
        price,
        tuple(available),
        parent,
        attributes,
        are_attributes_named=bool(mapping.item_attributes),
    )
    return roles if roles.n_found or own or is_named else None


def _attributes(free: Sequence[str], used: Set[str | None]) -> tuple[str, ...]:
    """Return the columns that may be attributes: those without another use, and those whose words join the text."""
    described = all_named(free, names.DESCRIPTION)
    return tuple(each for each in free if each not in (*used, *described) and may_be_attribute(each))


def _path(column: str) -> str:
    return column.rpartition(".")[0]


def require_columns(table: Table, needed: list[str]) -> None:
    """Raise `ColumnMissing`, naming what is missing and what is there."""
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise ColumnMissing(
            f"{table.name} has no column {', '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, table.columns))}. Name the right ones with --columns field=column,field=column."
        )


def sample_text(table: Table, column: str) -> pl.Series:
    """Return the first values of a column as text, without those that are missing."""
    return texts_of(table.sample, column).drop_nulls()


def all_texts(table: Table, column: str) -> pl.Series:
    """Return the distinct values of a whole column as text."""
    return table.select(
        lambda part: [
            (pl.col(column) if column in part.columns else pl.lit(None))
            .cast(pl.String)
            .str.strip_chars()
            .alias(column)
        ]
    )[column].unique()


def texts_of(frame: pl.DataFrame, column: str) -> pl.Series:
    """Return a column as cleaned text; null where it cannot be text."""
    series = frame[column]
    if series.dtype == pl.Binary or series.dtype.is_nested():
        return pl.Series(column, [None] * len(series), pl.String)
    return frame.select(cleaned(pl.col(column).cast(pl.String, strict=False))).to_series()


def _order_column(columns: list[str]) -> str | None:
    """Return the column of order numbers; `name` is one beside the columns of lines, as Shopify exports them."""
    has_lines = any(plain_name(column).startswith("lineitem_") for column in columns)
    found = named(columns, names.ORDER)
    return found if found is None or has_lines or plain_name(found.rpartition(".")[2]) != "name" else None


def _fallbacks(items: list[str]) -> list[str]:
    """Keep what may stand in for an empty id: the name of an order's line, or an id that is nested elsewhere."""
    first = plain_name(items[0].rpartition(".")[2])
    return [
        each
        for each in dict.fromkeys(items[1:])
        if plain_name(each) == "lineitem_name"
        or ("." in each and plain_name(each.rpartition(".")[2]) == first)
    ]


def _time_column(table: Table, candidates: list[str]) -> str | None:
    """Return the first candidate that holds times, or places in an order."""
    best: tuple[float, str] | None = None
    for column in candidates:
        if table.sample[column].dtype in (pl.Time, pl.Duration):
            continue  # a time of day, beside a date
        share, is_time = _time_share(table, column)
        if is_time and share >= MOSTLY:
            return column
        if best is None or share > best[0]:
            best = share, column
    return best[1] if best is not None else None


def _clock_column(table: Table, time: str | None) -> str | None:
    """Return the column of times of day beside a column of dates that have none."""
    if time is None or not _are_dates_alone(table, time):
        return None
    for column in all_named(table.columns, names.CLOCK):
        told = sample_text(table, column).rename("clock")
        read = told.to_frame().select(clock_seconds(pl.col("clock"))).to_series()
        if column != time and len(told) and read.null_count() <= (1 - MOSTLY) * len(told):
            return column
    return None


def _are_dates_alone(table: Table, time: str) -> bool:
    if table.sample[time].dtype.is_temporal():
        return table.sample[time].dtype == pl.Date
    return bool(sample_text(table, time).str.contains(r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\.?$").all())


def _time_share(table: Table, column: str) -> tuple[float, bool]:
    """Return the share of the first values that are times, and whether these are moments and no mere places."""
    if table.sample[column].dtype.is_temporal():
        return 1.0, True
    told = sample_text(table, column)
    if told.is_empty():
        return 0.0, False
    found = detect_time_format(told)
    if found is TimeFormat.DAY_OR_MONTH:
        return 1.0, True
    seconds = told.alias("t").to_frame().select(unix_seconds("t", found)).to_series()
    readable = seconds.is_not_null().mean() or 0.0
    return float(readable), found is not TimeFormat.ORDER  # type: ignore[arg-type]  # polars types any mean


def _kind_column(table: Table, candidates: list[str]) -> str | None:
    """Return the first candidate with few different words, some of which are known kinds, or numbers."""
    for column in candidates:
        told = sample_text(table, column)
        words = told.unique()
        if told.is_empty() or len(words) > MAX_KINDS:
            continue
        n_known = sum(code_of(word) is not None for word in words)
        if n_known or plain_name(column) != "type":
            return column
    return None


def _column_of_emails(table: Table, candidates: list[str]) -> str | None:
    """Return a column whose cells are addresses of people, whatever its name."""
    for column in candidates:
        told = sample_text(table, column)
        if (
            not told.is_empty()
            and float(str(told.str.contains(r"^[^@\s]+@[^@\s]+\.[^@\s]+$").mean())) > 1 - MOSTLY / 2
        ):
            return column
    return None


def _is_name_of(column: str, item: str) -> bool:
    """Whether a column is the name beside an id: place_name beside place_id."""
    stem = plain_name(item).removesuffix("_id").removesuffix("_no").removesuffix("_code")
    return plain_name(column) in (f"{stem}_name", f"{stem}_title")


def _is_named_as_rating(column: str) -> bool:
    """Whether a column of values is one of ratings: stars, or place_ratings, and no avg_rating."""
    plain = plain_name(column.rpartition(".")[2])
    is_mean = not {"avg", "average", "mean"}.isdisjoint(plain.split("_"))
    return not is_mean and (plain in names.RATING or plain.split("_")[-1] in names.RATING)


def _is_named_as_time(column: str) -> bool:
    words = plain_name(column).split("_")
    return any(word in ("at", "on", "date", "time", "datum", "zeit", "timestamp", "ts") for word in words)


def _column_of_kinds(table: Table, candidates: list[str]) -> str | None:
    """Return a column that holds words for kinds, whatever its name: most of its few words are known, two or more."""
    for column in candidates:
        words = sample_text(table, column).unique()
        n_known = sum(code_of(word) not in (None, RETURN) for word in words)
        if n_known >= 2 and len(words) <= 2 * n_known:
            return column
    return None


def _meeting(table: Table, candidates: list[str], known_ids: pl.Series) -> str:
    """Return the column of which the largest share of values is among the known ids; the first of equals."""
    shares = {
        column: float(told.is_in(known_ids.implode()).mean() or 0.0)  # type: ignore[arg-type]
        for column in candidates
        if not (told := sample_text(table, column).str.strip_suffix(".0")).is_empty()
    }
    return max(shares, key=lambda column: shares[column]) if shares else candidates[0]


def _worded(table: Table, columns: list[str]) -> tuple[str, ...]:
    """Keep the columns with words; numbers of categories only where there are no words."""
    worded = tuple(column for column in columns if not _is_numeric(table, column))
    return worded or tuple(columns[:1])


def _is_numeric(table: Table, column: str) -> bool:
    told = sample_text(table, column)
    return not told.is_empty() and bool(told.cast(pl.Float64, strict=False).is_not_null().all())


def _by_content(table: Table) -> EventRoles | None:
    """Find the roles in a table without names: the time, kinds and ratings by what they are, then person and item."""
    free = list(table.columns)
    time = next((column for column in free if _holds_moments(table, column)), None)
    free = [column for column in free if column != time]
    kind = next((column for column in free if _holds_kinds(table, column)), None)
    free = [column for column in free if column != kind and _may_be_ids(table, column)]
    if len(free) < 2:
        return None
    rest = [column for column in table.columns if column not in (time, kind, *free[:2])]
    rating = next((column for column in rest if _holds_ratings(table, column)), None)
    return EventRoles(
        free[0],
        (free[1],),
        time,
        kind,
        rating if kind is None else None,
        is_rating=kind is None and rating is not None,
    )


def _holds_moments(table: Table, column: str) -> bool:
    told = sample_text(table, column)
    if told.is_empty():
        return False
    found = detect_time_format(told)
    if found in (TimeFormat.ORDER, TimeFormat.EXCEL_DAYS, TimeFormat.DAY_OR_MONTH):
        return found is TimeFormat.DAY_OR_MONTH
    seconds = told.alias("t").to_frame().select(unix_seconds("t", found)).to_series()
    return float((seconds > EARLIEST_SECONDS).fill_null(False).mean() or 0) >= MOSTLY  # type: ignore[arg-type]


def _holds_kinds(table: Table, column: str) -> bool:
    """Whether a column holds known words for kinds, or single letters, which stand for kinds that are asked about."""
    told = sample_text(table, column)
    words = told.unique()
    are_letters = (
        1 < len(words) <= MAX_LETTERS and len(told) >= MIN_ROWS and words.str.contains(r"^\p{L}$").all()
    )
    return 0 < len(words) <= MAX_KINDS and (
        bool(are_letters) or all(code_of(word) is not None for word in words)
    )


def _may_be_ids(table: Table, column: str) -> bool:
    """Whether a column may hold ids: no times of day, and not one value or a handful in many rows."""
    told = sample_text(table, column)
    if told.is_empty():
        return False
    is_clock = float(str(told.str.contains(r"^\d{1,2}:\d{2}(:\d{2})?$").mean()))
    return is_clock < MOSTLY and (len(told) < MIN_ROWS or told.n_unique() > MAX_LETTERS)


def _holds_ratings(table: Table, column: str) -> bool:
    numbers = sample_text(table, column).cast(pl.Float64, strict=False)
    distinct = numbers.unique()
    is_small = (
        numbers.null_count() == 0 and 1 < len(distinct) <= 21 and bool(distinct.is_between(0, 10).all())
    )
    # Quantities are small numbers too, and most of them are 1; few ratings are.
    return is_small and float(str((numbers == 1).mean())) < MOSTLY
