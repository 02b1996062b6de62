"""Random tables, however they are written, give the events that an independent reader of their cells gives.

The reader here knows the cells, and judges each row with Python's own datetime; it shares no code with the product.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from training.data.options import reading_options
from training.data.read import read_shop

MISSING = ("", "nan", "NULL", "None", "N/A", "\\N", "guest")
ACCEPTED = "missing-user,missing-item,unreadable-time,more-cells-than,time-before-1990"
TITLES = ("Vase", "Größe M", "Café crème", "Pan, big", "TV", "a; b", "x | y", "Tee\tred")
STRAY = ('TV 42"', 'a "fine" pan', '"')
START = datetime(2021, 1, 13, 10, 0, tzinfo=UTC)  # the 13th: no month
NAMES = {
    "user": ("user_id", "Customer ID", "visitorid", "userId"),
    "item": ("item_id", "sku", "StockCode", "product_id"),
    "time": ("time", "timestamp", "InvoiceDate", "created_at"),
    "title": ("title", "Product Name", "name"),
}


class Written(NamedTuple):
    """How a table is written."""

    delimiter: str
    line_end: str
    encoding: str
    quoting: str
    time_style: str
    order: tuple[str, ...]
    header: dict[str, str]
    n_above: int


class Cells(NamedTuple):
    """The cells of one row, as they are meant, and what is wrong with it."""

    user: str
    item: str
    moment: datetime | None
    title: str
    fault: str


def told(moment: datetime, style: str) -> str:
    if style == "seconds":
        return str(int(moment.timestamp()))
    if style == "milliseconds":
        return str(int(moment.timestamp()) * 1000)
    return moment.strftime(
        {"iso": "%Y-%m-%d %H:%M:%S", "dotted": "%d.%m.%Y %H:%M:%S", "month": "%m/%d/%Y %H:%M:%S"}[style]
    )


rows = st.builds(
    Cells,
    st.one_of(st.sampled_from(["a", "b", "007", "1e5"]), st.sampled_from(MISSING)),
    st.one_of(st.sampled_from(["x", "y", "0012"]), st.sampled_from(MISSING)),
    st.one_of(st.integers(0, 10**7).map(lambda s: START + timedelta(seconds=s)), st.none()),
    st.sampled_from(TITLES),
    st.sampled_from(["", "", "", "", "blank line", "long", "padded"]),
)
tables = st.builds(
    Written,
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    st.sampled_from(["minimal", "all", "stray"]),
    st.sampled_from(["seconds", "milliseconds", "iso", "dotted", "month"]),
    st.permutations(["user", "item", "time", "title"]).map(tuple),
    st.fixed_dictionaries({role: st.sampled_from(names) for role, names in NAMES.items()}),
    st.integers(0, 2),
)


def line_of(cells: Sequence[str], how: Written) -> str:
    if how.quoting == "stray":
        return how.delimiter.join(cells)
    text = io.StringIO()
    if how.quoting == "all":
        csv.writer(text, delimiter=how.delimiter, quoting=csv.QUOTE_ALL, lineterminator="").writerow(cells)
    else:
        csv.writer(text, delimiter=how.delimiter, lineterminator="").writerow(cells)
    return text.getvalue()


def cells_of(row: Cells, place: int, how: Written) -> list[str]:
    title = row.title
    if how.quoting == "stray":
        title = STRAY[place % len(STRAY)] if place % 2 else title
        for each in (",", ";", "\t", "|"):
            title = title.replace(each, " ")
    by_role = {
        "user": f" {row.user} " if row.fault == "padded" else row.user,
        "item": row.item,
        "time": told(row.moment, how.time_style) if row.moment else "soon",
        "title": title,
    }
    cells = [by_role[role] for role in how.order]
    return [*cells, "surplus"] if row.fault == "long" else cells


def judged(row: Cells) -> str:
    """Say why a row is left out, or nothing: the slow reader."""
    if row.fault == "blank line":
        return "blank line"
    if row.fault == "long":
        return "more cells than columns"
    if row.user == "" and row.item == "" and row.moment is None:
        return "blank line"
    if row.user in MISSING:
        return "missing user"
    if row.item in MISSING:
        return "missing item"
    return "" if row.moment else "unreadable time"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(st.lists(rows, min_size=3, max_size=25), tables)
def test_every_row_is_kept_or_dropped_as_its_cells_say(
    folder: Path, table: list[Cells], how: Written
) -> None:
    sure = [Cells("a", "x", START, "Größe M", ""), Cells("b", "y", START + timedelta(days=1), "Vase", "")]
    table = [*sure, *table]
    lines = ["an export of the shop"] * how.n_above + [line_of([how.header[role] for role in how.order], how)]
    lines += [
        "" if row.fault == "blank line" else line_of(cells_of(row, place, how), how)
        for place, row in enumerate(table)
    ]
    file = folder / "table.csv"
    file.write_bytes((how.line_end.join(lines) + how.line_end).encode(how.encoding))

    shop = read_shop(file, options=reading_options(accept=ACCEPTED))

    kept = {
        (row.user, row.item, int(row.moment.timestamp())) for row in table if not judged(row) and row.moment
    }
    assert set(shop.events.select("user_id", "item_id", "time").rows()) == kept
    counted = Counter(filter(None, map(judged, table)))
    found = {
        reason: n
        for reason, n in shop.dropped.dropped.items()
        if n and reason != "exact repetition of another row"
    }
    assert found == dict(counted)
    assert shop.dropped.n_read == len(table)
