from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from training.base.errors import ColumnMissing, SourceUnreadable
from training.data.item_texts import describe_items, read_item_texts

MUG = ("7", "Red mug", "Red mug kitchen ware")


def rows(file: Path) -> list[tuple[str, str, str]]:
    return read_item_texts(file).rows()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("items.csv", 'item_id,title,genres\n7,"Red mug",kitchen|ware\n'),
        ("items.csv", '7,"Red mug",kitchen ware\n'),
        ("items.csv", "year,genres,title,id\n1999,kitchen ware,Red mug,7\n"),
        ("items.tsv", "Item ID\tName\tDescription\n7\tRed mug\tkitchen ware\n"),
        ("items.tsv", "7\tRed mug\tkitchen ware\n"),
        ("items.txt", "item_id:token\ttitle:token_seq\tclass:token_seq\n7\tRed mug\tkitchen ware\n"),
        ("movies.dat", "7::Red mug::kitchen|ware\n"),
        ("u.item", "7|Red mug|kitchen ware\r\n"),
    ],
)
def test_a_layout_is_recognised_with_and_without_a_header(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert rows(tmp_path / name) == [MUG]


def test_parquet_is_read_with_its_numbers_as_ids_and_its_lists_as_words(tmp_path: Path) -> None:
    table = pl.DataFrame({"id": [7], "title": ["Red mug"], "price": [1.5], "genres": [["kitchen", "ware"]]})
    table.write_parquet(tmp_path / "items.parquet")
    assert rows(tmp_path / "items.parquet") == [MUG]


def test_an_item_without_words_has_its_id_as_title(tmp_path: Path) -> None:
    (tmp_path / "items.tsv").write_text("7\n8\t\n")
    assert rows(tmp_path / "items.tsv") == [("7", "7", ""), ("8", "8", "")]


def test_the_first_row_of_a_repeated_id_counts(tmp_path: Path) -> None:
    (tmp_path / "items.tsv").write_text("7\tfirst\n7\tsecond\n")
    assert rows(tmp_path / "items.tsv") == [("7", "first", "first")]


def test_latin_1_is_read_where_utf_8_fails(tmp_path: Path) -> None:
    (tmp_path / "movies.dat").write_bytes("7::Misérables, Les::Drama\n".encode("latin-1"))
    assert rows(tmp_path / "movies.dat")[0][1] == "Misérables, Les"


def test_items_of_the_data_get_a_row_each_and_others_none(tmp_path: Path) -> None:
    (tmp_path / "items.tsv").write_text("7\tRed mug\n9\tBlue cup\n")
    told = describe_items(["8", "7"], tmp_path / "items.tsv")
    assert told.select("item_id", "title", "text").rows() == [("7", "Red mug", "Red mug"), ("8", "8", "")]


def test_without_a_file_ids_stand_in_for_titles() -> None:
    assert describe_items(["b", "a"], None).select("item_id", "title", "text").rows() == [
        ("a", "a", ""),
        ("b", "b", ""),
    ]


def test_texts_of_other_items_than_the_datas_are_refused(tmp_path: Path) -> None:
    (tmp_path / "items.tsv").write_text("B001\tRed mug\n")
    with pytest.raises(
        SourceUnreadable, match=r"items\.tsv describes 1 items, \['B001'\].*ids are \['7', '8'\]"
    ):
        describe_items(["7", "8"], tmp_path / "items.tsv")


def test_parquet_without_ids_names_what_it_has(tmp_path: Path) -> None:
    pl.DataFrame({"words": ["Red mug"]}).write_parquet(tmp_path / "items.parquet")
    with pytest.raises(ColumnMissing, match=r"no column of item ids; it has \['words'\]"):
        read_item_texts(tmp_path / "items.parquet")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("items.tsv", "", r"items\.tsv is empty"),
        ("items.csv", "", r"items\.csv cannot be read"),
        ("items.parquet", "no parquet", r"items\.parquet cannot be read"),
        ("items.csv", "id,title,title\n7,a,b\n", "two columns of one name"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceUnreadable, match=message):
        read_item_texts(tmp_path / name)
