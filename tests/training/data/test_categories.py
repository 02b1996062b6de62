"""Categories in any form keep their names and stay several."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from training.data.meaning.categories import members_of
from training.data.read import read_shop
from training.data.shop import Shop

EVENTS = "user_id,item_id,time\n" + "".join(
    f"u{row % 5},{'abc'[row % 3]},17000{row:05}\n" for row in range(30)
)


def shop_of(folder: Path, items: str, name: str = "items.csv") -> Shop:
    (folder / "events.csv").write_text(EVENTS)
    (folder / name).write_text(items)
    return read_shop(folder / "events.csv", items=folder / name)


def told(shop: Shop) -> dict[str, tuple[str | None, list[str] | None]]:
    """The category and the categories of each item."""
    both = shop.items.join(shop.attributes, on="item_id", how="left")
    several = both["categories"] if "categories" in both.columns else [None] * both.height
    return {
        item: (first, None if words is None else sorted(words))
        for item, first, words in zip(both["item_id"], both["category"], several, strict=True)
    }


@pytest.mark.parametrize(
    ("cell", "members"),
    [
        ("Shoes [Sale]", ["Shoes [Sale]"]),
        ("[Sale] Shoes", ["[Sale] Shoes"]),
        ("Ladies'", ["Ladies'"]),
        ('"Kid\'s Toys"', ["Kid's Toys"]),
        ("Doctors, Health & Medical", ["Doctors, Health & Medical"]),
        ('["", "B"]', ["B"]),
        ('[null, "B"]', ["B"]),
        ("[None, 'B']", ["B"]),
        ("[A, B]", ["A", "B"]),
        ("|B|B", ["B"]),
        ("unknown|B", ["B"]),
        ('[["Clothing", "Shoes"], ["Sale"]]', ["Clothing", "Shoes", "Sale"]),
        ('[{"id": 1, "title": "Toys"}, {"id": 2, "label": "Sale"}]', ["Toys", "Sale"]),
        ('[{"name": "Toys", "parent": {"name": "All"}}]', ["Toys"]),
        (r"['Women\'s']", ["Women's"]),
        ('["Home, Garden", "Toys"]', ["Home, Garden", "Toys"]),
        ("A > B›C; D", ["A > B > C", "D"]),
        ("(no genres listed)", []),
        ("[]", []),
    ],
)
def test_names_of_categories_are_kept_as_they_are(cell: str, members: list[str]) -> None:
    assert members_of(cell) == members


def test_a_comma_without_a_blank_parts_genres_for_category_and_categories_alike(tmp_path: Path) -> None:
    shop = shop_of(tmp_path, 'item_id,title,genres\na,X,"Action,Comedy"\nb,Y,Drama\nc,Z,\n')
    assert told(shop) == {"a": ("Action", ["Action", "Comedy"]), "b": ("Drama", ["Drama"]), "c": (None, None)}


def test_an_empty_row_of_an_item_does_not_hide_the_categories_of_the_next(tmp_path: Path) -> None:
    items = "item_id,title,category,department\na,Shirt,,\na,Shirt,Men|Sale,Clothing\nb,X,Z,Y\nc,W,Z|V,\n"
    assert told(shop_of(tmp_path, items))["a"] == ("Men", ["Clothing", "Men", "Sale"])


def test_several_categories_far_down_a_table_are_seen(tmp_path: Path) -> None:
    rows = "".join(f"i{row},T{row},Solo\n" for row in range(2_500))
    shop = shop_of(tmp_path, f"item_id,title,category\n{rows}a,X,Late|Other\nb,Y,Solo\nc,Z,Solo\n")
    assert told(shop)["a"] == ("Late", ["Late", "Other"])


def test_more_categories_than_an_attribute_has_words_are_all_there(tmp_path: Path) -> None:
    many = "|".join(f"c{number:02}" for number in range(60))
    long = "x" * 200
    shop = shop_of(tmp_path, f"item_id,title,category\na,X,{many}\nb,Y,{long}\nc,Z,c01\n")
    assert len(told(shop)["a"][1] or []) == 60
    assert told(shop)["b"] == (long, [long])


@pytest.mark.parametrize("key", ["categories", "category", "tags"])
@pytest.mark.parametrize("is_json", [True, False])
def test_objects_that_are_categories_make_no_rows(tmp_path: Path, key: str, is_json: bool) -> None:
    named = "name" if key != "tags" else "title"
    items: list[dict[str, Any]] = [
        {
            "sku": each,
            "product_name": f"P {each}",
            key: [{"id": 1, named: "Light, big"}, {"id": 2, named: "Home"}],
        }
        for each in "abc"
    ]
    (tmp_path / "events.csv").write_text(EVENTS)
    path = tmp_path / ("items.json" if is_json else "items.parquet")
    if is_json:
        path.write_text(json.dumps(items))
    else:
        pl.DataFrame(items).write_parquet(path)
    shop = read_shop(tmp_path / "events.csv", items=path)
    assert shop.items["title"].to_list() == ["P a", "P b", "P c"]
    assert not [note for note in shop.dropped.notes if "repeats" in note]
    if key == "tags":
        assert "Light, big" in shop.items["text"][0]
    else:
        assert told(shop)["a"] == ("Light, big", ["Home", "Light, big"])


@pytest.mark.parametrize("nobody", ["0", "-1", "NULL", "", "0.0"])
def test_items_without_a_parent_do_not_inherit_from_each_other(tmp_path: Path, nobody: str) -> None:
    rows = f"a,Lamp,Light,5,{nobody}\nb,Chair,,6,{nobody}\nc,Fork,,7,{nobody}\n"
    items = f"item_id,title,category,price,parent_id\n{rows}"
    shop = shop_of(tmp_path, items)
    assert shop.items["category"].to_list() == ["Light", None, None]


def test_a_variant_inherits_from_its_parent_and_not_from_its_sibling(tmp_path: Path) -> None:
    items = (
        "item_id,title,category,parent_id,colour\na,Shirt,Men|Sale,p1,\nb,,,p1,red\nc,,,p1,\np9,Hat,Hats,,green\n"
        "d,,,p9,\ne,Cap,,p9,blue\n"
    )
    shop = shop_of(tmp_path, items)
    assert dict(shop.items.select("item_id", "title").rows()) | {"p9": "Hat"} == {
        **{"a": "Shirt", "b": "Shirt", "c": "Shirt", "d": "Hat", "e": "Cap", "p9": "Hat"}
    }
    assert told(shop)["b"] == ("Men", ["Men", "Sale"])
    assert told(shop)["d"] == ("Hats", ["Hats"])
    colours = dict(shop.attributes.select("item_id", "colour").rows())
    assert (colours["b"], colours["c"], colours["d"], colours["e"]) == (["red"], None, ["green"], ["blue"])
