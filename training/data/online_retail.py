"""Read the UCI *Online Retail* table, messy as it is: all transactions of a UK gift shop in 2010 and 2011.

Chen, D. (2015), doi 10.24432/C5BW33, CC BY 4.0. The table goes in as CSV, plain or gzipped; a `Shop` of purchases
comes out. Invoice times carry no time zone and are read as UTC.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from models.history import EventKind
from training.data.cleaning import drop_bad_rows, is_blank
from training.data.columns import uses_of
from training.data.files.tables import Table
from training.data.meaning.times import TimeFormat, detect_time_format, unix_seconds
from training.data.shop import Shop, assemble_shop
from training.quality.schema import DataPortrait

COLUMNS = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)

SECOND_EDITION = {"InvoiceNo": "Invoice", "UnitPrice": "Price", "CustomerID": "Customer ID"}
"""Names of columns that differ in Online Retail II, which has two years in two sheets."""

# Product codes have five digits and up to two letters, or belong to the DCGS range. All other codes (POST, DOT, M,
# C2, D, S, B, BANK CHARGES, AMAZONFEE, CRUK, PADS, gift_0001_*) are postage, fees, corrections and vouchers.
_PRODUCT_CODE = r"^(?:\d{5}[A-Z]{0,2}|DCGS\w+)$"

# Two services that have product codes: "Next Day Carriage" and "High Resolution Image".
_SERVICES_WITH_PRODUCT_CODES = ("23444", "23702")

USES = {
    "InvoiceNo": "cancellations",
    "StockCode": "item",
    "Description": "title and text",
    "Quantity": "value",
    "InvoiceDate": "time",
    "UnitPrice": "price and value",
    "CustomerID": "person",
}
"""What each column is used for; the country is not used."""

FIRST_SALE, LAST_SALE = 1_291_191_960, 1_323_435_000
"""Unix seconds of the first and the last sale that `read_online_retail` keeps."""
N_PEOPLE, N_ITEMS = 4_334, 3_657
"""Number of people and of items that `read_online_retail` keeps."""

# Notes that the warehouse wrote into descriptions. Rows with such notes have no price and are dropped anyway, so this
# matters only for editions of the table in which they have one.
_STOCK_NOTE = (
    r"(?i)\?|damage|wrong|adjust|mouldy|smashed|crushed|thrown away|unsal|"
    r"\b(?:missing|rusty|lost|found|stock)\b|"
    r"^(?:check(?:ed)?|test|samples?|returned|counted|mailout|mixed up|wet.*)$|"
    r"^(?:ebay|amazon|dotcom(?: sales)?|sold as.*)$"
)


def is_table_of_online_retail(tables: Sequence[Table]) -> bool:
    """Whether this is the one table of one of the two editions, judged by its columns."""
    return len(tables) == 1 and _names(tables[0].columns) is not None


def read_online_retail(table: Table) -> Shop:
    """Read the table and return its purchases: value = quantity x unit price, in pounds.

    Stock codes are upper-cased: 85123a and 85123A are one product. An exact repetition of a whole row is a mistake at
    the till, because a basket holds a product's quantity in one row; the first row is kept.
    Raises `SourceUnreadable` for a damaged file.
    """
    names = _names(table.columns) or dict.fromkeys(COLUMNS, "")
    rows = table.select(lambda _: [pl.col(names[name]).cast(pl.String).alias(name) for name in COLUMNS])
    kept, dropped = drop_bad_rows(_typed(rows), _reasons())
    events = kept.select(
        user_id="CustomerID",
        item_id="StockCode",
        time="time",
        kind=pl.lit(EventKind.PURCHASE, pl.UInt8),
        value=pl.col("Quantity") * pl.col("UnitPrice"),
    )
    return assemble_shop(
        "online-retail",
        events,
        _items(kept),
        dropped,
        f"UCI Online Retail, {table.name}",
        columns=uses_of(table.name, table.columns, {names[name]: use for name, use in USES.items()}),
    )


def _names(columns: Sequence[str]) -> dict[str, str] | None:
    """Return the table's own names of `COLUMNS`; None if it is another table."""
    found = {
        name: next((each for each in columns if each in (name, SECOND_EDITION.get(name))), None)
        for name in COLUMNS
    }
    named = {name: column for name, column in found.items() if column is not None}
    return named if len(named) == len(COLUMNS) else None


def is_online_retail(portrait: DataPortrait) -> bool:
    """Whether a data set is this one, judged by its content: the seconds of its first and last sale, and its size.

    People and items may differ by 3 %, as they would after a different cleaning.
    """
    span = (portrait.first_event, portrait.last_event)
    sizes = ((portrait.n_people, N_PEOPLE), (portrait.n_items, N_ITEMS))
    return span == (FIRST_SALE, LAST_SALE) and all(abs(found / known - 1) <= 0.03 for found, known in sizes)


def _typed(rows: pl.DataFrame) -> pl.DataFrame:
    """Give columns their types; a value that cannot be read becomes null, which is a reason to drop the row."""
    return rows.with_columns(
        # The ids once went through a float column: 17850.0 is customer 17850.
        pl.col("CustomerID").str.strip_chars().str.strip_suffix(".0"),
        pl.col("StockCode").str.strip_chars().str.to_uppercase(),
        pl.col("Description").str.strip_chars().str.replace_all(r"\s+", " "),
        pl.col("Quantity").cast(pl.Float64, strict=False),
        pl.col("UnitPrice").cast(pl.Float64, strict=False),
        time=unix_seconds("InvoiceDate", _time_format(rows["InvoiceDate"])),
        is_first=pl.struct(COLUMNS).is_first_distinct(),
    )


def _time_format(dates: pl.Series) -> TimeFormat:
    """Find how the edition writes its dates; where no day is beyond the twelfth, the month is first."""
    found = detect_time_format(dates.unique())
    return TimeFormat.MONTH_FIRST if found is TimeFormat.DAY_OR_MONTH else found


def _reasons() -> dict[str, pl.Expr]:
    quantity, price, code = pl.col("Quantity"), pl.col("UnitPrice"), pl.col("StockCode")
    return {
        "missing customer": is_blank("CustomerID"),
        "cancellation": pl.col("InvoiceNo").str.starts_with("C"),
        "unreadable quantity or price": ~(quantity.is_finite() & price.is_finite()).fill_null(False),
        "non-positive quantity": quantity <= 0,
        "non-positive price": price <= 0,
        "unreadable time": pl.col("time").is_null(),
        "missing stock code": is_blank("StockCode"),
        "service code, not a product": ~code.str.contains(_PRODUCT_CODE)
        | code.is_in(_SERVICES_WITH_PRODUCT_CODES),
        "exact duplicate of another row": ~pl.col("is_first"),
    }


def _items(kept: pl.DataFrame) -> pl.DataFrame:
    """Make one row per stock code: its most frequent description is the title, the others are further text.

    Descriptions of equal frequency are in alphabetical order; the price is the median unit price.
    """
    prices = kept.group_by("StockCode").agg(price=pl.col("UnitPrice").median())
    descriptions = (
        kept.filter(~is_blank("Description") & ~pl.col("Description").str.contains(_STOCK_NOTE))
        .group_by("StockCode", "Description")
        .len()
        .sort(["StockCode", "len", "Description"], descending=[False, True, False])
        .group_by("StockCode", maintain_order=True)
        .agg(title=pl.col("Description").first(), text=pl.col("Description").str.join(". "))
    )
    return prices.join(descriptions, on="StockCode", how="left").select(
        item_id="StockCode",
        title=pl.col("title").fill_null(pl.col("StockCode")),
        text=pl.col("text").fill_null(""),
        category=pl.lit(None, pl.String),
        price="price",
    )
