"""What stops the reading, by which name it is accepted, and that docs/data.md has every name."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from training.base.errors import DataLost
from training.data.checks import reason_name
from training.data.left_out import ON_PURPOSE, drop_reasons
from training.data.options import reading_options
from training.data.read import read_shop

ROOT = Path(__file__).parents[3]


def test_every_name_that_can_be_accepted_is_documented() -> None:
    page = (ROOT / "docs" / "data.md").read_text()
    names = {reason_name(reason) for reason in drop_reasons() if reason not in {*ON_PURPOSE, "unknown kind"}}
    assert {
        name
        for name in {
            *names,
            "unknown-kinds",
            "unmet-items",
            "unused-title",
            "numbered-items",
            "several-items",
        }
        if f"`{name}`" not in page
    } == set()


@pytest.mark.parametrize(
    ("n_lost", "stops"),
    [(9, False), (10, True)],
)
def test_a_tenth_of_the_rows_for_one_reason_is_a_question(tmp_path: Path, n_lost: int, stops: bool) -> None:
    rows = [f"{'' if place < n_lost else 'u'},i{place},{1_700_000_000 + place}" for place in range(100)]
    (tmp_path / "orders.csv").write_text("user_id,item_id,time\n" + "\n".join(rows) + "\n")
    if stops:
        with pytest.raises(
            DataLost, match=r"10 of 100 rows \(10%\).*missing user, first in line 2.*missing-user"
        ):
            read_shop(tmp_path / "orders.csv")
    shop = read_shop(tmp_path / "orders.csv", options=reading_options(accept="missing-user" if stops else ""))
    assert shop.events.height == 100 - n_lost


@pytest.mark.parametrize(("n_rows", "stops"), [(10, True), (10_000, False)])
def test_a_kind_that_disappears_is_a_question_unless_it_is_a_slip(
    tmp_path: Path, n_rows: int, stops: bool
) -> None:
    rows = [
        f"u,i{place},{1_700_000_000 + place},{'stare' if place < 3 else 'view'}" for place in range(n_rows)
    ]
    (tmp_path / "log.csv").write_text("user_id,item_id,time,event\n" + "\n".join(rows) + "\n")
    if stops:
        with pytest.raises(DataLost, match=r"'stare' \(3 rows\).*--kinds stare=view"):
            read_shop(tmp_path / "log.csv")
        shop = read_shop(tmp_path / "log.csv", options=reading_options(kinds="stare=cart"))
        assert shop.events["kind"].to_list().count(2) == 3
    else:
        assert read_shop(tmp_path / "log.csv").dropped.dropped["unknown kind"] == 3


def test_a_column_that_looks_like_a_title_is_not_left_out_in_silence(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("user_id,item_id,time\nu,a,1700000000\nu,b,1700000001\n")
    (tmp_path / "items.csv").write_text("item_id,was,price\na,Red ceramic vase,3\nb,Blue oak stool,4\n")
    with pytest.raises(
        DataLost, match=r"'was' of items\.csv looks like a title.*item_title=was.*unused-title"
    ):
        read_shop(tmp_path)
    named = read_shop(tmp_path, options=reading_options(columns="item_title=was"))
    assert named.items["title"].to_list() == ["Red ceramic vase", "Blue oak stool"]
    left_out = read_shop(tmp_path, options=reading_options(accept="unused-title"))
    assert left_out.items["title"].to_list() == ["a", "b"]


def test_items_of_an_order_beside_each_other_are_not_lost_in_silence(tmp_path: Path) -> None:
    header = "customer_email,order_date,Item 1 SKU,Item 2 SKU"
    (tmp_path / "orders.csv").write_text(f"{header}\na@x.io,2024-01-02,V,P\nb@x.io,2024-01-03,V,Q\n")
    columns = "item_id=Item 1 SKU"
    with pytest.raises(
        DataLost, match=r"'Item 1 SKU', 'Item 2 SKU' hold the items of one order.*numbered-items"
    ):
        read_shop(tmp_path / "orders.csv", options=reading_options(columns=columns))
    shop = read_shop(
        tmp_path / "orders.csv", options=reading_options(columns=columns, accept="numbered-items")
    )
    assert shop.events["item_id"].to_list() == ["V", "V"]


def test_visits_without_an_account_in_an_exported_log_stop_nothing(tmp_path: Path) -> None:
    (tmp_path / "interactions").mkdir()
    rows = {
        "event_id": [f"{number:032x}-0" for number in range(20)],
        "user_id": [None if number % 2 else "u" for number in range(20)],
        "session_id": ["s"] * 20,
        "item_id": [f"i{number}" for number in range(20)],
        "kind": ["view"] * 20,
        "time": [1_700_000_000 + number for number in range(20)],
        "received_ms": [1_700_000_000_000 + number for number in range(20)],
    }
    pl.DataFrame(rows).write_parquet(tmp_path / "interactions" / "part-0.parquet")
    shop = read_shop(tmp_path)
    assert (shop.events.height, shop.dropped.dropped["missing user"]) == (10, 10)


def test_a_column_of_hundreds_of_words_is_no_column_of_kinds(tmp_path: Path) -> None:
    rows = [f"u,i{place},{1_700_000_000 + place},word {place}" for place in range(600)]
    (tmp_path / "log.csv").write_text("user_id,item_id,time,note\n" + "\n".join(rows) + "\n")
    with pytest.raises(DataLost, match=r"'further words' \(345 rows\)"):
        read_shop(tmp_path / "log.csv", options=reading_options(columns="kind=note"))


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ("guest,i,1700000000,view", "missing-user"),
        ("u,i,soon,view", "unreadable-time"),
        ("u,i,1700000000,stare", "unknown-kinds"),
    ],
)
def test_a_row_or_two_of_which_none_is_left_stop(tmp_path: Path, row: str, name: str) -> None:
    (tmp_path / "log.csv").write_text(f"user_id,item_id,time,event\n{row}\n")
    with pytest.raises(DataLost, match=f"--accept {name}"):
        read_shop(tmp_path / "log.csv")


@pytest.mark.parametrize(
    "cells", [("a|b|c", "a|b", "c"), ("a;b", "c;d;e"), ('["a", "b"]', '["c"]', '["a", "b", "d"]')]
)
def test_several_items_in_a_cell_are_not_read_as_one_in_silence(
    tmp_path: Path, cells: tuple[str, ...]
) -> None:
    table = pl.DataFrame(
        {
            "user_id": ["u"] * len(cells),
            "product_id": cells,
            "time": range(1_700_000_000, 1_700_000_000 + len(cells)),
        }
    )
    table.write_csv(tmp_path / "orders.csv", separator="\t")
    with pytest.raises(
        DataLost, match=r"'product_id' hold several items.*write one row an item.*several-items"
    ):
        read_shop(tmp_path / "orders.csv")


def test_ids_that_are_made_of_parts_are_ids(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("user_id;sku;time\nu;shoe|42;1700000000\nv;shoe|43;1700000001\n")
    assert read_shop(tmp_path / "orders.csv").events["item_id"].to_list() == ["shoe|42", "shoe|43"]
