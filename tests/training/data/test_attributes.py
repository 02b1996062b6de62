"""Columns of an item table that are no field: each becomes an attribute of one kind, or is left out and says why."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from models.attributes import CATEGORIES
from training.data.attributes import attributes_of
from training.data.columns import column_lines
from training.data.dataset import index_shop
from training.data.meaning.attributes import (
    MAX_ATTRIBUTES,
    MAX_CHARACTERS,
    MAX_VALUES,
    MAX_WORDS,
    typed_attributes,
    words_of,
)
from training.data.options import reading_options
from training.data.read import read_shop


def read(
    values: list[str | None], *, name: str = "size", are_named: bool = False
) -> tuple[pl.DataFrame, dict[str, int]]:
    """A table with this one column, and what was noted."""
    raw = pl.DataFrame(
        {"item_id": [f"i{row}" for row in range(len(values))], name: pl.Series(values, dtype=pl.String)}
    )
    told = typed_attributes(raw, are_named=are_named)
    return told.table, told.notes


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["small", "large", "small"], pl.List(pl.String)),
        (["1", "2.5", "1,000"], pl.Float32),
        (["yes", "no", None], pl.Boolean),
        (["0", "1", "1"], pl.Boolean),
        (["TRUE", "False", "true"], pl.Boolean),
        (["1", "2", "1"], pl.Float32),
        (["500 g", "1 kg", "500 g"], pl.List(pl.String)),
    ],
)
def test_an_attribute_has_one_kind(values: list[str | None], kind: pl.DataType) -> None:
    table, notes = read(values)
    assert table.schema["size"] == kind
    assert notes == {}


def test_yes_and_no_in_any_language_keep_their_sense() -> None:
    assert read(["ja", "nein", None, "ja"])[0]["size"].to_list() == [True, False, None, True]


def test_a_few_words_among_numbers_are_unknown_and_counted() -> None:
    values: list[str | None] = [*map(str, range(98)), "n.v.", "tbd"]
    table, notes = read(values)
    assert table["size"].null_count() == 2
    assert notes == {"value of the attribute size that is no number, taken as unknown": 2}


def test_numbers_and_words_in_one_column_are_words() -> None:
    assert read(["1", "2", "red", "1"])[0]["size"].to_list() == [["1"], ["2"], ["red"], ["1"]]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("Oak", ["Oak"]),
        ("Oak | Pine|Oak", ["Oak", "Pine"]),
        ("Oak; Pine", ["Oak", "Pine"]),
        ('["Oak", "Pine"]', ["Oak", "Pine"]),
        ("['Oak', 'Pine']", ["Oak", "Pine"]),
        ("Home > Light > Lamps", ["Home", "Home > Light", "Home > Light > Lamps"]),
        ("Home>Light | Sale", ["Home", "Home > Light", "Sale"]),
        ("Doctors, Health", ["Doctors, Health"]),
        (" | ; ", []),
    ],
)
def test_sets_and_paths_are_several_words(cell: str, words: list[str]) -> None:
    assert words_of(cell) == words


def test_what_one_item_may_say_is_bounded() -> None:
    assert len(words_of("|".join(map(str, range(10_000))))) == MAX_WORDS
    assert len(words_of("x" * 10_000)[0]) == MAX_CHARACTERS


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("size", [None, None, None], "is empty throughout"),
        ("size", ["x", "x", "x"], "says the same of every item"),
        ("Min Price", ["1", "2", "3"], "no attribute can be called min_price, which is a field of an item"),
        ("size", [f"code-{row}" for row in range(60)], "says something else of every item"),
    ],
)
def test_a_column_that_cannot_be_one_says_why(name: str, values: list[str | None], reason: str) -> None:
    table, notes = read(values, name=name)
    assert table.columns == ["item_id"]
    [(note, count)] = notes.items()
    assert note.startswith(f"column {name}: {reason}")
    assert count == len(values)


def test_a_column_with_too_many_values_says_how_many_are_allowed() -> None:
    values: list[str | None] = [f"v{row // 3}" for row in range(3 * (MAX_VALUES + 1))]
    [note] = read(values)[1]
    assert note.endswith(
        f"has {MAX_VALUES + 1:,} different values, {MAX_VALUES:,} allowed; group them in the table"
    )


def test_two_columns_of_one_name_are_one_attribute_and_a_note() -> None:
    raw = pl.DataFrame({"item_id": ["a", "b"], "Size": ["s", "m"], "size": ["1", "2"]})
    told = typed_attributes(raw)
    assert told.table.columns == ["item_id", "size"]
    assert told.table["size"].to_list() == [["s"], ["m"]]
    assert list(told.notes) == [
        "column size: another column is the attribute size already; rename one of them to have both read"
    ]


def test_no_more_attributes_are_read_than_a_model_can_bear() -> None:
    raw = pl.DataFrame(
        {"item_id": ["a", "b"], **{f"c{row}": ["s", "m"] for row in range(MAX_ATTRIBUTES + 2)}}
    )
    told = typed_attributes(raw)
    assert told.table.width == 1 + MAX_ATTRIBUTES
    assert len(told.notes) == 2


def test_sentences_are_text_unless_somebody_names_them() -> None:
    values: list[str | None] = [f"A long story about item {row}" for row in range(60)]
    raw = pl.DataFrame({"item_id": [f"i{row}" for row in range(60)], "story": values})
    assert typed_attributes(raw).texts == ("story",)
    assert typed_attributes(raw, are_named=True).table.columns == ["item_id", "story"]


EVENTS = "user_id,item_id,time,kind\n" + "".join(
    f"u{row % 7},i{row % 60},{1_700_000_000 + row},view\n" for row in range(200)
)


def item_table(folder: Path) -> Path:
    (folder / "events.csv").write_text(EVENTS)
    brands, said = ("Old Oak", "Fenn"), ("no", "yes", "yes")
    rows = [
        f"i{row},Lamp {row},light,{row}.5,{brands[row % 2]},{row % 5 * 100},{said[row % 3]},x/{row}"
        for row in range(60)
    ]
    (folder / "items.csv").write_text(
        "item_id,title,category,price,Brand,Weight in g,organic,image_url\n" + "\n".join(rows) + "\n"
    )
    return folder


def test_columns_of_an_item_table_become_attributes_by_item(tmp_path: Path) -> None:
    shop = read_shop(item_table(tmp_path))
    dataset = index_shop(shop)
    row = dataset.items.find("i3")
    assert row is not None
    assert dataset.catalogue.attributes.terms(row) == ["brand=Fenn", "weight_in_g=~3", "organic=no"]
    assert dataset.catalogue.texts[row].endswith("\x1fbrand=Fenn\x1fweight_in_g=~3\x1forganic=no")
    line = column_lines(shop.columns)[-1]
    assert "Weight in g (attribute weight_in_g, number)" in line
    assert line.endswith("not used: image_url")


def test_named_attributes_are_the_only_ones(tmp_path: Path) -> None:
    options = reading_options(columns="item_attributes=organic")
    shop = read_shop(item_table(tmp_path), options=options)
    assert shop.attributes.columns == ["item_id", "organic"]


def test_an_item_without_a_row_has_no_attributes(tmp_path: Path) -> None:
    told = read_shop(item_table(tmp_path)).attributes
    assert attributes_of(told, ["i1", "nowhere"]).terms(1) == []


def test_lists_of_a_columnar_file_are_sets(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(EVENTS)
    ids = [f"i{row}" for row in range(60)]
    lists = [["oak", "pine"] if row % 2 else ["oak"] for row in range(60)]
    pl.DataFrame({"item_id": ids, "title": ids, "woods": lists}).write_parquet(tmp_path / "items.parquet")
    woods = read_shop(tmp_path).attributes["woods"]
    assert woods.to_list()[:2] == [["oak"], ["oak", "pine"]]


def test_what_a_variant_leaves_out_is_its_parents(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(EVENTS)
    rows = [f"i{row},p{row // 2},Lamp {row // 2},{'' if row % 2 else f'b{row % 3}'}" for row in range(60)]
    (tmp_path / "items.csv").write_text("item_id,parent_id,title,brand\n" + "\n".join(rows) + "\n")
    brands = dict(read_shop(tmp_path).attributes.select("item_id", pl.col("brand").list.first()).rows())
    assert brands["i1"] == brands["i0"] == "b0"


def test_nested_cells_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(EVENTS)
    items = [
        {"item_id": f"i{row}", "title": f"t{row}", "size": {"a": row}, "hue": "red" if row % 2 else "tan"}
        for row in range(60)
    ]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, items)))
    assert "hue" in read_shop(tmp_path).attributes.columns


@pytest.mark.parametrize(
    ("column", "cells", "first", "all_of_them"),
    [
        ("genres", ["Animation|Comedy", "Drama", "(no genres listed)"], "Animation", ["Animation", "Comedy"]),
        ("genres", ["Animation, Comedy", "Drama", "null"], "Animation", ["Animation", "Comedy"]),
        ("categories", ["['Animation', 'Comedy']", "['Drama']", "[]"], "Animation", ["Animation", "Comedy"]),
        (
            "genres",
            [
                "[{'id': 1, 'name': 'Animation'}, {'id': 2, 'name': 'Comedy'}]",
                "[{'id': 3, 'name': 'Drama'}]",
                "",
            ],
            "Animation",
            ["Animation", "Comedy"],
        ),
        (
            "category",
            ["Home > Light > Lamps", "Drama", ""],
            "Home",
            ["Home", "Home > Light", "Home > Light > Lamps"],
        ),
        ("category", ["Home > Light; Gifts", "Drama", "-"], "Home", ["Gifts", "Home", "Home > Light"]),
    ],
)
def test_several_categories_stay_several(
    tmp_path: Path, column: str, cells: list[str], first: str, all_of_them: list[str]
) -> None:
    pl.DataFrame(
        {"user_id": ["a", "b", "c"], "item_id": ["1", "2", "3"], "time": [1_700_000_000] * 3}
    ).write_csv(tmp_path / "interactions.csv")
    pl.DataFrame({"item_id": ["1", "2", "3"], "title": ["Vase", "Pan", "Pot"], column: cells}).write_csv(
        tmp_path / "items.csv"
    )
    shop = read_shop(tmp_path)
    assert shop.items["category"].to_list() == [first, "Drama", None]
    told = shop.attributes.sort("item_id")["categories"].to_list()
    assert [sorted(words or []) for words in told] == [all_of_them, ["Drama"], []]
    assert any(f"attribute {CATEGORIES}" in line for line in column_lines(shop.columns))


def test_one_category_each_is_no_attribute(tmp_path: Path) -> None:
    pl.DataFrame({"user_id": ["a", "b"], "item_id": ["1", "2"], "time": [1_700_000_000] * 2}).write_csv(
        tmp_path / "interactions.csv"
    )
    pl.DataFrame(
        {"item_id": ["1", "2"], "title": ["Vase", "Pan"], "category": ["Gifts", "Food, Drink"]}
    ).write_csv(tmp_path / "items.csv")
    assert "categories" not in read_shop(tmp_path).attributes.columns


def test_a_column_cannot_take_the_name_of_all_categories() -> None:
    raw = pl.DataFrame({"item_id": ["1", "2"], "Categories": ["a", "b"]})
    told = typed_attributes(raw, has_categories=True)
    assert told.table.columns == ["item_id"]
    assert "another column is the attribute categories already" in "".join(told.notes)
