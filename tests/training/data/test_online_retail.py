import os
from pathlib import Path

import pytest

from models.history import EventKind
from training.data.read import read_shop
from training.data.shop import Shop

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
GOOD = "536365,85123A,WHITE HANGING HEART,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom"

REAL_FILE = Path(
    os.environ.get("STILLROOM_ONLINE_RETAIL")
    or Path(__file__).parents[4] / "shared" / "data" / "online-retail" / "online_retail.csv.gz"
)


def read_rows(tmp_path: Path, *rows: str) -> Shop:
    source = tmp_path / "retail.csv"
    source.write_text("\n".join([HEADER, *rows]) + "\n")
    return read_shop(source)


def sale(code: str = "22423", description: str = "CAKESTAND", quantity: str = "1", price: str = "1.0") -> str:
    return f"536370,{code},{description},{quantity},2010-12-01 08:45:00,{price},12583.0,France"


def test_sale_becomes_a_purchase(tmp_path: Path) -> None:
    events = read_rows(tmp_path, GOOD).events
    [(user_id, item_id, time, kind, value)] = events.rows()
    assert (user_id, item_id, time, kind) == ("17850", "85123A", 1_291_191_960, EventKind.PURCHASE)
    assert value == pytest.approx(15.3)


def test_customer_without_a_decimal_point_is_the_same_customer(tmp_path: Path) -> None:
    shop = read_rows(tmp_path, GOOD, GOOD.replace("17850.0", "17850").replace("85123A", "71053"))
    assert shop.events["user_id"].unique().to_list() == ["17850"]


@pytest.mark.parametrize(
    ("reason", "row"),
    [
        ("missing customer", GOOD.replace("17850.0", "")),
        ("cancellation", GOOD.replace("536365", "C536365").replace(",6,", ",-6,")),
        ("unreadable quantity or price", GOOD.replace(",6,", ",six,")),
        ("unreadable quantity or price", GOOD.replace("2.55", "NaN")),
        ("non-positive quantity", GOOD.replace(",6,", ",-6,")),
        ("non-positive price", GOOD.replace("2.55", "0.0")),
        ("unreadable time", GOOD.replace("2010-12-01", "1st of December")),
        ("missing stock code", GOOD.replace("85123A", "")),
        ("service code, not a product", GOOD.replace("85123A", "POST")),
        ("service code, not a product", GOOD.replace("85123A", "BANK CHARGES")),
        ("service code, not a product", GOOD.replace("85123A", "gift_0001_20")),
        ("service code, not a product", GOOD.replace("85123A", "C2")),
        ("service code, not a product", GOOD.replace("85123A", "23444")),
        ("exact duplicate of another row", GOOD),
    ],
)
def test_unusable_row_is_dropped_under_its_reason(tmp_path: Path, reason: str, row: str) -> None:
    shop = read_rows(tmp_path, GOOD, row)
    assert shop.events.height == 1
    assert {name: count for name, count in shop.dropped.dropped.items() if count} == {reason: 1}


def test_row_that_differs_in_quantity_is_no_duplicate(tmp_path: Path) -> None:
    assert read_rows(tmp_path, GOOD, GOOD.replace(",6,", ",7,")).events.height == 2


@pytest.mark.parametrize("code", ["85123a", "85123A", " 85123A"])
def test_stock_codes_differing_in_case_are_one_product(tmp_path: Path, code: str) -> None:
    shop = read_rows(tmp_path, GOOD, sale(code))
    assert shop.events["item_id"].to_list() == ["85123A", "85123A"]
    assert shop.items["item_id"].to_list() == ["85123A"]


@pytest.mark.parametrize("code", ["22423", "85123A", "15056BL", "DCGSSGIRL"])
def test_product_codes_are_kept(tmp_path: Path, code: str) -> None:
    assert read_rows(tmp_path, sale(code)).items["item_id"].to_list() == [code]


def test_title_is_the_most_frequent_description_and_text_tells_the_others(tmp_path: Path) -> None:
    rows = [sale(quantity="1"), sale(quantity="2"), sale(description="REGENCY  CAKESTAND ")]
    items = read_rows(tmp_path, *rows).items
    assert items.select("title", "text").row(0) == ("CAKESTAND", "CAKESTAND. REGENCY CAKESTAND")


def test_descriptions_of_equal_frequency_are_taken_in_alphabetical_order(tmp_path: Path) -> None:
    items = read_rows(tmp_path, sale(description="ZINC TRAY"), sale(description="ALUMINIUM TRAY")).items
    assert items["title"].item() == "ALUMINIUM TRAY"


@pytest.mark.parametrize(
    "note", ["damaged", "?", "wrongly coded 20713", "check", "FOUND", "thrown away", "ebay"]
)
def test_stock_notes_are_not_text(tmp_path: Path, note: str) -> None:
    items = read_rows(tmp_path, *(sale(description=note, quantity=q) for q in "12"), sale()).items
    assert items.select("title", "text").row(0) == ("CAKESTAND", "CAKESTAND")


@pytest.mark.parametrize("title", ["CHRISTMAS STOCKING", "DOTCOMGIFTSHOP TEA TOWEL", "TEST TUBE VASE"])
def test_titles_that_look_like_stock_notes_are_kept(tmp_path: Path, title: str) -> None:
    assert read_rows(tmp_path, sale(description=title)).items["title"].item() == title


def test_item_with_only_notes_keeps_its_code_as_title(tmp_path: Path) -> None:
    items = read_rows(tmp_path, sale(description="damaged")).items
    assert items.select("item_id", "title", "text").row(0) == ("22423", "22423", "")


def test_price_is_the_median_unit_price(tmp_path: Path) -> None:
    items = read_rows(tmp_path, *(sale(price=price) for price in ("1.0", "4.0", "9.0"))).items
    assert items["price"].item() == 4.0


@pytest.mark.skipif(not REAL_FILE.is_file(), reason="STILLROOM_ONLINE_RETAIL does not name the real table")
def test_real_table_has_the_known_counts() -> None:
    shop = read_shop(REAL_FILE)
    dropped = shop.dropped.dropped
    by_convention = ("missing customer", "cancellation", "non-positive quantity", "non-positive price")
    assert shop.dropped.n_read == 541_909
    # The customary cleaning of this table leaves 397,884 rows; we go on from there.
    assert shop.dropped.n_read - sum(dropped[reason] for reason in by_convention) == 397_884
    assert dropped["service code, not a product"] == 1_629
    assert dropped["exact duplicate of another row"] == 5_187
    assert (shop.events.height, shop.n_people, shop.items.height) == (391_068, 4_334, 3_657)
    assert shop.items.filter(title="item_id").height == 0
