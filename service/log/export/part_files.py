"""The Parquet files of an export: staged, published by a rename, and rewritten without erased people."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from service.log.erasures import MAX_AHEAD_MS
from service.log.export.state import State
from service.log.export.tables import MOMENT_COLUMNS
from service.log.records import ErasureRecord
from service.log.segments import sync_folder

STAGING = "staging"


class Gone(NamedTuple):
    """n_rows: rows removed from older parts. session_ids: visits that were sent with these people's ids."""

    n_rows: int
    session_ids: set[str]


class PartFiles:
    """folder: the export's. A part is identified by table and number, which are both in its path."""

    def __init__(self, folder: Path, state: State) -> None:
        self._folder = folder
        self._state = state
        (folder / STAGING).mkdir(exist_ok=True)

    def stage(self, table_name: str, table: pa.Table) -> str:
        """Write a part to staging; return its path within the folder. Call within a transaction."""
        number = self._state.count("n_parts", 1)
        part = f"{table_name}/part-{number:08d}.parquet"
        _write(self._staged(part), table)
        self._state.stage(part)
        return part

    def publish(self) -> int:
        """Move valid parts to their places and drop what a killed run left; return how many parts."""
        staged = self._state.staged()
        for part in staged:
            source, target = self._staged(part), self._folder / part
            target.parent.mkdir(exist_ok=True)
            if source.exists():
                source.rename(target)
                sync_folder(target.parent)
            self._state.published(part)
        for left in (self._folder / STAGING).iterdir():
            left.unlink()
        return len(staged)

    def erase(self, records: Sequence[ErasureRecord], now_ms: int) -> Gone:
        """Rewrite the parts that hold people who were erased since."""
        n_rows, session_ids = 0, set[str]()
        for name, moment_column in MOMENT_COLUMNS.items():
            for path in sorted((self._folder / name).glob("part-*.parquet")):
                goes = _who_goes(path, moment_column, records, now_ms)
                if pc.any(goes).as_py():
                    table = pq.read_table(path)
                    session_ids.update(_visits_of(table.filter(goes)))
                    n_rows += table.num_rows - self._rewrite(path, table.filter(pc.invert(goes)))
        return Gone(n_rows, session_ids)

    def drop_erasures(self, event_ids: Collection[str]) -> None:
        """Remove corrected erasures from their table."""
        wrong = pa.array(list(event_ids), pa.string())
        for path in sorted((self._folder / "erasures").glob("part-*.parquet")):
            table = pq.read_table(path)
            is_wrong = pc.is_in(table["event_id"], value_set=wrong)
            if pc.any(is_wrong).as_py():
                self._rewrite(path, table.filter(pc.invert(is_wrong)))

    def _rewrite(self, path: Path, table: pa.Table) -> int:
        """Rewrite a part; return how many rows it has now."""
        temporary = self._folder / STAGING / f"rewritten-{path.name}"
        _write(temporary, table)
        temporary.rename(path)
        sync_folder(path.parent)
        return table.num_rows

    def _staged(self, part: str) -> Path:
        return self._folder / STAGING / part.replace("/", "-")


def _write(path: Path, table: pa.Table) -> None:
    with path.open("wb") as file:
        pq.write_table(table, file, compression="zstd")
        file.flush()
        os.fsync(file.fileno())


def _who_goes(path: Path, moment_column: str, records: Sequence[ErasureRecord], now_ms: int) -> pa.Array:
    """Tell for each row of a part whether it came before its person's erasure, as `erasures.is_covered` does."""
    whose = pq.read_table(path, columns=["user_id", "session_id", moment_column])
    keys = pc.if_else(
        pc.is_null(whose["user_id"]),
        pc.binary_join_element_wise(pa.scalar("\0"), whose["session_id"], ""),
        whose["user_id"],
    )
    moments = whose[moment_column]
    goes = pa.chunked_array([pa.array([False] * whose.num_rows, pa.bool_())])
    for some in _one_a_person(records):
        places = pc.index_in(keys, value_set=pa.array([each.user_id for each in some], pa.string()))
        until = pc.take(pa.array([each.received_ms for each in some], pa.int64()), places)
        said = pc.take(pa.array([each.said_ms for each in some], pa.int64()), places)
        is_before = pc.less(moments, until)
        is_wrong = pc.and_(pc.greater(moments, now_ms + MAX_AHEAD_MS), pc.less(moments, said))
        goes = pc.or_(goes, pc.fill_null(pc.or_(is_before, is_wrong), False))
    return goes


def _one_a_person(records: Sequence[ErasureRecord]) -> Iterator[list[ErasureRecord]]:
    """Split the records into lists that name each person once; nearly always there is one list."""
    left = list(records)
    while left:
        some = list({each.user_id: each for each in left}.values())
        yield some
        taken = {each.event_id for each in some}
        left = [each for each in left if each.event_id not in taken]


def _visits_of(rows: pa.Table) -> set[str]:
    """Return the visits that people's rows name."""
    of_people = rows.filter(pc.is_valid(rows["user_id"]))
    return {each for each in of_people["session_id"].to_pylist() if each is not None}
