"""Read a shop's table of events, whatever it is written in, as clean events; each row left out has a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from time import time as now
from typing import Final

import numpy as np
import polars as pl

from models.history import EventKind
from models.removals import RETURN
from training.base.errors import SettingsInvalid, SourceUnreadable
from training.data.cleaning import drop_bad_rows, first_bad_rows, id_reasons
from training.data.column_mapping import uses_by_column
from training.data.columns import uses_of
from training.data.files.tables import SURPLUS, Part, Table
from training.data.ids import id_text, without_shared_zeros, without_thousands
from training.data.kind_words import UNSEEN, KindWords
from training.data.meaning.kinds import DROP
from training.data.meaning.numbers import NumberFormat, number, number_format
from training.data.meaning.times import (
    EARLIEST_SECONDS,
    TimeFormat,
    clock_seconds,
    detect_time_format,
    made_up_times,
    unix_seconds,
)
from training.data.options import ReadingOptions
from training.data.removals import arrival_columns, arrivals
from training.data.returns import SENT_BACK, with_sent_back
from training.data.roles import EventRoles, all_texts, sample_text
from training.data.shop import DropReport
from training.quality.figures import ColumnUse

BLANK = "blank line"
RETURNED = "return or refund"
LEFT_OUT = "kind left out on purpose"
REPEATED = "exact repetition of another row"
ON_PURPOSE = frozenset({BLANK, RETURNED, LEFT_OUT, REPEATED})
"""Reasons for which rows are left out as they should be, however many there are."""
_BACK: Final = (
    r"(?:refund(?:ed|s)?|void(?:ed)?|cancell?(?:ed|ation)?|return(?:ed|s)?|chargeback|charged back|storn\w*"
    r"|\w*erstattet|retour\w*|anulad\w*|devuel\w*|devolu\w*|rembours\w*|reembols\w*|annul\w*)"
)
_RETURNED: Final = rf"\b{_BACK}\b"
_NOT_RETURNED: Final = (
    rf"\b(?:not|no|non|never|nicht|kein\w*|pas|sin)\s+(?:yet\s+)?{_BACK}\b|\b(?:partial|teil|parcial)"
)
"""What turns it round; of an order that is refunded in part it is not known which line went back, and most stay."""
UNRATED: Final = "rating that is no number, taken for none"
MAX_RUNS: Final = 1.05
"""The runs of rows a person up to which rows are grouped by person; a few people may come twice."""
MIN_RUN: Final = 2
"""The mean number of rows a person from which runs tell anything."""
_PLACES = (TimeFormat.ORDER, TimeFormat.ROWS)


@dataclass(frozen=True)
class EventsRead:
    """Clean events and what was found on the way.

    rows: user_id, item_id, time, kind, value and arrival; kind is an `EventKind` code or `REMOVAL`.
    kinds: the number of rows by the table's own words for kinds. meanings: what each word is taken for, or "".
    are_made_up: whether the file has an order and no times.
    """

    rows: pl.DataFrame
    dropped: DropReport
    time_format: str
    columns: tuple[ColumnUse, ...]
    kinds: Mapping[str, int]
    meanings: Mapping[str, str]
    are_made_up: bool = False


def read_events(
    table: Table, roles: EventRoles, options: ReadingOptions, default_kind: EventKind
) -> EventsRead:
    """Read a table of events by its roles.

    default_kind: of every row, if the table has no kinds. Raises SourceUnreadable where the table cannot say what is
    needed, naming the option that can.
    """
    time_format = find_time_format(table, roles, options)
    written = {
        each: number_format(sample_text(table, each)) for each in (roles.value, roles.quantity) if each
    }
    words = KindWords.of(table, roles.kind, options)
    formats: dict[tuple[Path, str], TimeFormat | str] = {}

    def read() -> pl.DataFrame:
        return table.select(
            lambda part: _expressions(
                part, roles, formats.get((part.path, part.sheet), time_format), written, words
            )
        )

    rows = read()
    # What the first rows do not show is looked for in all of them, and they are read once more.
    has_unseen = roles.kind is not None and bool((rows["word"] == UNSEEN).any())
    has_unread = NumberFormat.PLAIN in written.values() and (
        bool((rows["is_valued"] & rows["value"].is_null()).any())
        or ("quantity" in rows.columns and rows["quantity"].null_count() > 0)
    )
    whole = {each: _number_format(table, each) for each in written} if has_unread else written
    if options.time_format is None and len(table.parts) > 1 and rows["time"].null_count():
        formats = _formats_of_parts(table, roles, time_format)
    if has_unseen or whole != written or formats:
        if has_unseen and roles.kind is not None:
            words = words.with_more(_all_words(table, roles.kind), options)
        written = whole
        rows = read()
    kinds: dict[str, int] = {}
    if roles.kind is not None:
        has_ids = pl.col("user_id").is_not_null() & pl.col("item_id").is_not_null()
        is_whole = rows["user_id"].null_count() + rows["item_id"].null_count() == 0
        kinds = words.counted((rows if is_whole else rows.filter(has_ids))["word"])
    require_used_kinds(table, roles, options, kinds)
    rows = rows.with_columns(kind=words.kinds(rows["word"], None if roles.kind else default_kind))
    rows = without_thousands(without_shared_zeros(rows, "user_id", "item_id"), "user_id", "item_id")
    is_grouped = time_format is TimeFormat.ROWS and _are_grouped(rows["user_id"])
    if time_format is TimeFormat.ROWS:
        # Over all parts, one after the other. Where each person's rows stand together, only their own order is told.
        place = pl.int_range(pl.len(), dtype=pl.Int64)
        rows = rows.with_columns(time=place)
        if is_grouped:
            rows = rows.with_columns(time=pl.col("time") - pl.col("time").max().over("user_id"))
    if time_format in _PLACES:
        rows = rows.with_columns(time=made_up_times(rows["time"]))
    rows, n_sent_back = with_sent_back(
        rows, _is_return(has_quantity=roles.quantity is not None), _is_usable()
    )
    kept, dropped = drop_bad_rows(rows, drop_reasons())
    dropped = dropped.with_examples(_examples(table, roles, rows, dropped))
    kept, n_unrated = _without_unrated(kept) if roles.is_rating else (kept, 0)
    is_number = pl.col("value").is_finite().fill_null(False)
    n_wrong = kept.select((pl.col("is_valued") & ~is_number).sum()).item()  # an empty value is not wrong
    kept = kept.select(
        *("user_id", "item_id", "time", "kind"),
        # A rating without a number speaks for its item; 1 would be the worst on many scales.
        value=pl.when(is_number)
        .then("value")
        .when(pl.col("kind") != EventKind.RATING)
        .then(1.0)
        .cast(pl.Float32),
        arrival="arrival",
    )
    kept, n_repeated = _without_repetitions(kept)
    return EventsRead(
        kept,
        dropped.without(REPEATED, n_repeated).with_notes(
            {
                UNRATED if roles.is_rating else "value that is no number, taken as 1": n_wrong,
                "rating of -1, which stands for none on a scale above 0": n_unrated,
                SENT_BACK: n_sent_back,
            }
        ),
        "the order of each person's rows, which stand together; all end at one moment"
        if is_grouped
        else " and ".join(
            each.words if isinstance(each, TimeFormat) else each
            for each in dict.fromkeys((time_format, *formats.values()))
        ),
        _uses(table, roles),
        kinds or {default_kind.name.lower(): dropped.n_read},
        words.meanings() or {default_kind.name.lower(): default_kind.name.lower()},
        are_made_up=time_format in _PLACES,
    )


def _are_grouped(people: pl.Series) -> bool:
    """Whether the rows of each person stand together, so that the order of the rows is none of the shop's."""
    told = people.drop_nulls()
    n_runs = int((told != told.shift()).sum()) + 1
    n_people = told.n_unique()
    return n_people > 1 and n_runs <= n_people * MAX_RUNS and len(told) >= n_people * MIN_RUN


def require_used_kinds(
    table: Table, roles: EventRoles, options: ReadingOptions, kinds: Mapping[str, int]
) -> None:
    """Raise SettingsInvalid if a person says what a word means that no row has."""
    unused = [word for word in options.kinds if word.strip().lower() not in kinds]
    if not unused:
        return
    there = (
        f"its kinds in {roles.kind!r} are {', '.join(map(repr, kinds))}"
        if roles.kind
        else "it has no column of kinds"
    )
    raise SettingsInvalid(
        f"--kinds names {', '.join(map(repr, unused))}, which {table.name} does not have; {there}. Name the "
        "column with --columns kind=COLUMN."
    )


def find_time_format(table: Table, roles: EventRoles, options: ReadingOptions) -> TimeFormat | str:
    """Find how times are written, or take what a person says.

    Raises SourceUnreadable if there is no column of times, or if it does not tell days from months.
    """
    if options.time_format is not None:
        if options.time_format is not TimeFormat.ROWS and roles.time is None:
            raise _timeless(table)
        return options.time_format
    if roles.time is None:
        raise _timeless(table)
    if table.sample[roles.time].dtype.is_temporal():
        return TimeFormat.DATE_TYPE
    found = detect_time_format(sample_text(table, roles.time))
    if found is TimeFormat.DAY_OR_MONTH:
        found = detect_time_format(all_texts(table, roles.time))
    if found is TimeFormat.DAY_OR_MONTH and (both := _both_orders(table, roles.time)) is not None:
        first = detect_time_format(sample_text(Table(table.parts[0].path.name, table.parts[:1]), roles.time))
        if len(table.parts) > 1 and first is not TimeFormat.DAY_OR_MONTH:
            return first  # each file is looked at by itself
        raise SourceUnreadable(
            f"{table.name}: some times in {roles.time!r} begin with the day, such as {both[0]!r}, and others with "
            f"the month, such as {both[1]!r}. Write all alike, for example as 2024-12-31, or give each kind a file "
            "of its own."
        )
    if found is TimeFormat.DAY_OR_MONTH:
        example = next(iter(sample_text(table, roles.time)), "")
        raise SourceUnreadable(
            f"{table.name}: the times in {roles.time!r}, such as {example!r}, may begin with the day or with the "
            "month, and no row tells. Say which: --time-format day-first or --time-format month-first."
        )
    return found


def _both_orders(table: Table, column: str) -> tuple[str, str] | None:
    """Return a time that only begins with the day, and one that only begins with the month, if there are both."""
    told = all_texts(table, column).rename("t").to_frame()
    read = told.with_columns(
        day=unix_seconds("t", TimeFormat.DAY_FIRST), month=unix_seconds("t", TimeFormat.MONTH_FIRST)
    )
    day = read.filter(pl.col("day").is_not_null() & pl.col("month").is_null())["t"]
    month = read.filter(pl.col("month").is_not_null() & pl.col("day").is_null())["t"]
    return (day[0], month[0]) if len(day) and len(month) else None


def _formats_of_parts(
    table: Table, roles: EventRoles, usual: TimeFormat | str
) -> dict[tuple[Path, str], TimeFormat | str]:
    """Return the format of each file that writes times otherwise than most do; they are looked at one by one."""
    formats: dict[tuple[Path, str], TimeFormat | str] = {}
    for part in table.parts:
        if roles.time is None or roles.time not in part.columns or usual in _PLACES:
            continue
        own = Table(part.path.name, (part,))
        told = sample_text(own, roles.time)
        if told.is_empty() or own.sample[roles.time].dtype.is_temporal():
            continue
        found = detect_time_format(told)
        if found not in (usual, TimeFormat.DAY_OR_MONTH, *_PLACES):
            formats[part.path, part.sheet] = found
    return formats


def _timeless(table: Table) -> SourceUnreadable:
    return SourceUnreadable(
        f"{table.name} has no column of times; it has {', '.join(map(repr, table.columns))}. Name it with --columns "
        "time=COLUMN; if no column tells and the rows stand in the order in which they happened, say --time-format "
        "rows."
    )


def _number_format(table: Table, column: str) -> NumberFormat:
    return number_format(all_texts(table, column).drop_nulls().str.strip_chars())


def _all_words(table: Table, column: str) -> list[str]:
    """List the words of a whole column of kinds, the most frequent first."""
    words = table.select(lambda _: [pl.col(column).cast(pl.String).str.strip_chars()])[column]
    return words.value_counts(sort=True)[column].drop_nulls().head(UNSEEN).to_list()


def _expressions(
    part: Part,
    roles: EventRoles,
    time_format: TimeFormat | str,
    written: Mapping[str, NumberFormat],
    words: KindWords,
) -> list[pl.Expr]:
    """What is read of one file; a column that a part lacks is empty there."""
    schema = part.frame.collect_schema()
    here = set(schema.names())

    def numbers(column: str | None) -> pl.Expr | None:
        if column is None or column not in here:
            return None
        if schema[column].is_numeric():
            return pl.col(column).cast(pl.Float64)
        return number(pl.col(column).cast(pl.String), written[column])

    value, quantity = numbers(roles.value), numbers(roles.quantity)
    amount = value if value is not None else quantity
    is_valued = (
        pl.col(roles.value).cast(pl.String).fill_null("") != "" if value is not None and roles.value else None
    )
    returned = [pl.lit(False)]
    if roles.status in here and roles.status is not None:
        returned.append(means_returned(_status(roles, here).str.to_lowercase()))
    if quantity is not None:
        returned.append(quantity < 0)
    # Twenty million rows without a quantity would carry 80 MB of nothing.
    told = pl.lit(None) if quantity is None else quantity
    # No number, and none at all, say nothing of how many pieces went back.
    counted = pl.when(told.is_finite() & (told != 0)).then(told) if quantity is not None else told
    pieces = [] if roles.quantity is None else [counted.cast(pl.Float32).alias("quantity")]
    ids = {"user_id": [roles.user_id], "item_id": [each for each in roles.item_id if each in here]}
    return [
        *(
            _first_told([id_text(each, schema) for each in columns if each in here]).alias(name)
            for name, columns in ids.items()
        ),
        (_time(part, roles.time, time_format, schema) + _clock(roles, time_format, here)).alias("time"),
        arrivals(part.columns).alias("arrival"),
        (words.places(roles.kind) if roles.kind in here and roles.kind else pl.lit(None, pl.UInt8)).alias(
            "word"
        ),
        (pl.lit(1.0) if amount is None else amount).cast(pl.Float32).alias("value"),
        (pl.lit(True) if is_valued is None else is_valued).alias("is_valued"),
        *pieces,
        pl.any_horizontal(each.fill_null(False) for each in returned).alias("is_returned"),
        (pl.col(SURPLUS).is_not_null() if SURPLUS in here else pl.lit(False)).alias("is_long"),
    ]


def means_returned(state: pl.Expr) -> pl.Expr:
    """Whether a word for the state of an order, in lower case, says that it was returned or cancelled."""
    spelled = state.str.replace_all(r"[_-]", " ")
    return spelled.str.contains(_RETURNED) & ~spelled.str.contains(_NOT_RETURNED)


def _status(roles: EventRoles, here: set[str]) -> pl.Expr:
    """Return the status of each row's order; exports write it in the first row of an order alone."""
    status = pl.col(roles.status or "").cast(pl.String)
    if roles.order is None or roles.order not in here:
        return status
    told = pl.when(status.str.strip_chars() != "").then(status)
    return told.forward_fill().over(roles.order)


def _first_told(ids: list[pl.Expr]) -> pl.Expr:
    if len(ids) == 1:
        return ids[0]
    return pl.coalesce(pl.when(each != "").then(each) for each in ids) if ids else pl.lit(None, pl.String)


def _time(part: Part, column: str | None, time_format: TimeFormat | str, schema: pl.Schema) -> pl.Expr:
    if time_format is TimeFormat.ROWS or column is None or column not in schema:
        return pl.lit(None, pl.Int64)
    if schema[column].is_temporal():
        return unix_seconds(column, TimeFormat.DATE_TYPE)
    is_text = schema[column] == pl.String
    return unix_seconds(pl.col(column).str.strip_chars() if is_text else column, time_format)


def _clock(roles: EventRoles, time_format: TimeFormat | str, here: set[str]) -> pl.Expr:
    """Return the seconds since midnight that a column of its own tells, 0 if none does."""
    if roles.clock is None or roles.clock not in here or time_format in _PLACES:
        return pl.lit(0, pl.Int64)
    return clock_seconds(pl.col(roles.clock).cast(pl.String)).fill_null(0)


def drop_reasons() -> dict[str, pl.Expr]:
    """Return the reasons for which a row is left out, in order, and where each applies."""
    time = pl.col("time")
    is_empty = (
        (pl.col("user_id").fill_null("") == "") & (pl.col("item_id").fill_null("") == "") & time.is_null()
    )
    return {
        BLANK: is_empty & ~pl.col("is_long"),
        "more cells than columns": pl.col("is_long"),
        **id_reasons(),
        "unreadable time": time.is_null(),
        "time before 1990": time < EARLIEST_SECONDS,
        "time more than a day in the future": time > int(now()) + 86_400,
        "missing kind": pl.col("kind").is_null() & pl.col("word").is_null(),
        "unknown kind": pl.col("kind").is_null(),
        RETURNED: (pl.col("kind") == RETURN) | pl.col("is_returned"),
        LEFT_OUT: pl.col("kind") == DROP,
    }


def _without_unrated(rows: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Take -1 for no rating if no other rating is below 0; return the rows, and how many that are."""
    is_unrated = rows["value"] == -1
    others = rows["value"].filter(~is_unrated.fill_null(True)).drop_nans()
    lowest = others.min()
    if not is_unrated.any() or lowest is None or float(str(lowest)) < 0:
        return rows, 0
    return rows.with_columns(
        value=rows["value"].set(is_unrated.fill_null(False), None), is_valued=~is_unrated
    ), int(is_unrated.sum())


def _is_return(*, has_quantity: bool) -> pl.Expr:
    """Whether a row is a return of its own, and no purchase of an order that went back."""
    is_own = pl.col("kind") == RETURN
    if has_quantity:
        is_own |= pl.col("is_returned") & (pl.col("quantity") < 0)
    return is_own.fill_null(False)


def _is_usable() -> pl.Expr:
    """Whether nothing but what it means can keep a row from being an event: its ids, its time and its cells."""
    meanings = ("missing kind", "unknown kind", RETURNED, LEFT_OUT)
    faults = [is_bad.fill_null(False) for reason, is_bad in drop_reasons().items() if reason not in meanings]
    return ~pl.any_horizontal(faults)


def _without_repetitions(rows: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Leave out rows that repeat another in all that is read of them; rows with an arrival are events apart."""
    # Each column is hashed where it lies; a hash of whole rows would copy them, and takes four times as long.
    hashes = (pl.col(name).hash(place) for place, name in enumerate(rows.columns))
    keys = rows.lazy().select(reduce(add, hashes)).collect(engine="streaming").to_series()
    in_order = keys.sort()
    if not (in_order[1:] == in_order[:-1]).any():
        return rows, 0
    # Equal keys are compared in full, since two rows may have one key by chance.
    is_suspect = keys.is_duplicated()
    is_first = rows.filter(is_suspect).select(pl.struct(pl.all()).is_first_distinct()).to_series()
    is_kept = np.ones(len(keys), np.bool_)
    is_kept[is_suspect.arg_true().to_numpy()[~is_first.to_numpy()]] = False
    return rows.filter(pl.Series(is_kept)), int((~is_kept).sum())


_COLUMN_OF_REASON = {
    "unreadable time": "time",
    "time before 1990": "time",
    "time more than a day in the future": "time",
    "unknown kind": "kind",
    "missing user": "user_id",
    "missing item": "item_id",
}


def _examples(table: Table, roles: EventRoles, rows: pl.DataFrame, dropped: DropReport) -> dict[str, str]:
    """Say where the first row of each reason stands, and what is in it."""
    wanted = {
        reason: is_bad
        for reason, is_bad in drop_reasons().items()
        if dropped.dropped.get(reason) and reason != BLANK
    }
    examples = {}
    for reason, row in first_bad_rows(rows, drop_reasons(), wanted).items():
        role = _COLUMN_OF_REASON.get(reason)
        columns = {
            "time": roles.time,
            "kind": roles.kind,
            "user_id": roles.user_id,
            "item_id": roles.item_id[0],
        }
        column = columns[role] if role else None
        cell = table.cell(row, column) if column else None
        examples[reason] = f"first in {table.line_of(row)}{f': {cell!r}' if cell is not None else ''}"
    return examples


def _uses(table: Table, roles: EventRoles) -> tuple[ColumnUse, ...]:
    uses = {
        "person": roles.user_id,
        "item": roles.item_id,
        "time": roles.time,
        "time of day": roles.clock,
        "kind": roles.kind,
        "rating" if roles.is_rating else "value": roles.value,
        "quantity": roles.quantity,
        "returns": roles.status,
        "order of one second": arrival_columns(table.columns),
    }
    return uses_of(table.name, table.columns, uses_by_column(uses))
