"""Read a shop's table of events, whatever it is written in, as clean events; each row left out has a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from models.history import EventKind
from training.base.errors import SettingsInvalid
from training.data.cleaning import drop_bad_rows
from training.data.column_mapping import uses_by_column
from training.data.columns import uses_of
from training.data.event_columns import event_columns
from training.data.files.tables import Table
from training.data.ids import without_shared_zeros, without_thousands
from training.data.kind_words import UNSEEN, KindWords
from training.data.left_out import REPEATED, drop_reasons, examples_of, is_return, is_usable
from training.data.meaning.numbers import NumberFormat, number_format
from training.data.meaning.times import TimeFormat, made_up_times
from training.data.options import ReadingOptions
from training.data.removals import arrival_columns
from training.data.returns import SENT_BACK, with_sent_back
from training.data.roles import EventRoles, all_texts, sample_text
from training.data.shop import DropReport
from training.data.time_columns import PLACES, find_time_format, formats_of_parts
from training.quality.figures import ColumnUse

GROUPED: Final = "the order of each person's rows, which stand together; all end at one moment"
UNRATED: Final = "rating that is no number, taken for none"
MAX_RUNS: Final = 1.05
"""The runs of rows a person up to which rows are grouped by person; a few people may come twice."""
MIN_RUN: Final = 2
"""The mean number of rows a person from which runs tell anything."""


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
    told = _read_rows(table, roles, options)
    kinds = _counted_kinds(told.rows, roles, told.words)
    require_used_kinds(table, roles, options, kinds)
    rows = told.rows.with_columns(
        kind=told.words.kinds(told.rows["word"], None if roles.kind else default_kind)
    )
    rows = without_thousands(without_shared_zeros(rows, "user_id", "item_id"), "user_id", "item_id")
    is_grouped = told.time_format is TimeFormat.ROWS and _are_grouped(rows["user_id"])
    rows = _with_made_up_times(rows, told.time_format, is_grouped=is_grouped)
    n_sent_back = 0
    if not options.keeps_returns:
        is_own = is_return(has_quantity=roles.quantity is not None)
        rows, n_sent_back = with_sent_back(rows, is_own, is_usable())
    kept, dropped = drop_bad_rows(rows, drop_reasons(keeps_returns=options.keeps_returns))
    dropped = dropped.with_examples(examples_of(table, roles, rows, dropped))
    kept, n_unrated = _without_unrated(kept) if roles.is_rating else (kept, 0)
    kept, n_wrong = _with_values(kept)
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
        GROUPED if is_grouped else " and ".join(map(_words_of, told.formats)),
        _uses(table, roles),
        kinds or {default_kind.name.lower(): dropped.n_read},
        told.words.meanings() or {default_kind.name.lower(): default_kind.name.lower()},
        are_made_up=told.time_format in PLACES,
    )


class _RowsRead(NamedTuple):
    """Rows as `event_columns` has them. time_format: of most files. formats: of all, each once. words: of kinds."""

    rows: pl.DataFrame
    time_format: TimeFormat | str
    formats: list[TimeFormat | str]
    words: KindWords


def _read_rows(table: Table, roles: EventRoles, options: ReadingOptions) -> _RowsRead:
    """Read all rows by what the first of them show; what those do not show is looked for in all, and they are read
    once more.
    """
    time_format = find_time_format(table, roles, options)
    written = {
        each: number_format(sample_text(table, each)) for each in (roles.value, roles.quantity) if each
    }
    words = KindWords.of(table, roles.kind, options)
    formats: dict[tuple[Path, str], TimeFormat | str] = {}

    def read() -> pl.DataFrame:
        return table.select(
            lambda part: event_columns(
                part, roles, formats.get((part.path, part.sheet), time_format), written, words
            )
        )

    rows = read()
    has_unseen = roles.kind is not None and bool((rows["word"] == UNSEEN).any())
    has_unread = NumberFormat.PLAIN in written.values() and (
        bool((rows["is_valued"] & rows["value"].is_null()).any())
        or ("quantity" in rows.columns and rows["quantity"].null_count() > 0)
    )
    whole = {each: _number_format(table, each) for each in written} if has_unread else written
    if options.time_format is None and len(table.parts) > 1 and rows["time"].null_count():
        formats = formats_of_parts(table, roles, time_format)
    if has_unseen or whole != written or formats:
        if has_unseen and roles.kind is not None:
            words = words.with_more(_all_words(table, roles.kind), options)
        written = whole
        rows = read()
    return _RowsRead(rows, time_format, list(dict.fromkeys((time_format, *formats.values()))), words)


def _counted_kinds(rows: pl.DataFrame, roles: EventRoles, words: KindWords) -> dict[str, int]:
    """Count rows by the table's own words for kinds; empty if it has none."""
    if roles.kind is None:
        return {}
    has_ids = pl.col("user_id").is_not_null() & pl.col("item_id").is_not_null()
    is_whole = rows["user_id"].null_count() + rows["item_id"].null_count() == 0
    return words.counted((rows if is_whole else rows.filter(has_ids))["word"])


def _with_made_up_times(
    rows: pl.DataFrame, time_format: TimeFormat | str, *, is_grouped: bool
) -> pl.DataFrame:
    """Make moments of places where the table tells an order and no times.

    is_grouped: each person's rows stand together, so only their own order is told.
    """
    if time_format is TimeFormat.ROWS:
        rows = rows.with_columns(
            time=pl.int_range(pl.len(), dtype=pl.Int64)
        )  # over all parts, one after the other
        if is_grouped:
            rows = rows.with_columns(time=pl.col("time") - pl.col("time").max().over("user_id"))
    return rows.with_columns(time=made_up_times(rows["time"])) if time_format in PLACES else rows


def _with_values(rows: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Keep the columns of events, with a value in each; return them, and how many values were no numbers."""
    is_number = pl.col("value").is_finite().fill_null(False)
    n_wrong = rows.select((pl.col("is_valued") & ~is_number).sum()).item()  # an empty value is not wrong
    # A rating without a number speaks for its item; 1 would be the worst on many scales.
    value = pl.when(is_number).then("value").when(pl.col("kind") != EventKind.RATING).then(1.0)
    columns = ("user_id", "item_id", "time", "kind")
    return rows.select(*columns, value=value.cast(pl.Float32), arrival="arrival"), n_wrong


def _words_of(time_format: TimeFormat | str) -> str:
    return time_format.words if isinstance(time_format, TimeFormat) else time_format


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


def _number_format(table: Table, column: str) -> NumberFormat:
    return number_format(all_texts(table, column).drop_nulls().str.strip_chars())


def _all_words(table: Table, column: str) -> list[str]:
    """List the words of a whole column of kinds, the most frequent first."""
    words = table.select(lambda _: [pl.col(column).cast(pl.String).str.strip_chars()])[column]
    return words.value_counts(sort=True)[column].drop_nulls().head(UNSEEN).to_list()


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
