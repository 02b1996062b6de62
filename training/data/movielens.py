"""Read MovieLens 100K, 1M and 10M as GroupLens publishes them: a folder of `::`- or `|`-separated files, or its zip.

Harper and Konstan (2015), doi 10.1145/2827872. The folder or the zip goes in; a `Shop` of ratings comes out.
"""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from models.history import EventKind
from training.data.cleaning import drop_bad_rows, is_blank
from training.data.columns import uses_of
from training.data.files.archives import archive_names, is_archive, unpack_archive
from training.data.files.errors import unreadable
from training.data.shop import DropReport, Shop, assemble_shop

# A control character that no title holds, because polars separates by a single byte, not by "::".
_SEPARATOR = "\x1f"

_RATINGS = {"user": "person", "item": "item", "rating": "value", "time": "time"}
COLUMNS: dict[str, dict[str, dict[str, str]]] = {
    "movielens-100k": {
        "u.data": _RATINGS,
        "u.item": {
            "item": "item",
            "title": "title",
            "released": "",
            "released_on_video": "",
            "url": "",
            "genres": "text, category and attribute categories, words",
        },
        "u.user": {"user": "", "age": "", "gender": "", "occupation": "", "zip_code": ""},
    },
    "movielens-1m": {
        "ratings.dat": _RATINGS,
        "movies.dat": {
            "item": "item",
            "title": "title",
            "genres": "text, category and attribute categories, words",
        },
        "users.dat": {"user": "", "gender": "", "age": "", "occupation": "", "zip_code": ""},
    },
    "movielens-10m": {
        "ratings.dat": _RATINGS,
        "movies.dat": {
            "item": "item",
            "title": "title",
            "genres": "text, category and attribute categories, words",
        },
        "tags.dat": {"user": "", "item": "", "tag": "", "time": ""},
    },
}
"""Data set -> file -> column -> what it is used for; the files have no headers."""

_ITEM_FIELDS_100K = ("item_id", "title", "released", "released_on_video", "url")


def find_movielens(source: Path, scratch: Path) -> Path | None:
    """Return the folder with the files of one of the layouts, in the folder or the zip, or one folder deeper.

    scratch: where a zip is unpacked.
    """
    if source.is_file():
        if not is_archive(source) or not any(
            Path(name).name in ("u.data", "ratings.dat") for name in archive_names(source)
        ):
            return None
        source = unpack_archive(source, scratch / "movielens")
    if not source.is_dir():
        return None
    folders = (source, *sorted(path for path in source.iterdir() if path.is_dir()))
    return next((folder for folder in folders if _is_movielens(folder)), None)


def _is_movielens(folder: Path) -> bool:
    return ((folder / "u.data").is_file() and (folder / "u.item").is_file()) or (
        (folder / "ratings.dat").is_file() and (folder / "movies.dat").is_file()
    )


def read_movielens(folder: Path, name_of_source: str) -> Shop:
    """Read the folder; kind is RATING, value the stars (0.5 to 5), category the first genre.

    text is the title, with its year, and all genres. Raises `SourceUnreadable` if a file is missing or damaged.
    """
    names = {path.name for path in folder.iterdir()}
    if "u.data" in names:
        ratings = _table(_text(folder, "u.data").replace("\t", _SEPARATOR), folder, n_columns=4)
        items, name = _items_100k(folder), "movielens-100k"
    else:
        ratings = _table(_text(folder, "ratings.dat").replace("::", _SEPARATOR), folder, n_columns=4)
        items, name = _items_1m(folder), "movielens-1m" if "users.dat" in names else "movielens-10m"
    kept, dropped = _clean(ratings)
    columns = tuple(
        use for table, uses in COLUMNS[name].items() if table in names for use in uses_of(table, uses, uses)
    )
    return assemble_shop(
        name,
        kept,
        items,
        dropped,
        f"MovieLens ({name}), {name_of_source}",
        columns=columns,
        has_item_table=True,
        attributes=items.select("item_id", categories="genres"),
    )


def _clean(ratings: pl.DataFrame) -> tuple[pl.DataFrame, DropReport]:
    events = ratings.select(
        user_id="column_1",
        item_id="column_2",
        time=pl.col("column_4").cast(pl.Int64, strict=False),
        kind=pl.lit(EventKind.RATING, pl.UInt8),
        value=pl.col("column_3").cast(pl.Float32, strict=False),
    )
    return drop_bad_rows(
        events,
        {
            "missing user": is_blank("user_id"),
            "missing item": is_blank("item_id"),
            "unreadable time": pl.col("time").is_null(),
            "rating that is not between 0.5 and 5": ~pl.col("value").is_between(0.5, 5.0).fill_null(False),
        },
    )


def _items_100k(source: Path) -> pl.DataFrame:
    """Read u.item, whose last columns are flags, one per genre in the order of u.genre."""
    genres = [line.partition("|")[0] for line in _text(source, "u.genre").splitlines() if "|" in line]
    n_fields = len(_ITEM_FIELDS_100K)
    table = _table(_text(source, "u.item").replace("|", _SEPARATOR), source, n_fields + len(genres))
    flags = [
        pl.when(pl.col(f"column_{n_fields + place}") == "1").then(pl.lit(genre))
        for place, genre in enumerate(genres, start=1)
    ]
    return _items(
        table.select(item_id="column_1", title="column_2", genres=pl.concat_list(flags).list.drop_nulls())
    )


def _items_1m(source: Path) -> pl.DataFrame:
    table = _table(_text(source, "movies.dat").replace("::", _SEPARATOR), source, n_columns=3)
    return _items(
        table.select(
            item_id="column_1", title="column_2", genres=pl.col("column_3").fill_null("").str.split("|")
        )
    )


def _items(table: pl.DataFrame) -> pl.DataFrame:
    """Make items from item_id, title and a list of genres; of rows with the same id, the first counts."""
    title = pl.col("title").fill_null(pl.col("item_id"))
    return (
        table.filter(~is_blank("item_id"))
        .unique("item_id", keep="first", maintain_order=True)
        .select(
            "item_id",
            title=title,
            text=pl.concat_str(title, pl.col("genres").list.join(" "), separator=". "),
            category=pl.col("genres").list.first().replace("", None),
            price=pl.lit(None, pl.Float32),
            genres=pl.col("genres").list.eval(pl.element().filter(pl.element() != "")).list.sort(),
        )
    )


def _table(text: str, source: Path, n_columns: int) -> pl.DataFrame:
    """Split text into string columns column_1, column_2 ...; short lines are filled with nulls."""
    names = [f"column_{place}" for place in range(1, n_columns + 1)]
    try:
        return pl.read_csv(
            io.BytesIO(text.encode()),
            has_header=False,
            separator=_SEPARATOR,
            quote_char=None,  # titles hold unpaired quotation marks
            schema=dict.fromkeys(names, pl.String),
            truncate_ragged_lines=True,
        )
    except PolarsError as error:
        raise unreadable(source, error) from error


def _text(folder: Path, name: str) -> str:
    """Return one file of the folder; 100K and 1M are Latin-1, 10M is UTF-8."""
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise unreadable(folder / name, error) from error
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")
