from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from training.evaluation.page import tables
from training.evaluation.page.tables import Column, Table, score, share, table
from training.quality.figures import Figure

COLUMNS = [
    Column("quality", "quality", score, "higher"),
    Column("latency", "latency", score, "lower"),
    Column("n", "n", tables.number),
]
ROWS = {
    "one": {"quality": 0.5, "latency": 2.0, "n": 3},
    "another": {"quality": 0.7, "latency": 3.0, "n": 4},
}


def best(made: Table) -> list[tuple[str, str]]:
    return [
        (row.name, column.key)
        for row in made.rows
        for column, cell in zip(made.columns, row.cells, strict=True)
        if cell.is_best
    ]


def test_the_best_of_a_column_is_marked_whichever_way_is_up() -> None:
    assert best(table("model", COLUMNS, ROWS)) == [("one", "latency"), ("another", "quality")]


def test_figures_that_read_the_same_as_the_best_are_all_marked() -> None:
    rows = {"one": {"quality": 0.70001}, "another": {"quality": 0.7}, "third": {"quality": 0.6}}
    assert best(table("model", COLUMNS, rows)) == [("one", "quality"), ("another", "quality")]


def test_where_all_read_the_same_none_is_best() -> None:
    assert best(table("model", COLUMNS, {"one": {"quality": 0.7}, "another": {"quality": 0.7}})) == []


def test_the_best_of_a_row_is_marked_when_rows_are_compared() -> None:
    columns = [Column(name, name, score, "higher") for name in ("a", "b")]
    rows = {"one": {"a": 0.1, "b": 0.2}, "another": {"a": 0.4, "b": 0.3}}
    assert best(table("segment", columns, rows, best_of="row")) == [("one", "b"), ("another", "a")]


def test_a_column_without_any_figure_is_left_out_and_a_missing_figure_is_a_dash() -> None:
    made = table("model", COLUMNS, {"one": {"quality": 0.5, "n": None}, "another": {"latency": 1.0}})
    assert [column.key for column in made.columns] == ["quality", "latency"]
    assert [cell.text for cell in made.rows[0].cells] == ["0.5000", "–"]


def test_neighbouring_columns_share_a_heading() -> None:
    columns = [Column(key, key, score, group=group) for key, group in (("a", "x"), ("b", "x"), ("c", "y"))]
    row = {"a": 1.0, "b": 1.0, "c": 1.0}
    assert table("model", columns, {"one": row}).groups == [("x", 2), ("y", 1)]
    assert table("model", COLUMNS, ROWS).groups == []


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (score, 0.12345, "0.1235"),
        (tables.signed, -0.01, "−0.0100"),
        (tables.interval, (-0.01, 0.02), "−0.0100 to +0.0200"),
        (tables.with_interval, Figure(0.01, 0, 0.02), "+0.0100 (+0.0000 to +0.0200)"),
        (share, 0.9812, "98.1\N{NO-BREAK SPACE}%"),
        (tables.share_interval, (0.9, 0.95), "90.0 to 95.0\N{NO-BREAK SPACE}%"),
        (tables.number, 6333.3, "6,333"),
        (tables.number, 83.123456, "83.12"),
        (tables.number, 128, "128"),
        (tables.milliseconds, 0.3104, "0.310"),
        (tables.milliseconds, 1234.56, "1,234.6"),
        (tables.seconds, 59.0, "59.0 s"),
        (tables.seconds, 900, "15.0 min"),
        (tables.size, 1_300, "1.3 kB"),
        (tables.size, 5.2e6, "5.2 MB"),
        (tables.size, 1.8e9, "1.8 GB"),
        (tables.dollars, 4.4e-9, "$0.0000000044"),
        (tables.dollars, 0.05, "$0.050"),
        (tables.dollars, 0, "$0.00"),
        (tables.dollars_a_million, 4.4e-9, "$0.0044"),
        (tables.day, 1_291_190_400, "2010-12-01"),
        (tables.words, False, "no"),
        (tables.words, "top", "top"),
    ],
)
def test_a_figure_reads_in_its_unit(form: Callable[[Any], str], value: Any, text: str) -> None:
    assert form(value) == text
