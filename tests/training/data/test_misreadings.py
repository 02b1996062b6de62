"""Tables that could pass and be read as something else: signs, returns, ratings, orders, files beside files."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path

import polars as pl
import pytest

from models.history import EventKind
from tests.support.workbooks import workbook
from training.base.errors import DataLost, SettingsInvalid, SourceUnreadable
from training.data.files.encoding import MAX_JUDGED_BYTES, find_encoding
from training.data.inspect import inspect_shop
from training.data.meaning.numbers import NumberFormat, number
from training.data.meaning.times import TimeFormat, parse_time_format, unix_seconds
from training.data.options import reading_options
from training.data.read import read_shop
from training.data.shop import Shop

PURCHASE, RATING, DISLIKE = EventKind.PURCHASE, EventKind.RATING, EventKind.DISLIKE


def written(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def read(folder: Path, text: str, **options: str) -> Shop:
    return read_shop(written(folder, events=text) / "events.csv", options=reading_options(**options))


def told_of(shop: Shop, user_id: str) -> list[tuple[str, EventKind]]:
    own = shop.events.filter(user_id=user_id)
    return [(item, EventKind(kind)) for item, kind in own.select("item_id", "kind").rows()]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("−5.00", -5.0), ("–1", -1.0), ("5-", -5.0), ("5.00-", -5.0), ("(5)", -5.0), ("5,-", 5.0), ("$5", 5.0)],
)
def test_a_minus_in_any_form_is_a_minus(cell: str, expected: float) -> None:
    frame = pl.DataFrame({"cell": [cell]})
    assert frame.select(number(pl.col("cell"), NumberFormat.DECORATED)).item() == expected


ORDERS = "user_id,item_id,time,quantity\n" + "".join(f"u{row},B,2024-01-01,1\n" for row in range(60))


@pytest.mark.parametrize("minus", ["-1", "−1", "–1", "1-", "(1)"])
def test_a_return_with_any_minus_takes_its_purchase_back(tmp_path: Path, minus: str) -> None:
    shop = read(tmp_path, f"{ORDERS}X,A,2024-02-01,1\nX,A,2024-02-05,{minus}\n")
    assert told_of(shop, "X") == [("A", DISLIKE)]


@pytest.mark.parametrize("many", ['"-2,000"', "(2000)", "−2000"])
def test_a_quantity_that_is_written_otherwise_far_down_is_read(tmp_path: Path, many: str) -> None:
    rows = "".join(f"u{row % 300},B{row},2024-01-01 10:00:00,1,5\n" for row in range(2_500))
    late = f"X,A,2024-02-01 10:00:00,2000,5\nX,A,2024-02-05 10:00:00,{many},5\n"
    shop = read(tmp_path, f"user_id,item_id,time,quantity,amount\n{rows}{late}")
    assert told_of(shop, "X") == [("A", DISLIKE)]


def test_a_decimal_comma_far_down_a_column_of_whole_prices_is_one(tmp_path: Path) -> None:
    rows = "".join(f"i{row};T{row};12\n" for row in range(2_500))
    folder = written(tmp_path, items=f"item_id;title;price\n{rows}late;Late;12,50\n")
    (folder / "interactions.csv").write_text(
        "user_id,item_id,time\n" + "a,late,1700000000\nb,i1,1700000001\n"
    )
    prices = dict(read_shop(folder).items.select("item_id", "price").rows())
    assert (prices["late"], prices["i1"]) == (12.5, 12.0)


KINDS = "user_id,item_id,time,kind\n"


def test_a_purchase_that_was_exported_twice_comes_back_whole(tmp_path: Path) -> None:
    rows = (
        "X,A,2024-02-01,purchase\nX,A,2024-02-01,purchase\nX,A,2024-02-05,return\nY,A,2024-02-01,purchase\n"
    )
    assert told_of(read(tmp_path, KINDS + rows), "X") == [("A", DISLIKE)]


def test_a_return_that_was_exported_twice_takes_one_purchase_back(tmp_path: Path) -> None:
    rows = "X,A,2024-01-01,purchase\nX,A,2024-02-01,purchase\nX,A,2024-02-05,return\nX,A,2024-02-05,return\n"
    shop = read(tmp_path, f"{KINDS}{rows}Y,B,2024-02-01,purchase\n")
    assert told_of(shop, "X") == [
        ("A", PURCHASE),
        ("A", DISLIKE),
    ]


@pytest.mark.parametrize("pieces", ["nan", "0", "", "NULL"])
def test_a_return_that_does_not_say_how_many_takes_its_purchase_back(tmp_path: Path, pieces: str) -> None:
    rows = f"X,A,2024-02-01,purchase,1\nX,A,2024-02-05,return,{pieces}\nY,B,2024-02-01,purchase,1\n"
    shop = read(tmp_path, f"user_id,item_id,time,kind,quantity\n{rows}")
    assert told_of(shop, "X") == [("A", DISLIKE)]


def test_rows_that_are_left_out_have_no_part_in_returns(tmp_path: Path) -> None:
    rows = "X,A,1970-01-01,purchase\nX,A,2024-02-05,return\nY,A,2024-02-01,purchase\nY,A,2024-02-05,return,more\n"
    shop = read(tmp_path, KINDS + rows, accept="time-before-1990,more-cells-than")
    assert told_of(shop, "X") == []
    assert told_of(shop, "Y") == [("A", PURCHASE)]
    assert "sent back" not in "".join(shop.dropped.notes)


@pytest.mark.parametrize(
    ("state", "is_kept"),
    [
        *(
            ("not returned", True),
            ("no return", True),
            ("non-refundable", True),
            ("returning customer", True),
        ),
        *(("Avoided", True), ("partially_refunded", True), ("not yet refunded", True), ("Paid", True)),
        *(("Returned", False), ("refund_pending", False), ("CANCELLED", False), ("storniert", False)),
        *(("rückerstattet", False), ("cancelled - no payment", False)),
    ],
)
def test_a_state_of_an_order_is_read_by_its_words(tmp_path: Path, state: str, is_kept: bool) -> None:
    shop = read(tmp_path, f"user_id,item_id,time,order_status\na,x,2024-01-01,{state}\nb,y,2024-01-02,Paid\n")
    assert ("a" in shop.events["user_id"].to_list()) == is_kept


def test_returns_in_a_file_of_their_own_are_returns(tmp_path: Path) -> None:
    sold = "user_id,item_id,time\n" + "".join(f"u{row},A,2024-01-{row + 1:02}\n" for row in range(20))
    shop = read_shop(written(tmp_path, purchases=sold, returns="user_id,item_id,time\nu3,A,2024-02-01\n"))
    assert told_of(shop, "u3") == [("A", DISLIKE)]
    assert told_of(shop, "u4") == [("A", PURCHASE)]


@pytest.mark.parametrize("flag", ["returned", "Rückgabe"])
def test_orders_that_a_file_beside_lists_as_returned_are_none(tmp_path: Path, flag: str) -> None:
    rows = "".join(f"o{row},u{row},A,2024-01-{row + 1:02}\n" for row in range(20))
    orders = f"order_id,user_id,item_id,time\n{rows}"
    folder = written(tmp_path, orders=orders, returns=f"order_id,{flag}\no3,Yes\no4,No\no5,Yes\n")
    shop = read_shop(folder)
    assert set(shop.events["user_id"]) == {f"u{row}" for row in range(20)} - {"u3", "u5"}
    assert "not read: returns" not in "\n".join(inspect_shop(folder, None, reading_options())[0])


@pytest.mark.parametrize(
    ("column", "cells", "gone"),
    [
        ("return_label", ["L-1", "L-2"], set()),
        ("returned", ["yes", "no"], {"u3"}),
        ("returned", ["yes", ""], {"u3"}),
        ("returned_at", ["", ""], set()),
    ],
)
def test_a_file_of_another_name_takes_orders_back_only_where_it_says_yes(
    tmp_path: Path, column: str, cells: list[str], gone: set[str]
) -> None:
    rows = "".join(f"o{row},u{row},A,2024-01-{row + 1:02}\n" for row in range(20))
    parcels = f"order_id,{column},carrier\no3,{cells[0]},X\no4,{cells[1]},Y\n"
    shop = read_shop(written(tmp_path, orders=f"order_id,user_id,item_id,time\n{rows}", parcels=parcels))
    assert {f"u{row}" for row in range(20)} - set(shop.events["user_id"]) == gone


def test_minus_one_is_no_rating_where_no_other_rating_is_below_zero(tmp_path: Path) -> None:
    rows = "".join(f"u{row},A{row},2024-01-01,{-1 if row % 5 == 0 else 1 + row % 10}\n" for row in range(60))
    shop = read(tmp_path, f"user_id,item_id,time,rating\n{rows}")
    unrated = shop.events.filter(pl.col("value").is_null())
    assert unrated.height == 12
    assert set(unrated["kind"]) == {int(RATING)}
    assert shop.dropped.notes["rating of -1, which stands for none on a scale above 0"] == 12
    both_ways = read(tmp_path, f"user_id,item_id,time,rating\n{rows}v,B,2024-01-01,-7\n")
    assert both_ways.events["value"].null_count() == 0


def test_a_rating_that_is_empty_is_none_and_not_the_worst(tmp_path: Path) -> None:
    shop = read(
        tmp_path, "user_id,item_id,time,rating\na,x,2024-01-01,9\nb,y,2024-01-01,\nc,z,2024-01-01,7\n"
    )
    assert shop.events.filter(user_id="b")["value"].to_list() == [None]


def test_columns_that_a_person_names_after_ratings_hold_ratings(tmp_path: Path) -> None:
    text = "user_id,item_id,time,Place_Ratings,avg_rating\na,x,2024-01-01,5,3.1\nb,y,2024-01-02,2,3.1\n"
    assert told_of(read(tmp_path, text, columns="value=Place_Ratings"), "a") == [("x", RATING)]
    assert told_of(read(tmp_path, text, columns="value=avg_rating"), "a") == [("x", PURCHASE)]


def test_a_title_that_a_person_names_is_used_where_events_and_items_share_a_table(tmp_path: Path) -> None:
    rows = "".join(
        f"p{row % 40},d{row % 7},2024-01-{row % 28 + 1:02},Ding Nummer {row % 7}\n" for row in range(400)
    )
    shop = read(
        tmp_path,
        f"kunde_x,ding,time,bezeichnung_x\n{rows}",
        columns="user_id=kunde_x,item_id=ding,item_title=bezeichnung_x",
    )
    assert shop.items["title"].to_list() == [f"Ding Nummer {row}" for row in range(7)]


def test_a_narrower_category_is_a_category(tmp_path: Path) -> None:
    rows = "a,x,2024-01-01,Furniture,Chairs\nb,y,2024-01-02,Paper,Labels\n"
    shop = read(tmp_path, f"user_id,item_id,time,Category,Sub-Category\n{rows}")
    assert shop.items["category"].to_list() == ["Furniture", "Paper"]
    assert shop.attributes.sort("item_id")["categories"].to_list() == [
        ["Chairs", "Furniture"],
        ["Labels", "Paper"],
    ]


def test_rows_without_times_that_stand_by_person_have_each_persons_order(tmp_path: Path) -> None:
    rows = "".join(f"p{who},i{(who + place) % 50},5\n" for who in range(30) for place in range(10 + who % 3))
    shop = read(tmp_path, f"user_id,item_id,rating\n{rows}", time_format="rows")
    lasts = shop.events.group_by("user_id").agg(pl.col("time").max(), pl.col("item_id").last())
    assert lasts["time"].n_unique() == 1
    assert dict(lasts.select("user_id", "item_id").rows())["p4"] == "i14"
    assert "each person's rows" in shop.layout
    mixed = "".join(f"p{row % 30},i{row % 50},5\n" for row in range(300))
    assert (
        read(tmp_path, f"user_id,item_id,rating\n{mixed}", time_format="rows").events["time"].n_unique()
        == 300
    )


@pytest.mark.parametrize("pattern", ["%Y-%m-%d %X", "%Y-%m-%d %k:%M:%S", "%Y-%m-%d %T"])
def test_the_time_of_day_of_a_pattern_is_read(pattern: str) -> None:
    frame = pl.DataFrame({"t": ["2024-01-02 10:20:30"]})
    assert frame.select(unix_seconds("t", pattern)).item() == 1704190830


def test_a_pattern_that_tells_no_moment_is_refused_as_the_option_it_is() -> None:
    with pytest.raises(SettingsInvalid, match=r"the time format '%Y-%m-%d %H' cannot be used"):
        parse_time_format("%Y-%m-%d %H")


@pytest.mark.parametrize(
    "text", ["20240102T102030Z", "20240102T102030", "20240102T102030.5Z", "20240102 102030"]
)
def test_basic_iso_is_read_without_being_named(tmp_path: Path, text: str) -> None:
    shop = read(tmp_path, f"user_id,item_id,time\na,x,{text}\nb,y,{text}\n")
    assert shop.events["time"].to_list() == [1704190830] * 2


def test_a_number_is_read_alike_whatever_stands_beside_it() -> None:
    exact = "1702338875999999999"
    for others in ([], ["1702338875999999999.5"], ["soon"]):
        frame = pl.DataFrame({"t": [exact, *others]})
        assert frame.select(unix_seconds("t", TimeFormat.UNIX_NANOSECONDS))["t"][0] == 1702338875


def test_files_that_begin_with_the_day_and_with_the_month_are_each_read_by_their_own(tmp_path: Path) -> None:
    days = [(day, month) for day in range(1, 28) for month in (1, 3)]
    head = "user_id,item_id,time\n"
    one = head + "".join(f"a{day},x{month},{day}/{month}/2024\n" for day, month in days)
    other = head + "".join(f"b{day},x{month},{month}/{day}/2024\n" for day, month in days)
    events = read_shop(written(tmp_path, **{"events-1": one, "events-2": other})).events
    for who in "ab":
        [seconds] = events.filter(user_id=f"{who}5", item_id="x3")["time"]
        assert date.fromtimestamp(seconds) == date(2024, 3, 5)
    with pytest.raises(SourceUnreadable, match=r"begin with the day, such as .* others with the month"):
        read(tmp_path / "together", one + other.removeprefix(head))


def test_a_date_and_a_time_of_day_of_a_columnar_file_are_one_moment(tmp_path: Path) -> None:
    table = pl.DataFrame(
        {
            "user_id": ["a", "b"],
            "item_id": ["x", "y"],
            "date": [date(2024, 1, 2)] * 2,
            "time": [time(10, 20, 30)] * 2,
        }
    )
    table.write_parquet(tmp_path / "events.parquet")
    assert read_shop(tmp_path / "events.parquet").events["time"].to_list() == [1704190830] * 2


@pytest.mark.parametrize("encoding", ["gb18030", "euc_kr", "big5"])
@pytest.mark.parametrize("n_padding", range(4))
def test_where_a_sample_ends_within_a_character_the_encoding_is_found(encoding: str, n_padding: int) -> None:
    words = {"gb18030": "红色剪刀耐用", "euc_kr": "빨간가위튼튼한", "big5": "紅色剪刀耐用"}[encoding]
    lines = ["user_id,item_id,time,title", f"u{'0' * n_padding}0,i0,2024-01-01,{words}"]
    lines += [
        f"u{row % 100:03},i{row * 7 % 97:03},2024-01-{row % 28 + 1:02},{words * 3}" for row in range(2_500)
    ]
    sample = "\n".join(lines).encode(encoding)
    for n_bytes in (len(sample), MAX_JUDGED_BYTES + 1_001, 2 * MAX_JUDGED_BYTES + 1_002):
        found = find_encoding(sample[:n_bytes])
        assert {"cp949": "euc_kr"}.get(found, found) == encoding


def test_what_is_missing_is_named_and_nothing_else(tmp_path: Path) -> None:
    columns = ["User_Id", *(f"column {number}" for number in range(20)), "ding", "time"]
    rows = ",".join(columns) + "\n" + ",".join(["a"] * len(columns)) + "\n"
    with pytest.raises(
        SourceUnreadable, match=r"column of items by a name.*'ding', 'time'.*--columns item_id=COLUMN\.$"
    ):
        read(tmp_path, rows)


def test_a_tenth_of_rows_with_another_unit_of_time_still_stops(tmp_path: Path) -> None:
    rows = "".join(f"u{row},x,{1700000000 if row % 5 else 'soon'}\n" for row in range(60))
    with pytest.raises(DataLost, match="unreadable time"):
        read(tmp_path, f"user_id,item_id,time\n{rows}")


def test_a_workbook_with_other_names_gives_its_orders_without_those_that_another_sheet_takes_back(
    tmp_path: Path,
) -> None:
    orders: list[list[str | float]] = [
        ["订单 ID", "订单日期", "客户 ID", "产品 ID", "产品名称", "类别", "子类别"]
    ]
    orders += [
        [
            f"CN-{row}",
            f"2024-01-{row % 28 + 1:02}",
            f"曾惠-{row % 7}",
            f"办公-{row % 5}",
            f"剪刀 {row % 5}",
            "办公用品",
            "用品",
        ]
        for row in range(30)
    ]
    returns: list[list[str | float]] = [["退回", "订单 ID"]]
    returns += [["是", f"CN-{row}"] for row in (3, 4, 5, 99)]
    people: list[list[str | float]] = [
        ["地区", "地区经理"],
        ["东北", "楚杰"],
        ["华东", "洪光"],
        ["西北", "白德伟"],
    ]
    path = tmp_path / "超市.xlsx"
    path.write_bytes(workbook({"订单": orders, "退货": returns, "销售人员": people}))
    shop = read_shop(path)
    assert shop.events.height == 27
    assert shop.dropped.dropped["return or refund"] == 3
    assert shop.items["title"][0] == "剪刀 0"
    assert sorted(shop.attributes["categories"][0]) == ["办公用品", "用品"]


def test_a_table_of_items_is_found_by_the_column_that_a_person_named_for_events(tmp_path: Path) -> None:
    ratings = "User_Id,Place_Id,time,rating\n" + "".join(
        f"u{row},{row % 7},2024-01-01,5\n" for row in range(60)
    )
    places = "Place_Id,Place_Name,Description\n" + "".join(
        f"{row},Park {row},A long text {row}\n" for row in range(7)
    )
    shop = read_shop(
        written(tmp_path, ratings=ratings, places=places), options=reading_options(columns="item_id=Place_Id")
    )
    assert shop.items["title"].to_list() == [f"Park {row}" for row in range(7)]
