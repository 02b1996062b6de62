"""`python -m models ids`: real ids for whoever asks the service from outside."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from models.__main__ import app


def printed(store: Path, *options: str) -> list[str]:
    result = CliRunner().invoke(app, ["ids", "--store", str(store), *options], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout.splitlines()


def test_people_come_in_row_order_and_no_more_than_asked(store: Path) -> None:
    assert printed(store, "--people", "--limit", "3") == ["user-0", "user-1", "user-2"]


def test_items_come_by_falling_popularity(store: Path) -> None:
    items = printed(store, "--items")
    assert items[:2] == ["item-0", "item-1"]
    assert len(items) == 40
