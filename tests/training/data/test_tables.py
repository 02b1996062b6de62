import gzip
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from models.history import EventKind
from models.removals import RETURN
from training.base.errors import ColumnMissing, DataLost, SourceUnreadable
from training.data.column_mapping import ColumnMapping
from training.data.left_out import RETURNED
from training.data.options import ReadingOptions
from training.data.read import read_shop
from training.data.shop import ITEM_SCHEMA, Shop

NOON = int(datetime(2024, 7, 1, 12, tzinfo=UTC).timestamp())


def write_csv(path: Path, columns: Mapping[str, Sequence[object]]) -> Path:
    pl.DataFrame(dict(columns), strict=False).write_csv(path)
    return path


def read_events(tmp_path: Path, mapping: ColumnMapping | None = None, **columns: Sequence[object]) -> Shop:
    """Read one interaction a value; ids and times that are not given are good ones."""
    n_rows = len(next(iter(columns.values())))
    good: dict[str, Sequence[object]] = {
        "user_id": ["u"] * n_rows,
        "item_id": ["i"] * n_rows,
        "time": [NOON] * n_rows,
    }
    path = write_csv(tmp_path / "events.csv", good | columns)
    return read(path, mapping)


def read(path: Path, mapping: ColumnMapping | None = None, items: Path | None = None) -> Shop:
    return read_shop(path, options=ReadingOptions(mapping or ColumnMapping()), items=items)


def read_items(tmp_path: Path, mapping: ColumnMapping | None = None, **columns: Sequence[object]) -> Shop:
    events = write_csv(tmp_path / "events.csv", {"user_id": ["u"], "item_id": ["a"], "time": [NOON]})
    return read(events, mapping, write_csv(tmp_path / "items.csv", columns))


def test_stillrooms_own_names_need_no_mapping(tmp_path: Path) -> None:
    shop = read_events(tmp_path, kind=["view", "purchase"], value=[0, 9.5], time=[NOON, NOON + 60])
    assert shop.events.rows() == [("u", "i", NOON, 0, 0.0), ("u", "i", NOON + 60, 3, 9.5)]


def test_own_column_names_are_mapped(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "log.csv", {"who": ["u"], "what": ["i"], "when": [NOON], "did": ["cart"]})
    shop = read(path, ColumnMapping("who", "what", "when", kind="did"))
    assert shop.events.rows() == [("u", "i", NOON, EventKind.CART, 1.0)]


def test_absent_kind_and_value_take_defaults(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "events.csv", {"user_id": ["u"], "item_id": ["i"], "time": [NOON]})
    shop = read_shop(path, options=ReadingOptions(default_kind=EventKind.CLICK))
    assert shop.events.select("kind", "value").rows() == [(EventKind.CLICK, 1.0)]


@pytest.mark.parametrize("kind", ["PURCHASE", " purchase ", "Order Completed", "buy", "transaction"])
def test_kinds_are_usual_words_in_any_case(tmp_path: Path, kind: object) -> None:
    assert read_events(tmp_path, kind=[kind]).events["kind"].to_list() == [EventKind.PURCHASE]


@pytest.mark.parametrize(
    ("reason", "columns"),
    [
        ("missing user", {"user_id": ["u", None]}),
        ("missing item", {"item_id": ["i", ""]}),
        ("id longer than 256 characters", {"item_id": ["i", "i" * 257]}),
        ("id with a NUL character", {"user_id": ["u" * 100, "u" * 100 + "\0"]}),
        ("unreadable time", {"time": [str(NOON), "soon"]}),
        ("unreadable time", {"time": [NOON, None]}),
        ("time before 1990", {"time": [NOON, 0]}),
        ("time more than a day in the future", {"time": [NOON, NOON * 2]}),
        ("unknown kind", {"kind": ["view", "stare"]}),
        ("missing kind", {"kind": ["view", None]}),
        ("missing user", {"user_id": ["u", "NULL"]}),
        ("missing item", {"item_id": ["i", "nan"]}),
        ("return or refund", {"kind": ["view", "refunded"]}),
    ],
)
def test_bad_row_is_dropped_under_its_reason(
    tmp_path: Path, reason: str, columns: dict[str, list[object]]
) -> None:
    shop = read_events(tmp_path, None, **columns)
    assert shop.events.height == 1
    assert {name: count for name, count in shop.dropped.dropped.items() if count} == {reason: 1}


@pytest.mark.parametrize(
    ("time", "layout"),
    [
        (NOON, "Unix seconds"),
        (NOON * 1000, "Unix milliseconds"),
        ("2024-07-01T14:00:00+02:00", "ISO 8601"),
    ],
)
def test_time_format_is_found_out_and_told(tmp_path: Path, time: object, layout: str) -> None:
    shop = read_events(tmp_path, time=[time])
    assert shop.events["time"].to_list() == [NOON]
    assert layout in shop.layout


def test_value_that_is_left_out_is_one_and_nothing_to_note(tmp_path: Path) -> None:
    shop = read_events(tmp_path, value=["2.5", ""])
    assert shop.events["value"].to_list() == [2.5, 1.0]
    assert "value that is no number, taken as 1" not in shop.dropped.notes


@pytest.mark.parametrize("value", ["much", "NaN", "inf"])
def test_value_that_is_no_number_becomes_one_and_is_noted(tmp_path: Path, value: str) -> None:
    shop = read_events(tmp_path, value=["2.5", value])
    assert shop.events["value"].to_list() == [2.5, 1.0]
    assert shop.dropped.notes["value that is no number, taken as 1"] == 1


def test_ids_in_csv_keep_their_leading_zeros(tmp_path: Path) -> None:
    assert read_events(tmp_path, user_id=["007"]).events["user_id"].to_list() == ["007"]


def test_a_row_that_is_there_twice_counts_once_and_is_said(tmp_path: Path) -> None:
    shop = read_events(tmp_path, user_id=["u", "v", "u"])
    assert shop.events["user_id"].to_list() == ["u", "v"]
    assert shop.dropped.dropped["exact repetition of another row"] == 1


def test_numbers_for_kinds_are_asked_about_unless_stillroom_wrote_them(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {
        "user_id": list("abcd"),
        "item_id": list("wxyz"),
        "time": [NOON] * 4,
        "kind": [0, 1, 2, 3],
    }
    path = write_csv(tmp_path / "events.csv", columns)
    with pytest.raises(DataLost, match=r"'0' \(1 rows\).*--kinds .=view"):
        read(path)
    written = pl.DataFrame(columns).with_columns(pl.col("kind").cast(pl.UInt8))
    written.write_parquet(tmp_path / "events.parquet")
    assert read(tmp_path / "events.parquet").events["kind"].to_list() == [0, 1, 2, 3]


def test_codes_that_stillroom_wrote_may_be_dislikes_and_returns(tmp_path: Path) -> None:
    """A return is counted and left out; a dislike is learned from."""
    columns = {"user_id": list("abc"), "item_id": list("xyz"), "time": [NOON] * 3, "kind": [3, 6, RETURN]}
    written = pl.DataFrame(columns).with_columns(pl.col("kind").cast(pl.UInt8))
    written.write_parquet(tmp_path / "events.parquet")
    shop = read(tmp_path / "events.parquet")
    assert shop.events["kind"].to_list() == [EventKind.PURCHASE, EventKind.DISLIKE]
    assert shop.dropped.dropped[RETURNED] == 1


@pytest.mark.parametrize(
    ("user_ids", "texts"),
    [([7, 42], ["42", "7"]), ([7.0, 42.0], ["42", "7"]), ([7.0, 7.5], ["7", "7.5"])],
)
def test_numeric_ids_of_parquet_become_text(tmp_path: Path, user_ids: list[float], texts: list[str]) -> None:
    path = tmp_path / "events.parquet"
    times = [datetime(2024, 7, 1, 12)] * 2
    pl.DataFrame({"user_id": user_ids, "item_id": [1, 2], "time": times}).write_parquet(path)
    shop = read(path)
    assert shop.events["user_id"].to_list() == texts
    assert shop.events["time"].to_list() == [NOON, NOON]
    assert "a date type" in shop.layout


def test_gzipped_csv_reads_as_the_plain_one(tmp_path: Path) -> None:
    plain = write_csv(tmp_path / "events.csv", {"user_id": ["u"], "item_id": ["i"], "time": [NOON]})
    zipped = tmp_path / "events.csv.gz"
    zipped.write_bytes(gzip.compress(plain.read_bytes()))
    assert read(zipped).events.equals(read(plain).events)


def test_parts_are_one_table_in_the_order_of_their_names(tmp_path: Path) -> None:
    for n in (2, 0, 1):
        write_csv(tmp_path / f"part-{n}.csv", {"user_id": ["u"], "item_id": [f"i{n}"], "time": [NOON]})
    assert read(tmp_path).events["item_id"].to_list() == ["i0", "i1", "i2"]


def test_missing_column_is_named_with_those_found(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "events.csv", {"who": ["u"], "item_id": ["i"], "time": [NOON]})
    with pytest.raises(ColumnMissing, match=r"no column 'customer'; it has 'who', 'item_id', 'time'"):
        read(path, ColumnMapping("customer"))
    with pytest.raises(
        SourceUnreadable, match=r"events\.csv has 'who', 'item_id', 'time'.*--columns user_id=COLUMN"
    ):
        read(path)


def test_optional_column_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ColumnMissing, match="'stars'"):
        read_events(tmp_path, ColumnMapping(value="stars"), user_id=["u"])


@pytest.mark.parametrize("name", ["events.csv", "events.xlsx"])
def test_file_that_cannot_be_a_table_is_refused(tmp_path: Path, name: str) -> None:
    if name.endswith(".xlsx"):
        (tmp_path / name).touch()
    with pytest.raises(SourceUnreadable, match=name):
        read(tmp_path / name)


def test_damaged_parquet_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(SourceUnreadable, match="Check that the file is whole"):
        read(path)


def test_empty_file_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "events.csv").touch()
    with pytest.raises(SourceUnreadable, match="is empty"):
        read(tmp_path / "events.csv")


def test_item_columns_are_read(tmp_path: Path) -> None:
    shop = read_items(
        tmp_path, item_id=["a"], title=["Oak stool"], text=["Three legs"], category=["stool"], price=[12.5]
    )
    assert shop.items.select(ITEM_SCHEMA.names()).rows() == [
        ("a", "Oak stool", "Oak stool. Three legs", "stool", 12.5)
    ]


def test_several_text_columns_are_joined(tmp_path: Path) -> None:
    mapping = ColumnMapping(item_text=("body", "colour"))
    shop = read_items(
        tmp_path, mapping, item_id=["a", "b"], title=["Stool", None], body=["Oak", None], colour=["red", "x"]
    )
    assert shop.items.select("title", "text").rows() == [("Stool", "Stool. Oak red"), ("b", "x")]


def test_text_that_begins_with_the_title_says_it_once(tmp_path: Path) -> None:
    shop = read_items(tmp_path, item_id=["a"], title=["Stool"], text=["Stool of oak"])
    assert shop.items["text"].to_list() == ["Stool of oak"]


def test_items_need_nothing_but_an_id(tmp_path: Path) -> None:
    assert read_items(tmp_path, item_id=["a"]).items.rows() == [("a", "a", "", None, None, True, True)]


@pytest.mark.parametrize("price", ["-1", "NaN", "free", ""])
def test_price_that_is_none_is_unknown(tmp_path: Path, price: str) -> None:
    assert read_items(tmp_path, item_id=["a"], price=[price]).items["price"].to_list() == [None]


def test_item_rows_without_id_or_repeated_are_left_out_and_noted(tmp_path: Path) -> None:
    shop = read_items(tmp_path, item_id=["a", "a", None], title=["first", "second", "third"])
    assert shop.items["title"].to_list() == ["first"]
    assert sorted(shop.dropped.notes.values()) == [1, 1]


def test_an_item_table_without_ids_names_the_option_that_says_them(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match=r"no column of item ids.*--columns items_item_id=COLUMN"):
        read_items(tmp_path, thing=["a"], title=["Vase"])


def test_named_text_column_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ColumnMissing, match="'body'"):
        read_items(tmp_path, ColumnMapping(item_text=("body",)), item_id=["a"], text=["x"])
