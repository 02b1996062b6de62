import os
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from models.history import EventKind
from training.base.errors import SourceUnreadable
from training.data.inspect import inspect_shop
from training.data.options import ReadingOptions
from training.data.read import read_shop
from training.data.shop import ROWLESS, Shop

BUNS: dict[str, Any] = {
    "product_id": 826249,
    "manufacturer_id": 69,
    "department": "GROCERY",
    "brand": "Private",
    "product_category": "BAKED BREAD/BUNS/ROLLS",
    "product_type": "HAMBURGER BUNS",
    "package_size": "12 OZ",
}
LEAN = BUNS | {
    "product_id": 1044078,
    "department": "MEAT",
    "brand": "National",
    "product_category": "BEEF",
    "product_type": "LEAN",
    "package_size": None,
}
SALE: dict[str, Any] = {
    "household_id": 900,
    "store_id": 330,
    "basket_id": 31198570044,
    "product_id": 826249,
    "quantity": 2,
    "sales_value": 3.0,
    "retail_disc": 0.0,
    "coupon_disc": 0.0,
    "coupon_match_disc": 0.0,
    "week": 1,
    "transaction_timestamp": datetime(2017, 1, 1, 11, 53, 26),
}
NOON_UNIX = 1_483_271_606

REAL_FOLDER = Path(os.environ.get("STILLROOM_COMPLETE_JOURNEY", "data/complete-journey"))


def write_tables(folder: Path, sales: list[dict[str, Any]], products: list[dict[str, Any]]) -> Path:
    """Write the two tables with the types that the published ones have."""
    folder.mkdir(parents=True, exist_ok=True)
    times = pl.col("transaction_timestamp").cast(pl.Datetime("ns"))
    pl.DataFrame(sales, infer_schema_length=None).with_columns(times).write_parquet(
        folder / "transactions.parquet"
    )
    pl.DataFrame(products, infer_schema_length=None).write_parquet(folder / "products.parquet")
    return folder


def read(tmp_path: Path, *sales: dict[str, Any], products: tuple[dict[str, Any], ...] = (BUNS, LEAN)) -> Shop:
    return read_shop(write_tables(tmp_path / "journey", list(sales), list(products)))


def item(shop: Shop, item_id: str) -> dict[str, Any]:
    [row] = shop.items.filter(pl.col("item_id") == item_id).to_dicts()
    return row


def test_sale_becomes_a_purchase(tmp_path: Path) -> None:
    shop = read(tmp_path, SALE)
    assert shop.layout == "The Complete Journey, journey"
    assert shop.events.rows() == [("900", "826249", NOON_UNIX, EventKind.PURCHASE, 3.0)]


def test_zip_with_further_tables_is_recognised_too(tmp_path: Path) -> None:
    folder = write_tables(tmp_path / "journey", [SALE], [BUNS])
    demographics = tmp_path / "demographics.parquet"
    pl.DataFrame({"household_id": [900], "age": ["25-34"]}).write_parquet(demographics)
    archive = tmp_path / "journey.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in (*folder.iterdir(), demographics):
            zipped.write(path, f"package/data/{path.name}")
    shop = read_shop(archive)
    assert (shop.layout, shop.events.height) == ("The Complete Journey, journey.zip", 1)
    uses = {(use.table, use.column): use.use for use in shop.columns}
    assert uses["demographics.parquet", "age"] == ""
    assert uses["transactions.parquet", "household_id"] == "person"


def test_tables_without_a_column_of_theirs_are_read_as_any_shop(tmp_path: Path) -> None:
    products = {name: value for name, value in BUNS.items() if name != "product_type"}
    shop = read(tmp_path, SALE, products=(products,))
    assert not shop.layout.startswith("The Complete Journey")
    assert shop.events.height == 1


@pytest.mark.parametrize(
    ("reason", "change", "product"),
    [
        ("missing user", {"household_id": None}, {}),
        ("missing item", {"product_id": None}, {}),
        ("unreadable time", {"transaction_timestamp": None}, {}),
        ("unreadable quantity or value", {"quantity": None}, {}),
        ("unreadable quantity or value", {"sales_value": float("nan")}, {}),
        ("return: negative quantity or value", {"quantity": -1}, {}),
        ("return: negative quantity or value", {"sales_value": -1.5}, {}),
        ("quantity 0: nothing was taken home", {"quantity": 0}, {}),
        ("quantity 0: nothing was taken home", {"quantity": 0, "sales_value": 0.0}, {}),
        ("fuel", {"product_id": 1}, {"department": "FUEL", "product_category": "FUEL"}),
        ("fuel", {"product_id": 1}, {"product_type": "GASOLINE-REG UNLEADED"}),
        (
            "coupon, gift card or supply, not a product",
            {"product_id": 1},
            {"product_category": "COUPON/MISC ITEMS"},
        ),
        (
            "coupon, gift card or supply, not a product",
            {"product_id": 1},
            {"product_category": "BOTTLE DEPOSITS"},
        ),
    ],
)
def test_unusable_row_is_dropped_under_its_reason(
    tmp_path: Path, reason: str, change: dict[str, Any], product: dict[str, Any]
) -> None:
    shop = read(tmp_path, SALE, SALE | change, products=(BUNS, BUNS | {"product_id": 1} | product))
    assert shop.events.height == 1
    assert {name: count for name, count in shop.dropped.dropped.items() if count} == {reason: 1}


def test_product_given_for_nothing_stays_is_counted_and_does_not_lower_its_price(tmp_path: Path) -> None:
    shop = read(tmp_path, SALE, SALE | {"sales_value": 0.0, "household_id": 901})
    assert shop.events.height == 2
    assert shop.dropped.notes == {"product given for nothing": 1}
    assert item(shop, "826249")["price"] == pytest.approx(1.5)


def test_price_is_the_median_of_what_one_piece_brought(tmp_path: Path) -> None:
    sales = [SALE | {"quantity": n, "sales_value": value} for n, value in ((1, 2.0), (2, 2.0), (4, 40.0))]
    assert item(read(tmp_path, *sales), "826249")["price"] == pytest.approx(2.0)


def test_item_has_a_title_that_people_read_and_its_category(tmp_path: Path) -> None:
    shop = read(tmp_path, SALE, SALE | {"product_id": 1044078})
    buns, lean = item(shop, "826249"), item(shop, "1044078")
    assert buns["title"] == "Hamburger buns, 12 oz, store brand"
    assert buns["category"] == "Baked bread/buns/rolls"
    assert "grocery" in buns["text"]
    assert (lean["title"], lean["category"]) == ("Lean (beef)", "Beef")


def test_brand_department_kind_and_size_are_attributes(tmp_path: Path) -> None:
    attributes = read(tmp_path, SALE).attributes
    [buns] = attributes.filter(pl.col("item_id") == "826249").to_dicts()
    assert (buns["brand"], buns["department"], buns["package_size"]) == (["Private"], ["GROCERY"], ["12 OZ"])
    assert attributes.columns == ["item_id", "department", "brand", "product_type", "package_size"]


def test_size_of_a_crate_is_not_that_of_what_is_sold(tmp_path: Path) -> None:
    banana = BUNS | {
        "product_id": 1082185,
        "department": "PRODUCE",
        "brand": "National",
        "product_category": "TROPICAL FRUIT",
        "product_type": "BANANAS",
        "package_size": "40 LB",
    }
    berries = banana | {"product_id": 2, "product_type": "STRAWBERRIES", "package_size": "16 OZ"}
    shop = read(
        tmp_path, SALE | {"product_id": 1082185}, SALE | {"product_id": 2}, products=(banana, berries)
    )
    assert item(shop, "1082185")["title"] == "Bananas (tropical fruit)"
    assert item(shop, "2")["title"] == "Strawberries (tropical fruit), 16 oz"


def test_product_that_nobody_bought_is_no_item(tmp_path: Path) -> None:
    assert read(tmp_path, SALE).items["item_id"].to_list() == ["826249"]


def test_product_of_which_nothing_is_known_is_not_recommended(tmp_path: Path) -> None:
    unknown = BUNS | {"product_id": 5, "product_category": None, "product_type": None}
    shop = read(tmp_path, SALE, SALE | {"product_id": 5}, SALE | {"product_id": 77}, products=(BUNS, unknown))
    assert shop.events.height == 3
    assert shop.items.filter("is_listed")["item_id"].to_list() == ["826249"]
    assert shop.dropped.notes == {ROWLESS: 2}


def test_product_without_a_category_is_described_by_its_department(tmp_path: Path) -> None:
    wedge = BUNS | {
        "department": "CHEF SHOPPE",
        "brand": "National",
        "product_category": None,
        "product_type": "WEDGES",
        "package_size": None,
    }
    row = item(read(tmp_path, SALE, products=(wedge,)), "826249")
    assert (row["title"], row["category"]) == ("Wedges (chef shoppe)", None)


def test_damaged_table_is_refused(tmp_path: Path) -> None:
    folder = write_tables(tmp_path / "journey", [SALE], [BUNS])
    whole = (folder / "products.parquet").read_bytes()
    (folder / "products.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceUnreadable, match=r"products\.parquet"):
        read_shop(folder)


def test_inspect_says_what_was_understood(tmp_path: Path) -> None:
    folder = write_tables(tmp_path / "journey", [SALE, SALE | {"quantity": 0}], [BUNS])
    lines, is_ready = inspect_shop(folder, None, ReadingOptions())
    assert is_ready
    assert any("1 of 2 rows kept" in line for line in lines)
    assert any("Hamburger buns" in line for line in lines)


@pytest.mark.skipif(
    not REAL_FOLDER.is_dir(), reason="fetch it with `python -m training download complete-journey`"
)
def test_published_tables_hold_what_is_known_of_them() -> None:
    shop = read_shop(REAL_FOLDER)
    assert (shop.dropped.n_read, shop.dropped.n_kept, shop.n_people) == (1_469_307, 1_442_742, 2_467)
    assert shop.items.height == 68_108
    assert item(shop, "1082185")["title"] == "Bananas (tropical fruit)"
