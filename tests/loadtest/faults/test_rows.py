"""The matrix: each row once, every kind in the short drill, and rows chosen by name."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from loadtest.errors import FaultUnknown
from loadtest.faults.__main__ import app
from loadtest.faults.page import GROUPS
from loadtest.faults.rows import ROWS, chosen


def test_names_are_unique_and_every_row_says_what_is_done() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert all(row.done.endswith(".") and row.name.islower() for row in ROWS)


def test_short_drill_has_every_kind() -> None:
    assert {row.group for row in chosen("", is_short=True)} == {row.group for row in ROWS} == set(GROUPS)
    assert len(chosen("", is_short=True)) < len(chosen("", is_short=False)) / 4


def test_rows_are_chosen_by_name_and_by_the_beginning_of_a_name() -> None:
    assert [row.name for row in chosen("sigterm, redis-killed", is_short=True)] == ["redis-killed", "sigterm"]
    slow = {row.name for row in chosen("redis-slow-*", is_short=False)}
    assert slow == {"redis-slow-30", "redis-slow-100", "redis-slow-300"}


def test_list_names_the_chosen_rows_alone() -> None:
    listed = CliRunner().invoke(app, ["--list", "--only", "sigterm,redis-killed"])
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["redis-killed", "sigterm"]
    every = CliRunner().invoke(app, ["--list"])
    assert [line.split()[0] for line in every.stdout.splitlines()] == [row.name for row in ROWS]


def test_name_that_there_is_not_is_told_with_those_that_there_are() -> None:
    with pytest.raises(FaultUnknown, match=r"no row 'redis-kiled'; there is redis-key-no-text.*store-empty"):
        chosen("redis-kiled", is_short=False)


def test_row_that_ships_lasts_long_enough_to_show_it() -> None:
    assert all(row.seconds >= 6 for row in ROWS if row.ships)
