"""The Parquet files of an export: staged, published by a rename, and rewritten without people who were erased."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from service.log.export.state import State
from service.log.export.tables import MOMENT_COLUMNS
from service.log.segments import sync_folder

STAGING = "staging"


class Parts:
    """folder: of the export. A part is named by table and number, which both are in its path."""

    def __init__(self, folder: Path, state: State) -> None:
        self._folder = folder
        self._state = state
        (folder / STAGING).mkdir(exist_ok=True)

    def stage(self, table_name: str, table: pa.Table) -> str:
        """Write a part where nobody looks; its path within the folder. Call within a transaction."""
        number = self._state.count("n_parts", 1)
        part = f"{table_name}/part-{number:08d}.parquet"
        _write(self._staged(part), table)
        self._state.stage(part)
        return part

    def publish(self) -> int:
        """Put what is valid where it belongs, and drop what a killed run left; how many parts."""
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

    def erase(self, erased_at_ms: Mapping[str, int]) -> int:
        """Write those parts anew that hold somebody who was erased since; how many rows went."""
        n_rows = 0
        for name, moment_column in MOMENT_COLUMNS.items():
            for path in sorted((self._folder / name).glob("part-*.parquet")):
                n_rows += self._erase_from(path, moment_column, erased_at_ms)
        return n_rows

    def _erase_from(self, path: Path, moment_column: str, erased_at_ms: Mapping[str, int]) -> int:
        people = pa.array(list(erased_at_ms), pa.string())
        moments = pa.array(list(erased_at_ms.values()), pa.int64())
        whose = pq.read_table(path, columns=["user_id", moment_column])
        places = pc.index_in(whose["user_id"], value_set=people)
        limits = pc.fill_null(pc.take(moments, places.combine_chunks()), 0)
        goes = pc.fill_null(pc.less(whose[moment_column].combine_chunks(), limits), False)
        n_rows = int(pc.sum(goes).as_py() or 0)
        if n_rows:
            temporary = self._folder / STAGING / f"rewritten-{path.name}"
            _write(temporary, pq.read_table(path).filter(pc.invert(goes)))
            temporary.rename(path)
            sync_folder(path.parent)
        return n_rows

    def _staged(self, part: str) -> Path:
        return self._folder / STAGING / part.replace("/", "-")


def _write(path: Path, table: pa.Table) -> None:
    with path.open("wb") as file:
        pq.write_table(table, file, compression="zstd")
        file.flush()
        os.fsync(file.fileno())
