"""A history and an export become one shop."""

from __future__ import annotations

from pathlib import Path

import msgspec
import polars as pl
import pytest

from models.history import EventKind
from service.log.records import ErasureRecord
from tests.training.promotion.exports import event, write_part
from training.base.errors import SourceUnreadable
from training.data.read import ShopFiles
from training.promotion.fresh import prompted_share, read_history_and_export

BEGAN = 1_700_000_000


@pytest.fixture
def history(tmp_path: Path) -> ShopFiles:
    """Anna and Ben, two events each."""
    folder = tmp_path / "history"
    folder.mkdir()
    rows = [
        ("anna", "vase", BEGAN),
        ("anna", "lamp", BEGAN + 10),
        ("ben", "vase", BEGAN),
        ("ben", "cup", BEGAN + 10),
    ]
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "time"], orient="row")
    events.with_columns(kind=pl.lit("purchase")).write_csv(folder / "interactions.csv")
    titles = {"item_id": ["vase", "lamp", "cup"], "title": ["A vase", "A lamp", "A cup"]}
    pl.DataFrame(titles).write_csv(folder / "items.csv")
    return ShopFiles(folder)


def events_of(shop_events: pl.DataFrame, user_id: str) -> list[tuple[str, int]]:
    rows = shop_events.filter(pl.col("user_id") == user_id).select("item_id", "time").rows()
    return [(item_id, time - BEGAN) for item_id, time in rows]


def test_exported_events_come_after_the_history_and_one_that_is_in_both_counts_once(
    history: ShopFiles, tmp_path: Path
) -> None:
    export = tmp_path / "export"
    write_part(
        export, "interactions", [event(0, "anna", "lamp", BEGAN + 10), event(1, "anna", "cup", BEGAN + 20)]
    )
    write_part(export, "interactions", [event(2, "clara", "jug", BEGAN + 5, "click")])
    shop = read_history_and_export(history, export)
    assert events_of(shop.events, "anna") == [("vase", 0), ("lamp", 10), ("cup", 20)]
    assert events_of(shop.events, "clara") == [("jug", 5)]
    assert shop.events.filter(pl.col("user_id") == "clara")["kind"].to_list() == [EventKind.CLICK]
    assert dict(shop.items.select("item_id", "title").iter_rows()) == {
        "cup": "A cup",
        "jug": "jug",
        "lamp": "A lamp",
        "vase": "A vase",
    }
    assert shop.dropped.dropped["exported event that the history has already"] == 1
    assert (shop.dropped.n_read, shop.dropped.n_kept) == (7, 6)
    assert shop.dropped.notes == {"event of an item that has no row in the item table": 1}


def test_prompted_share_is_of_what_happened_from_a_moment_on(tmp_path: Path) -> None:
    write_part(
        tmp_path,
        "interactions",
        [
            msgspec.structs.replace(
                event(number, "anna", "cup", BEGAN + number), request_id="r" * (number % 2)
            )
            for number in range(6)
        ],
    )
    assert prompted_share(tmp_path, BEGAN) == 0.5
    assert prompted_share(tmp_path, BEGAN + 5) == 1.0
    assert prompted_share(tmp_path, BEGAN + 9) == 0.0


def test_what_somebody_did_before_they_were_to_be_forgotten_is_left_out_of_the_history(
    history: ShopFiles, tmp_path: Path
) -> None:
    export = tmp_path / "export"
    write_part(export, "interactions", [event(0, "ben", "jug", BEGAN + 40)])
    write_part(export, "erasures", [ErasureRecord("erasure-0", "ben", 1000 * (BEGAN + 5))])
    write_part(export, "erasures", [ErasureRecord("erasure-1", "ben", 1000 * (BEGAN + 10))])
    shop = read_history_and_export(history, export)
    assert events_of(shop.events, "ben") == [("jug", 40)]
    assert events_of(shop.events, "anna") == [("vase", 0), ("lamp", 10)]
    assert shop.dropped.dropped["event of a person who was to be forgotten"] == 2


def test_history_alone_needs_no_export(history: ShopFiles) -> None:
    assert read_history_and_export(history, None).events.equals(history.read().events)


def test_export_without_interactions_is_refused_with_the_remedy(history: ShopFiles, tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match="make export-events"):
        read_history_and_export(history, tmp_path)


def test_an_item_that_only_the_export_knows_is_not_listed_where_there_is_an_item_table(
    history: ShopFiles, tmp_path: Path
) -> None:
    export = tmp_path / "export"
    write_part(export, "interactions", [event(0, "anna", "jug", BEGAN + 20)])
    shop = read_history_and_export(history, export)
    assert dict(shop.items.select("item_id", "is_listed").iter_rows()) == {
        "cup": True,
        "jug": False,
        "lamp": True,
        "vase": True,
    }
    (history.source / "items.csv").unlink()
    assert read_history_and_export(history, export).items["is_listed"].all()
