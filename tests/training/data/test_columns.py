"""Every column of every table is told with what it is used for, whichever layout it stands in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.data.test_movielens import LAYOUT_1M, LAYOUT_100K, write_folder, write_zip
from tests.training.data.test_online_retail import GOOD, HEADER
from training.data.columns import column_lines
from training.data.item_texts import item_text_columns
from training.data.options import reading_options
from training.data.published import published_columns
from training.data.read import read_shop
from training.quality.figures import ColumnUse

ORDERS = "customer,sku,ordered_at,channel,amount\nu1,a,2024-01-01,app,3\nu1,b,2024-01-02,web,4\n"
PRODUCTS = "sku,name,description,colour,photo_url\na,Vase,A tall vase,blue,x/1\nb,Mug,A mug,red,x/2\n"


def test_a_column_that_is_not_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    (tmp_path / "products.csv").write_text(PRODUCTS)
    options = reading_options(
        columns="user_id=customer,item_id=sku,time=ordered_at,value=amount,items_item_id=sku,item_title=name,"
        "item_text=name+description"
    )
    shop = read_shop(tmp_path / "orders.csv", options=options, items=tmp_path / "products.csv")
    assert column_lines(shop.columns) == [
        "orders.csv: customer (person), sku (item), ordered_at (time), amount (value); not used: channel",
        "products.csv: sku (item), name (title, text), description (text), colour (attribute colour, words); "
        "not used: photo_url",
    ]


def test_online_retail_says_that_its_country_and_further_columns_are_not_used(tmp_path: Path) -> None:
    (tmp_path / "retail.csv").write_text(f"{HEADER},Discount\n{GOOD},0\n")
    [line] = column_lines(read_shop(tmp_path / "retail.csv").columns)
    assert line.startswith(
        "retail.csv: InvoiceNo (cancellations), StockCode (item), Description (title and text)"
    )
    assert line.endswith("; not used: Country, Discount")


@pytest.mark.parametrize("layout", [LAYOUT_100K, LAYOUT_1M])
@pytest.mark.parametrize("write", [write_folder, write_zip])
def test_movielens_tells_the_columns_of_the_files_that_are_there(tmp_path: Path, layout, write) -> None:  # type: ignore[no-untyped-def]
    shop = read_shop(write(tmp_path / "ml.zip", layout))
    assert [line.partition(":")[0] for line in column_lines(shop.columns)] == [
        name for name in layout if name != "u.genre"
    ]


def test_people_whom_movielens_describes_are_not_used(tmp_path: Path) -> None:
    shop = read_shop(write_folder(tmp_path / "ml", LAYOUT_1M | {"users.dat": "1::F::1::10::48067\n"}))
    assert "users.dat: not used: user, gender, age, occupation, zip_code" in column_lines(shop.columns)


def test_published_files_tell_theirs_too(tmp_path: Path) -> None:
    lines = column_lines(published_columns(tmp_path / "train", tmp_path / "test", tmp_path / "negative"))
    assert lines == [
        "train: user (person), item (item), time (time); not used: rating",
        "test: user (person), item (item); not used: rating, time",
        "negative: (user,item) (checked against the test file), items (negatives)",
    ]


def test_numbers_of_an_item_file_are_no_words(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id,title,year,genres\n1,Up,2009,Animation\n2,Heat,1995,Crime\n")
    assert item_text_columns(tmp_path / "items.csv") == (
        ColumnUse("items.csv", "item_id", "item"),
        ColumnUse("items.csv", "title", "title"),
        ColumnUse("items.csv", "year", ""),
        ColumnUse("items.csv", "genres", "text"),
    )
