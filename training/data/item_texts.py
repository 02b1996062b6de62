"""Read item texts for published data from any table whose first column is the item's id, with or without a header.

Parquet and CSV are read as such; any other file is split by the first of `::`, tab or `|` in its first line.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from training.base.errors import ColumnMissing, SourceUnreadable
from training.data.cleaning import is_blank
from training.data.columns import uses_of
from training.data.files.errors import unreadable
from training.data.lines import read_lines, read_text
from training.data.shop import ITEM_SCHEMA
from training.quality.figures import ColumnUse

SEPARATORS = ("::", "\t", "|")
ID_NAMES = ("item_id", "itemid", "item", "id", "iid", "movie_id", "movieid", "product_id", "asin", "sku")
TITLE_NAMES = ("title", "item_title", "name", "item_name", "product_name")


def describe_items(item_ids: Iterable[str], file: Path | None) -> pl.DataFrame:
    """Return one row of `ITEM_SCHEMA` for each id, sorted; rows of the file about other items are left out.

    An item that is not in the file, or any item if there is no file, has its id as title and an empty text, because
    the catalogue that published tables rank is that of the data. Raises SourceUnreadable if no item is in the file.
    """
    wanted = pl.DataFrame({"item_id": sorted(item_ids)}, schema={"item_id": pl.String})
    if file is None:
        texts = pl.DataFrame(schema={"item_id": pl.String, "title": pl.String, "text": pl.String})
    else:
        texts = read_item_texts(file)
        if wanted.join(texts, on="item_id", how="semi").is_empty():
            raise SourceUnreadable(
                f"{file} describes {texts.height:,} items, {texts['item_id'].head(3).to_list()} among them, and none "
                f"of them is in the data, whose ids are {wanted['item_id'].head(3).to_list()} and so on. "
                f"Give the items the ids of the data."
            )
    return wanted.join(texts, on="item_id", how="left", maintain_order="left").select(
        "item_id",
        title=pl.col("title").fill_null(pl.col("item_id")),
        text=pl.col("text").fill_null(""),
        category=pl.lit(None, ITEM_SCHEMA["category"]),
        price=pl.lit(None, ITEM_SCHEMA["price"]),
    )


def read_item_texts(file: Path) -> pl.DataFrame:
    """Return item_id, title and text of each item; of rows with the same id, the first counts.

    With a header, the id and the title are found by name and all other columns that are not numbers are text.
    Without one, the first column is the id, the second the title, and the rest is text. A text begins with the title.
    """
    table = _read_table(file)
    item_id, title, words = _roles(table, file)
    titled = [title] if title else []
    return (
        table.filter(~is_blank(item_id))
        .select(
            item_id=pl.col(item_id).str.strip_chars(),
            title=_joined(titled) if title else pl.lit(""),
            text=_joined([*titled, *words]),
        )
        .with_columns(title=pl.when(pl.col("title") == "").then("item_id").otherwise("title"))
        .unique("item_id", keep="first", maintain_order=True)
    )


def item_text_columns(file: Path) -> tuple[ColumnUse, ...]:
    """Say what each column of an item file is used for; numbers are not text. Raises as `read_item_texts` does."""
    table = _read_table(file)
    item_id, title, words = _roles(table, file)
    uses = dict.fromkeys(words, "text") | ({title: "title"} if title else {}) | {item_id: "item"}
    return uses_of(file.name, table.columns, uses)


def _read_table(file: Path) -> pl.DataFrame:
    return _read_parquet(file) if file.suffix == ".parquet" else _with_header(_read_cells(file), file)


def _roles(table: pl.DataFrame, file: Path) -> tuple[str, str | None, list[str]]:
    """Return the columns of ids, of titles if there is one, and of text."""
    item_id = _named(table.columns, ID_NAMES)
    if item_id is None:
        raise ColumnMissing(f"{file} has no column of item ids; it has {table.columns}. Call it 'item_id'.")
    title = _named(table.columns, TITLE_NAMES)
    words = [name for name in table.columns if name not in (item_id, title) and not _is_numeric(table[name])]
    return item_id, title, words


def _read_parquet(file: Path) -> pl.DataFrame:
    """Read all columns as text; lists, such as genres, are joined."""
    try:
        table = pl.read_parquet(file)
    except (PolarsError, OSError) as error:
        raise unreadable(file, error) from error
    lists = [name for name, kind in table.schema.items() if isinstance(kind, pl.List)]
    plain = [name for name in table.columns if not table.schema[name].is_nested()]
    joined = [pl.col(name).cast(pl.List(pl.String)).list.join(" ") for name in lists]
    return table.select(*joined, pl.col(plain).cast(pl.String)).select(
        name for name in table.columns if name in {*lists, *plain}
    )


def _read_cells(file: Path) -> pl.DataFrame:
    """Read all lines of a text file, including a header, as columns of text."""
    if file.suffix != ".csv":
        return _split_lines(read_lines(file), file)
    try:
        return pl.read_csv(
            io.BytesIO(read_text(file).encode()),
            has_header=False,
            infer_schema=False,
            truncate_ragged_lines=True,
        )
    except PolarsError as error:
        raise unreadable(file, error) from error


def _split_lines(lines: pl.DataFrame, file: Path) -> pl.DataFrame:
    if lines.is_empty():
        raise SourceUnreadable(f"{file} is empty. Write one item a line, its id first.")
    first: str = lines["line"][0]
    separator = next((each for each in SEPARATORS if each in first), "\t")
    cells = lines["line"].str.split(separator)
    width = int(cells.list.len().max())  # type: ignore[arg-type]  # polars types the maximum of any column
    return cells.list.to_struct(fields=[f"column_{place}" for place in range(width)]).struct.unnest()


def _with_header(cells: pl.DataFrame, file: Path) -> pl.DataFrame:
    """Name the columns by the first row if it holds the name of an id column, else by their usual order."""
    first = [_plain_name(cell or "") for cell in cells.row(0)]
    if _named(first, ID_NAMES) is None:
        usual = ["item_id", "title"][: cells.width]
        return cells.rename(dict(zip(cells.columns, usual, strict=False)))
    if len(set(first)) < len(first):
        raise SourceUnreadable(f"{file} has two columns of one name: {first}. Rename one of them.")
    return cells.rename(dict(zip(cells.columns, first, strict=True))).slice(1)


def _plain_name(cell: str) -> str:
    """Normalise a column's name: `Item ID` and `item_id:token` both become item_id."""
    return cell.partition(":")[0].strip().lower().replace(" ", "_")


def _named(columns: Iterable[str], names: tuple[str, ...]) -> str | None:
    """Return the column with the first of these names that any column has, or None."""
    plain = {_plain_name(column): column for column in columns}
    return next((plain[name] for name in names if name in plain), None)


def _is_numeric(column: pl.Series) -> bool:
    """Whether a column holds only numbers, such as years and prices, which are not text."""
    is_empty = column.fill_null("").str.strip_chars() == ""
    return bool((is_empty | column.cast(pl.Float64, strict=False).is_not_null()).all())


def _joined(columns: list[str]) -> pl.Expr:
    """Join the words of several columns by spaces; the parts of `Comedy|Drama` are separated too."""
    if not columns:
        return pl.lit("")
    text = pl.concat_str([pl.col(column).fill_null("") for column in columns], separator=" ")
    return text.str.replace_all(r"[\s|]+", " ").str.strip_chars()
