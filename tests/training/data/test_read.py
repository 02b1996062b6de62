import zipfile
from pathlib import Path

import pytest

from training.base.errors import SourceUnreadable
from training.data.options import reading_options
from training.data.read import read_shop

EVENTS = "user_id,item_id,time\nu,i,1719835200\n"
ITEMS = "item_id,title\ni,Stool\n"
RETAIL = (
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
    "536365,71053,LANTERN,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom\n"
)


def test_online_retail_is_recognised_by_its_header(tmp_path: Path) -> None:
    source = tmp_path / "sales.csv"
    source.write_text(RETAIL)
    shop = read_shop(source)
    assert (shop.name, shop.layout) == ("online-retail", "UCI Online Retail, sales.csv")


def test_mapping_makes_any_table_a_plain_one(tmp_path: Path) -> None:
    source = tmp_path / "sales.csv"
    source.write_text(RETAIL)
    shop = read_shop(
        source, options=reading_options(columns="user_id=CustomerID,item_id=StockCode,time=InvoiceDate")
    )
    assert shop.layout.startswith("sales.csv")
    assert shop.events["user_id"].to_list() == ["17850"]


def test_movielens_zip_is_recognised(tmp_path: Path) -> None:
    source = tmp_path / "download.zip"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("ml-1m/ratings.dat", "1::2::3::978300760\n")
        archive.writestr("ml-1m/movies.dat", "2::Toy Story (1995)::Comedy\n")
        archive.writestr("ml-1m/users.dat", "1::F::1::10::48067\n")
    assert read_shop(source).layout == "MovieLens (movielens-1m), download.zip"


def test_table_is_read_with_its_items(tmp_path: Path) -> None:
    source, items = tmp_path / "corner.csv", tmp_path / "items.csv"
    source.write_text(EVENTS)
    items.write_text(ITEMS)
    shop = read_shop(source, items=items)
    assert (shop.name, shop.items["title"].to_list()) == ("corner", ["Stool"])


def test_stillroom_folder_brings_its_items(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text(EVENTS)
    (tmp_path / "items.csv").write_text(ITEMS)
    shop = read_shop(tmp_path)
    assert (shop.name, shop.items["title"].to_list()) == (tmp_path.name, ["Stool"])


def test_folder_without_items_is_read(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text(EVENTS)
    assert read_shop(tmp_path).items["title"].to_list() == ["i"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty", None, r"empty holds no table: it has nothing\. Tables end in \.csv"),
        ("photo.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" * 20, "binary data"),
        ("words.csv", b"nothing", r"no table has a column of people.*'column_1'"),
        ("broken.zip", b"PK\x03\x04 and then nothing", r"broken\.zip"),
    ],
)
def test_what_is_no_shop_is_refused_by_what_it_is(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    source = tmp_path / name
    if content is None:
        source.mkdir()
    else:
        source.write_bytes(content)
    with pytest.raises(SourceUnreadable, match=said):
        read_shop(source)


def test_path_to_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match="There is nothing at"):
        read_shop(tmp_path / "absent.csv")
