"""The protocol `published`, in the file layout of the NCF paper's data, doi 10.1145/3038912.3052569.

    train, test     user ⇥ item ⇥ rating ⇥ time      one positive a line; rating and time may be missing
    candidates      (user,item) ⇥ item ⇥ item …      line by line as the test file: its item, then 99 negatives

So figures can be compared with published tables: they learn from the same events and rank the same candidates.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from models.history import EventKind
from training.base.errors import SourceUnreadable
from training.data.cleaning import is_blank
from training.data.columns import uses_of
from training.data.dataset import Dataset, index_shop
from training.data.item_texts import describe_items
from training.data.leave_last_out import stages_from_end, with_more_validation, with_shuffled_baskets
from training.data.lines import read_lines, refuse_lines
from training.data.meaning.times import TimeFormat, detect_time_format, made_up_times, unix_seconds
from training.data.sequences import DAY, MADE_UP_END, with_made_up_times
from training.data.shop import DropReport, Shop, assemble_shop
from training.data.split import (
    Questions,
    Split,
    Stage,
    draw_new_people,
    require_questions,
    split_by_stages,
)
from training.quality.figures import ColumnUse

N_NEGATIVES = 99
"""Number of negatives per test line in the paper's files; with the true item there are a hundred candidates."""
N_VALIDATION_ITEMS = 3
"""Number of a person's last train events that are held out, one target each, while the ensemble is fitted."""


def read_published(
    *,
    train: Path,
    test: Path,
    candidates: Path | None = None,
    items: Path | None = None,
    new_people_share: float = 0.0,
    seed: int = 0,
    n_negatives: int = N_NEGATIVES,
) -> Split:
    """Read published files; the test file is the test, and each person's last train events are validation.

    Every line is a positive, whatever its rating. Events of one second have no order, and a file without times has no
    order at all: there it is drawn by seed, and made-up times carry no further information. Test times are not read.
    Items that only test or candidates name are in the catalogue too. items: texts, see `read_item_texts`.
    new_people_share: of all people, drawn by seed; published tables have none. `dataset` holds only the train events.
    Raises SourceUnreadable, naming the file and the offending line.
    """
    people_rng, order_rng = np.random.default_rng(seed).spawn(2)
    positives = _with_times(read_positives(train), train)
    test_lines = read_questions(test, positives, train)
    negatives = None if candidates is None else read_candidates(candidates, test_lines, test, n_negatives)
    shop = _shop(train, positives, test_lines, negatives, items)
    dataset = index_shop(shop)
    dataset = replace(dataset, histories=with_shuffled_baskets(dataset.histories, order_rng))
    stages = stages_from_end(dataset.histories, Stage.VALIDATION)
    stages = with_more_validation(dataset.histories, stages, N_VALIDATION_ITEMS, within_basket=False)
    has_times = positives["time"].n_unique() > 1
    after_last = int(dataset.histories.times.max()) + 1
    split = split_by_stages(
        "published",
        dataset if has_times else with_made_up_times(dataset, stages),
        stages,
        is_new=draw_new_people(len(dataset.people), new_people_share, people_rng),
        until=(after_last, after_last) if has_times else (MADE_UP_END - DAY, MADE_UP_END),
        prediction_time="last_event" if has_times else "now",
        asks_each=True,
    )
    split = replace(split, test=_test_questions(split.dataset, shop, test_lines, negatives))
    require_questions(split, at_least=1, remedy=f"{train} needs people with two lines or more")
    return split


def published_columns(train: Path, test: Path, candidates: Path | None) -> tuple[ColumnUse, ...]:
    """Say what the columns of these files are used for."""
    of_lines = {"user": "person", "item": "item", "rating": ""}
    names = (*of_lines, "time")
    tested = uses_of(test.name, names, of_lines | {"time": ""})
    ranked = (
        ()
        if candidates is None
        else uses_of(
            candidates.name,
            ("(user,item)", "items"),
            {"(user,item)": "checked against the test file", "items": "negatives"},
        )
    )
    return uses_of(train.name, names, of_lines | {"time": "time"}) + tested + ranked


def read_positives(file: Path) -> pl.DataFrame:
    """Read the lines of a train or test file: line_number, line, user_id, item_id, and time as text or null."""
    lines = read_lines(file)
    if lines.is_empty():
        raise SourceUnreadable(f"{file} is empty. Write `user<TAB>item<TAB>rating<TAB>time` lines.")
    cells = lines["line"].str.splitn("\t", 4).struct.rename_fields(["user_id", "item_id", "rating", "time"])
    table = lines.with_columns(cells.struct.unnest().drop("rating")).with_columns(
        pl.col("user_id", "item_id").str.strip_chars(), pl.col("time").str.strip_chars().replace("", None)
    )
    refuse_lines(
        table,
        is_blank("user_id") | is_blank("item_id"),
        file,
        problem="does not name a user and an item separated by a tab",
        remedy="Write `user<TAB>item<TAB>rating<TAB>time`; rating and time may be missing",
    )
    return table


def read_questions(file: Path, positives: pl.DataFrame, train: Path) -> pl.DataFrame:
    """Read a test file; its people must be in the train file, and each item stands once. Raises SourceUnreadable."""
    test_lines = read_positives(file)
    refuse_lines(
        test_lines,
        ~pl.struct("user_id", "item_id").is_first_distinct(),
        file,
        problem="repeats a user and an item",
        remedy="Ask about each item of a person once",
    )
    refuse_lines(
        test_lines,
        ~pl.col("user_id").is_in(positives["user_id"].unique().implode()),
        file,
        problem=f"asks about a user who has no line in {train}",
        remedy="Nothing is known of such a person; remove the line and its candidates",
    )
    return test_lines


def read_candidates(file: Path, test_lines: pl.DataFrame, test: Path, n_negatives: int) -> pl.Series:
    """Read the negatives of each test line, as lists of `n_negatives` item ids. Raises SourceUnreadable.

    Ids may repeat within a line, as they do if published files drew with replacement,
    and a line may hold its own true item, which then counts once; see `n_lines_with_target`.
    """
    lines = read_lines(file).with_columns(cells=pl.col("line").str.split("\t"))
    if lines.height != test_lines.height:
        raise SourceUnreadable(
            f"{file} has {lines.height:,} lines and {test} has {test_lines.height:,}. "
            f"Write one line of candidates for each test line, in the same order."
        )
    key = pl.col("cells").list.first().str.replace_all(r"\s", "")
    negatives = pl.col("cells").list.slice(1).list.eval(pl.element().str.strip_chars())
    lines = lines.with_columns(
        test_lines.select(pl.format("({},{})", "user_id", "item_id").alias("expected"), "item_id"),
        key=key,
        negatives=negatives.list.filter(pl.element() != ""),
    )
    refuse_lines(
        lines,
        pl.col("key") != pl.col("expected").str.replace_all(r"\s", ""),
        file,
        problem=f"does not begin with the (user,item) of its line in {test}",
        remedy="Write the candidates in the order of the test file",
    )
    refuse_lines(
        lines,
        pl.col("negatives").list.len() != n_negatives,
        file,
        problem=f"does not hold {n_negatives} negatives",
        remedy=f"Write (user,item) and then {n_negatives} item ids, all separated by tabs",
    )
    return lines["negatives"]


def n_lines_with_target(questions: Questions) -> int:
    """Count the test lines that hold their own true item among the negatives, as 156 of MovieLens 1M's 6,040 do.

    The published code keeps the candidates of a line in a dictionary, so that such an item counts once.
    """
    if questions.negatives is None:
        return 0
    pairs = zip(questions.truth, questions.negatives, strict=True)
    return sum(int((negatives == truth[:, None]).any(axis=1).sum()) for truth, negatives in pairs)


def _with_times(positives: pl.DataFrame, file: Path) -> pl.DataFrame:
    """Convert time to Unix seconds; all are 0 if no line has a time, or all lines have the same."""
    if positives["time"].drop_nulls().n_unique() < 2 and (
        positives["time"].null_count() in (0, positives.height)
    ):
        return positives.with_columns(time=pl.lit(0, pl.Int64))
    time_format = detect_time_format(positives["time"].head(10_000))
    if time_format is TimeFormat.DAY_OR_MONTH:
        raise SourceUnreadable(
            f"{file} has dates of which the day and the month cannot be told apart. Write Unix seconds."
        )
    timed = positives.with_columns(time=unix_seconds("time", time_format))
    if time_format is TimeFormat.ORDER:  # places such as 1, 2, 3 are an order and no seconds of one visit
        timed = timed.with_columns(time=made_up_times(timed["time"]))
    refuse_lines(
        timed,
        pl.col("time").is_null(),
        file,
        problem="has a time that cannot be read, or none while other lines have one",
        remedy="Write Unix seconds into the fourth column of every line, or of none; and no header",
    )
    return timed


def _shop(
    train: Path,
    positives: pl.DataFrame,
    test_lines: pl.DataFrame,
    negatives: pl.Series | None,
    items: Path | None,
) -> Shop:
    """Make a shop of the train events and a catalogue of every item that any of the files names."""
    named = [positives["item_id"], test_lines["item_id"]]
    if negatives is not None:
        named.append(negatives.explode())
    events = positives.select(
        "user_id",
        "item_id",
        "time",
        kind=pl.lit(EventKind.PURCHASE, pl.UInt8),
        value=pl.lit(1.0, pl.Float32),
    )
    described = describe_items(pl.concat([each.alias("item_id").unique() for each in named]).unique(), items)
    return assemble_shop(
        train.name, events, described, DropReport(events.height, events.height), "published train and test"
    )


def _test_questions(
    dataset: Dataset, shop: Shop, test_lines: pl.DataFrame, negatives: pl.Series | None
) -> Questions:
    """Make one question for each person of the test file, with their whole train history."""
    item_ids = shop.items["item_id"]
    user_rows = dataset.people.indices_of(test_lines["user_id"], unknown="raise")
    user_indices = np.unique(user_rows)
    by_person = np.argsort(user_rows, kind="stable")
    ends = np.cumsum(np.bincount(user_rows)[user_indices])[:-1]
    truth = np.split(_rows_of(test_lines["item_id"], item_ids)[by_person], ends)
    by_target = None
    if negatives is not None:
        rows = _rows_of(negatives.explode(), item_ids).reshape(len(negatives), -1)
        by_target = np.split(rows[by_person], ends)
    histories = [dataset.histories[int(user_index)] for user_index in user_indices]
    return Questions(user_indices.astype(np.int32), histories, truth, by_target)


def _rows_of(ids: pl.Series, known: pl.Series) -> npt.NDArray[np.int32]:
    return ids.replace_strict(known, pl.int_range(len(known), eager=True), return_dtype=pl.Int32).to_numpy()
