"""The protocol `published` for plain sequences: one line per person, `user item item …`, in order.

A person's last item is the test and the one before it the validation, both ranked over the whole catalogue, as in
the tables of Kang and McAuley (2018), doi 10.1109/ICDM.2018.00035, and of those who followed them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from models.history import SECONDS_PER_DAY, EventKind
from models.packed_histories import Histories
from training.data.columns import uses_of
from training.data.dataset import Dataset, first_event_times, index_shop, people_of_events
from training.data.item_texts import describe_items
from training.data.leave_last_out import events_later, stages_from_end
from training.data.lines import read_lines, refuse_lines
from training.data.shop import DropReport, assemble_shop
from training.data.split import Split, Stage, Stages, draw_new_people, require_questions, split_by_stages
from training.quality.figures import ColumnUse

DAY = int(SECONDS_PER_DAY)
MADE_UP_END = 1_600_000_000
"""Unix seconds of every test item, made up because these files have no times; any value would do."""


def read_sequences(
    file: Path, items: Path | None = None, *, new_people_share: float = 0.0, seed: int = 0
) -> Split:
    """Read a file of sequences and hold out the last two items of everybody who has three or more.

    items: texts, see `read_item_texts`. new_people_share: of all people, drawn by seed; published tables have none.
    An item that a person returns to may be the target. Raises SourceUnreadable, naming the offending line.
    """
    events = read_steps(file)
    shop = assemble_shop(
        file.stem,
        events,
        describe_items(events["item_id"].unique(), items),
        DropReport(events.height, events.height),
        "published sequences",
    )
    dataset = index_shop(shop)
    stages = stages_from_end(dataset.histories, Stage.TEST)
    split = split_by_stages(
        "published",
        with_made_up_times(dataset, stages),
        stages,
        is_new=draw_new_people(len(dataset.people), new_people_share, np.random.default_rng(seed)),
        until=(MADE_UP_END - DAY, MADE_UP_END),
        prediction_time="now",
    )
    validation, test = (
        replace(each, known_items="leave_out_touched") for each in (split.validation, split.test)
    )
    split = replace(split, validation=validation, test=test)
    require_questions(split, at_least=1, remedy=f"{file} needs people with three items or more")
    return split


def sequence_columns(file: Path) -> tuple[ColumnUse, ...]:
    """Say what the words of a line are used for."""
    return uses_of(
        file.name, ("first word", "other words"), {"first word": "person", "other words": "items in order"}
    )


def read_steps(file: Path) -> pl.DataFrame:
    """Read the file as events, in its order: user_id, item_id, time (position in the line), kind and value."""
    lines = read_lines(file).with_columns(words=pl.col("line").str.extract_all(r"\S+"))
    lines = lines.with_columns(user_id=pl.col("words").list.first())
    refuse_lines(
        lines,
        pl.col("words").list.len() < 2,
        file,
        problem="names a person and no item",
        remedy="Write `user item item …`, separated by spaces, or remove the line",
    )
    refuse_lines(
        lines,
        ~pl.col("user_id").is_first_distinct(),
        file,
        problem="begins with a person who had a line before",
        remedy="Write all items of a person into one line, oldest first",
    )
    return (
        lines.select("user_id", item_id=pl.col("words").list.slice(1))
        .explode("item_id")
        .with_columns(
            time=pl.int_range(pl.len()).over("user_id"),
            kind=pl.lit(EventKind.PURCHASE, pl.UInt8),
            value=pl.lit(1.0, pl.Float32),
        )
    )


def with_made_up_times(dataset: Dataset, stages: Stages) -> Dataset:
    """Give a person's events made-up times, one per day, so that predictions are made a day after the last event.

    All test items have `MADE_UP_END`, validation items are a day earlier, and the past ends two days earlier. So
    times tell only the order of a person's events.
    """
    histories = dataset.histories
    timed = replace(histories, times=_made_up_times(histories, stages))
    catalogue = replace(dataset.catalogue, first_seen=first_event_times(timed, len(dataset.catalogue)))
    return replace(dataset, histories=timed, catalogue=catalogue)


def _made_up_times(histories: Histories, stages: Stages) -> npt.NDArray[np.int64]:
    people = people_of_events(histories)
    n_held_out = np.bincount(people[stages > Stage.PAST], minlength=len(histories))
    n_later_in_past = np.where(stages == Stage.PAST, events_later(histories) - n_held_out[people], 0)
    days_before_end = Stage.TEST - stages.astype(np.int64) + n_later_in_past
    return MADE_UP_END - DAY * days_before_end
