"""Each form in which people bring one table is read right, or refused with what is wrong and what to do."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.history import EventKind
from tests.support.workbooks import workbook, zipped
from training.base.errors import DataLost, SourceUnreadable
from training.data.options import reading_options
from training.data.read import read_shop
from training.data.returns import SENT_BACK
from training.data.shop import Shop

HEADER = "user_id,item_id,time\n"
EVENTS = f"{HEADER}a,x,2024-01-15\nb,y,2024-01-16\n"
IDS = {("a", "x"), ("b", "y")}


def read(folder: Path, files: dict[str, str | bytes], target: str = "", **options: str) -> Shop:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_shop(folder / target, options=reading_options(**options))


def read_one(folder: Path, content: str | bytes, name: str = "events.csv", **options: str) -> Shop:
    return read(folder, {name: content}, name, **options)


def ids(shop: Shop) -> set[tuple[str, str]]:
    return set(shop.events.select("user_id", "item_id").rows())


def times(shop: Shop) -> list[str]:
    return [f"{datetime.fromtimestamp(each, UTC):%Y-%m-%d %H:%M:%S}" for each in sorted(shop.events["time"])]


def item(shop: Shop, item_id: str) -> dict[str, object]:
    [row] = shop.items.rows_by_key("item_id", named=True)[item_id]
    return dict(row)


@pytest.mark.parametrize(
    "content",
    [
        EVENTS.replace(",", ";"),
        EVENTS.replace(",", "\t"),
        EVENTS.replace(",", "|"),
        EVENTS.replace(",", ", "),
        f"An export, of the shop\n\n{EVENTS}",
        "sep=;\r\n" + EVENTS.replace(",", ";").replace("\n", "\r\n"),
        EVENTS.encode("utf-16"),
        EVENTS.encode("utf-16-le"),
        "\ufeff" + EVENTS,
        EVENTS.replace("\n", "\r"),
        ",user_id,item_id,time\n0,a,x,2024-01-15\n1,b,y,2024-01-16\n",
        EVENTS.replace("\n", ",\n"),
        f"{HEADER}a,x,2024-01-15,,,\nb,y,2024-01-16,,,\n",
        'user_id,item_id,time\n"1","a","x",2024-01-15\n"2","b","y",2024-01-16\n"3","b","y",2024-01-16\n',
        "USER_ID,item_id,time,user_id\na,x,2024-01-15,q\nb,y,2024-01-16,r\n",
        gzip.compress(f"{HEADER}a,x,2024-01-15\n".encode()) + gzip.compress(b"b,y,2024-01-16\n"),
    ],
    ids=[
        *("semicolons", "tabs", "pipes", "blanks after commas", "title lines", "line of Excel", "UTF-16"),
        *("UTF-16 without mark", "mark", "old line ends", "index of pandas", "delimiters at the end"),
        *("more of them than columns", "numbers of R", "a name twice", "joined gzip"),
    ],
)
def test_one_table_in_many_spellings(tmp_path: Path, content: str | bytes) -> None:
    assert ids(read_one(tmp_path, content)) == IDS


MOMENT = {"$date": {"$numberLong": "1700000000000"}}
ROWS = [
    {"user_id": "a", "item_id": "x", "time": 1700000000},
    {"user_id": "b", "item_id": "y", "time": 1700000001},
]


@pytest.mark.parametrize(
    "value",
    [
        ROWS,
        {"orders": ROWS},
        {name: {str(place): row[name] for place, row in enumerate(ROWS)} for name in ROWS[0]},
        {name: [row[name] for row in ROWS] for name in ROWS[0]},
        {"columns": list(ROWS[0]), "index": [0, 1], "data": [list(row.values()) for row in ROWS]},
        [{"user_id": {"$oid": row["user_id"]}, "item_id": {"S": row["item_id"]}, "time": MOMENT} for row in ROWS],
    ],
    ids=["rows", "rows under a name", "columns", "lists", "split", "with types"],
)  # fmt: skip
def test_json_in_the_shapes_that_tools_write(tmp_path: Path, value: object) -> None:
    assert ids(read_one(tmp_path, json.dumps(value), "events.json")) == IDS


def test_one_event_with_its_items_on_one_line_is_an_event(tmp_path: Path) -> None:
    event = {"user_id": "a", "time": 1700000000, "items": [{"item_id": "x"}, {"item_id": "y"}]}
    assert ids(read_one(tmp_path, json.dumps(event) + "\n", "events.json")) == {("a", "x"), ("a", "y")}


def test_the_lines_of_nested_orders_are_rows(tmp_path: Path) -> None:
    lines = [{"sku": "x", "title": "Vase", "tax_lines": [{"title": "VAT"}]}, {"sku": "y", "title": "Pan"}]
    order = {
        **{"id": 1, "email": "a@x.io", "created_at": "2024-01-15T10:00:00Z"},
        **{
            "financial_status": "partially_refunded",
            "discount_codes": [{"code": "TEN"}],
            "line_items": lines,
        },
    }
    shop = read_one(tmp_path, json.dumps({"orders": [order]}), "orders.json")
    assert ids(shop) == {("a@x.io", "x"), ("a@x.io", "y")}
    assert item(shop, "x")["title"] == "Vase"


def test_segment_names_the_item_in_one_of_two_places_and_its_title_beside_it(tmp_path: Path) -> None:
    viewed = {"product_id": "x", "name": "Mug"}
    bought = {"order_id": "o", "products": [{"product_id": "y", "quantity": 2}]}
    rows = [
        {
            "userId": "a",
            "event": "Product Viewed",
            "properties": viewed,
            "context": {"page": {"title": "Shop"}},
        },
        {"userId": "b", "event": "Order Completed", "properties": bought},
    ]
    lines = "".join(json.dumps({**row, "timestamp": "2024-01-15T10:00:00.000Z"}) + "\n" for row in rows)
    shop = read_one(tmp_path, lines, "tracks.jsonl")
    assert ids(shop) == IDS
    assert item(shop, "x")["title"] == "Mug"


def test_lines_that_name_the_item_of_the_rows_below_belong_to_them(tmp_path: Path) -> None:
    rows = "1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n2:\n885013,4,2005-10-19\n"
    shop = read_one(tmp_path, rows, "combined_data_1.txt")
    assert set(shop.events.select("user_id", "item_id", "kind", "value").rows()) == {
        ("1488844", "1", EventKind.RATING, 3.0),
        ("822109", "1", EventKind.RATING, 5.0),
        ("885013", "2", EventKind.RATING, 4.0),
    }
    assert shop.dropped.n_read == 5


def test_the_sheets_of_a_workbook_are_tables_of_their_own(tmp_path: Path) -> None:
    orders: list[list[str | float]] = [
        ["Customer ID", "SKU", "Order Date"],
        [1001, 12, 45306.5],
        [1002, 13, 45307.25],
    ]
    products: list[list[str | float]] = [["SKU", "Title", "Price"], [12, "Vase", 12.5], [13, "Pan", 3]]
    shop = read_one(tmp_path, workbook({"Orders": orders, "Products": products}), "shop.xlsx")
    assert ids(shop) == {("1001", "12"), ("1002", "13")}
    assert times(shop) == ["2024-01-15 12:00:00", "2024-01-16 06:00:00"]
    assert (item(shop, "12")["title"], item(shop, "13")["price"]) == ("Vase", 3.0)


def test_empty_parts_are_left_out(tmp_path: Path) -> None:
    part = f"{HEADER}a,x,2024-01-15\n"
    files: dict[str, str | bytes] = {
        "part-0.csv": part,
        "part-1.csv": "",
        "part-2.csv": HEADER,
        "_SUCCESS": "",
    }
    assert ids(read(tmp_path, files)) == {("a", "x")}


def test_archives_within_an_archive_are_opened(tmp_path: Path) -> None:
    within: dict[str, str | bytes] = {
        "data/events.csv.zip": zipped({"events.csv": EVENTS, "__MACOSX/._events.csv": b"\0\5"}),
        "data/items.zip": zipped({"items.csv": "item_id,title\nx,Vase\ny,Pan\n"}),
    }
    shop = read_one(tmp_path, zipped(within), "shop.zip")
    assert ids(shop) == IDS
    assert item(shop, "x")["title"] == "Vase"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\xd0\xcf\x11\xe0" + bytes(600), r"old kind.*\.xlsx"),
        (b"SQLite format 3\0" + bytes(600), "SQLite"),
        (b"%PDF-1.4\n1 0 obj\n", "PDF"),
        (b"<!DOCTYPE html>\n<html><head><title>404, gone</title></head></html>\n", "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\nsize 12345\n", "git lfs pull"),
        (b"INSERT INTO orders VALUES (1,'a','x');\n", "SQL"),
    ],
    ids=["xls", "SQLite", "PDF", "HTML", "Git LFS", "SQL"],
)
def test_what_is_no_table_says_what_it_is(tmp_path: Path, content: bytes, told: str) -> None:
    with pytest.raises(SourceUnreadable, match=told):
        read_one(tmp_path, content)


def test_one_bad_row_costs_nobody_elses(tmp_path: Path) -> None:
    rows = "".join(f"u{n},x,{1700000000 + n}\n" for n in range(900))
    shop = read_one(tmp_path, f"{HEADER}bad,row,1,with,too,many\n{rows}")
    assert shop.events.height == 900
    assert "line 2" in shop.dropped.examples["more cells than columns"]


def test_a_long_text_beside_a_stray_quote_is_one_cell(tmp_path: Path) -> None:
    long = '"' + "words, " * 30_000 + '"'
    shop = read_one(tmp_path, f'user_id,item_id,time,title\na,x,2024-01-15,{long}\nb,y,2024-01-16,TV 42"\n')
    assert ids(shop) == IDS
    assert len(str(item(shop, "x")["title"])) > 200_000


@pytest.mark.parametrize(
    "cells",
    [
        ("date,time", "2024-01-15,10:30:00"),
        ("date,time", "15.01.2024,10:30"),
        ("date,time", "1/15/2024,10:30 AM"),
        ("time,x", "2024-01-15 05:30:00 EST,1"),
        ("time,x", "2024-01-15T11:30:00+01:00[Europe/Berlin],1"),
        ("time,x", "Mon Jan 15 02:30:00 -0800 2024,1"),
        ("time,x", "1/15/2024 10:30 AM,1"),
        ("time,x", "20240115103000,1"),
        ("time,x", "1705314600000000,1"),
        ("time,x", "1705314600000000000,1"),
        ("time,x", '"Mon, 15 Jan 2024 10:30:00 +0000",1'),
    ],
)
def test_one_moment_in_many_spellings(tmp_path: Path, cells: tuple[str, str]) -> None:
    columns, row = cells
    assert times(read_one(tmp_path, f"user_id,item_id,{columns}\na,x,{row}\n")) == ["2024-01-15 10:30:00"]


def test_an_hour_without_minutes_is_a_time(tmp_path: Path) -> None:
    assert times(read_one(tmp_path, f"{HEADER}a,x,2014-12-06 02\n")) == ["2014-12-06 02:00:00"]


def test_times_that_cannot_be_read_name_the_options_that_help(tmp_path: Path) -> None:
    with pytest.raises(DataLost, match=r"'soon'; name another column with --columns time=.*--time-format"):
        read_one(tmp_path, HEADER + "a,x,soon\nb,x,soon\nc,x,soon\n")


@pytest.mark.parametrize(
    ("written", "meant"), [(("17850.0", "9.0"), ("17850", "9")), (('"1,234"', "9"), ("1234", "9"))]
)
def test_ids_that_a_spreadsheet_dressed_up(
    tmp_path: Path, written: tuple[str, str], meant: tuple[str, str]
) -> None:
    shop = read_one(tmp_path, HEADER + "".join(f"{user},x,2024-01-15\n" for user in written))
    assert set(shop.events["user_id"]) == set(meant)


def test_ids_that_a_spreadsheet_shortened_are_asked_about(tmp_path: Path) -> None:
    rows = HEADER + "".join(f"1.51592E+{n},x,2024-01-15\n" for n in (17, 18, 19))
    with pytest.raises(DataLost, match=r"'1\.51592E\+17'.*export the column as text.*--accept shortened-ids"):
        read_one(tmp_path, rows)


def test_a_person_zero_with_many_events_is_asked_about(tmp_path: Path) -> None:
    rows = HEADER + "".join(f"0,x,{1700000000 + n}\n" for n in range(100))
    with pytest.raises(DataLost, match=r"100 of 100 events are of the person 0.*--accept person-zero"):
        read_one(tmp_path, rows)


@pytest.mark.parametrize("user", ["nan", "NULL", "None", "\\N", "N/A", "undefined", "guest", "#REF!", ""])
def test_nobody_is_no_person(tmp_path: Path, user: str) -> None:
    shop = read_one(tmp_path, f"{EVENTS}{user},x,2024-01-17\n")
    assert ids(shop) == IDS
    assert shop.dropped.dropped["missing user"] == 1


@pytest.mark.parametrize(
    "categories",
    [
        '"[""Drama"", ""Crime""]"',
        "\"['Drama', 'Crime']\"",
        "\"[{'id': 18, 'name': 'Drama'}, {'id': 80, 'name': 'Crime'}]\"",
        "Drama|Crime",
        "Drama > Crime",
        '"Drama, Crime"',
    ],
)
def test_of_several_categories_the_first_counts_and_all_are_words(tmp_path: Path, categories: str) -> None:
    shop = read_one(tmp_path, f"user_id,item_id,time,title,categories\na,x,2024-01-15,Red,{categories}\n")
    assert item(shop, "x")["category"] == "Drama"
    assert str(item(shop, "x")["text"]).replace(",", "") == "Red. Drama Crime"


@pytest.mark.parametrize(
    ("price", "meant"), [("£12.50", 12.5), ('"12,50"', 12.5), ('"$1,299.00"', 1299.0), ("12.50 USD", 12.5)]
)
def test_prices_as_people_write_them(tmp_path: Path, price: str, meant: float) -> None:
    shop = read_one(tmp_path, f"user_id,item_id,time,title,Regular price\na,x,2024-01-15,Red,{price}\n")
    assert item(shop, "x")["price"] == meant


def test_a_column_called_name_is_a_title_where_no_lines_of_orders_are(tmp_path: Path) -> None:
    shop = read_one(tmp_path, "user_id,sku,created_at,name\na,x,2024-01-15,Vase\n")
    assert item(shop, "x")["title"] == "Vase"


def test_japanese_in_shift_jis(tmp_path: Path) -> None:
    rows = "user_id,item_id,time,title\na,x,2024-01-15,機とイスのセット\n"
    assert item(read_one(tmp_path, rows.encode("cp932")), "x")["title"] == "機とイスのセット"


def test_woocommerce_orders_know_the_stock_number_and_not_the_line(tmp_path: Path) -> None:
    rows = (
        "Order Number,Order Status,Order Date,Email (Billing),SKU,Item #,Item Name,Quantity (- Refund),Item Cost\n"
        "55,completed,2023-04-01 10:00,a@x.io,W-1,1,Mug,2,12.50\n56,refunded,2023-04-02,b@x.io,W-2,1,Hat,1,9\n"
    )
    shop = read_one(tmp_path, rows, "orders.csv")
    assert ids(shop) == {("a@x.io", "W-1")}
    assert (item(shop, "W-1")["title"], item(shop, "W-1")["price"]) == ("Mug", 12.5)


def test_two_stray_quotes_do_not_swallow_the_rows_between_them(tmp_path: Path) -> None:
    rows = 'title,sku,time,user_id\n",x,2024-01-15,a\nPan,y,2024-01-16,b\n",z,2024-01-17,c\nTV 42",z,2024-01-18,d\n'
    assert ids(read_one(tmp_path, rows)) == {*IDS, ("c", "z"), ("d", "z")}


def test_the_order_of_rows_goes_on_from_one_part_to_the_next(tmp_path: Path) -> None:
    for day in (1, 2):
        (tmp_path / f"day-{day}.csv").write_text(f"user_id,item_id\nu,a{day}\nu,b{day}\n")
    shop = read_shop(tmp_path, options=reading_options(time_format="rows"))
    assert shop.events["item_id"].to_list() == ["a1", "b1", "a2", "b2"]


def test_a_title_line_that_ends_in_a_colon_heads_no_rows(tmp_path: Path) -> None:
    (tmp_path / "export.csv").write_text("Report:\nuser_id,item_id,time\nu,a,1700000000\nv,b,1700000001\n")
    shop = read_shop(tmp_path / "export.csv")
    assert shop.events["item_id"].to_list() == ["a", "b"]


def test_a_quantity_below_nothing_is_a_return(tmp_path: Path) -> None:
    rows = "customer,sku,date,qty\na,x,2024-01-15,2\na,x,2024-01-16,-2\n"
    (tmp_path / "orders.csv").write_text(rows)
    shop = read_shop(tmp_path / "orders.csv")
    assert shop.events.select("time", "kind").rows() == [(1_705_363_200, EventKind.DISLIKE)]
    assert shop.dropped.dropped["return or refund"] == 1
    assert shop.dropped.notes[SENT_BACK] == 1


def test_the_table_of_items_is_the_one_that_the_events_are_of(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("user_id,product_id,time\nu,p7,1700000000\nv,p8,1700000001\n")
    (tmp_path / "a_genre.csv").write_text("id,label\n1,Fiction\n2,Travel\n")
    (tmp_path / "catalogue.csv").write_text("id,label\np7,Oak stool\np8,Glass lamp\n")
    shop = read_shop(tmp_path)
    assert shop.items["title"].to_list() == ["Oak stool", "Glass lamp"]


def test_blanks_are_a_delimiter_where_nothing_else_is(tmp_path: Path) -> None:
    (tmp_path / "ratings.txt").write_text("a x 5 1700000000\nb y 3 1700000001\nc x 4 1700000002\n")
    shop = read_shop(tmp_path / "ratings.txt")
    assert shop.events.select("user_id", "item_id", "time", "value").rows() == [
        ("a", "x", 1_700_000_000, 5.0),
        ("b", "y", 1_700_000_001, 3.0),
        ("c", "x", 1_700_000_002, 4.0),
    ]


def test_the_id_of_a_table_of_orders_joins_it_with_its_lines(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("id,customer_id,created_at\n7,a,2024-01-13\n8,b,2024-01-14\n")
    (tmp_path / "order_lines.csv").write_text("id,order_id,sku\n1,7,x\n2,7,y\n3,8,x\n")
    shop = read_shop(tmp_path)
    assert set(shop.events.select("user_id", "item_id").rows()) == {("a", "x"), ("a", "y"), ("b", "x")}


def test_a_tills_clock_is_no_person_where_nothing_is_named(tmp_path: Path) -> None:
    rows = [
        f"{9 + place % 9}:{place % 60:02},2024-01-{13 + place % 15},card{place % 20},sku{place % 30}"
        for place in range(120)
    ]
    (tmp_path / "till.csv").write_text("\n".join(rows) + "\n")
    shop = read_shop(tmp_path / "till.csv")
    assert shop.events["user_id"].str.starts_with("card").all()
    assert shop.events["item_id"].str.starts_with("sku").all()


def test_files_of_a_folder_may_write_times_each_in_its_way(tmp_path: Path) -> None:
    for day, cell in {13: "2024-01-13 10:00", 14: "14.01.2024 10:00", 15: "01/15/2024 10:00"}.items():
        (tmp_path / f"orders-{day}.csv").write_text(f"user_id,item_id,time\nu,i{day},{cell}\n")
    shop = read_shop(tmp_path)
    assert shop.events["time"].to_list() == [1_705_140_000 + 86_400 * place for place in range(3)]
    assert "ISO 8601 and day/month/year and month/day/year" in shop.layout
