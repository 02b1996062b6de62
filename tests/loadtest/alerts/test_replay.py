"""What a shop's people did is done again, as of now, and can be made to drift."""

from __future__ import annotations

from pathlib import Path
from random import Random
from time import time

import pyarrow as pa
import pytest
from pyarrow import parquet

from loadtest.alerts.replay import (
    MAX_VISIT,
    Step,
    as_it_was,
    last_steps,
    of_another_season,
    question,
)
from loadtest.errors import IdsMissing
from models.removals import RETURN

STEP = Step((("lamp", "view", 1_000), ("rug", "click", 2_000)), "vase", "purchase", 5_000)


def write_shop(folder: Path, rows: list[tuple[str, str, int, int]]) -> Path:
    """A shop of these (user, item, time, kind)."""
    (folder / "interactions").mkdir(parents=True)
    users, items, times, kinds = zip(*rows, strict=True)
    table = pa.table({"user_id": users, "item_id": items, "time": times, "kind": pa.array(kinds, pa.uint8())})
    parquet.write_table(table, folder / "interactions" / "part-00000.parquet")
    return folder


def test_the_last_events_are_replayed_with_what_came_before(tmp_path: Path) -> None:
    rows = [("others", f"item-{n}", n, 0) for n in range(17)]
    shop = write_shop(tmp_path, [("one", "a", 80, 0), ("one", "b", 90, 1), ("one", "c", 100, 3), *rows])
    found = sorted(last_steps(shop), key=lambda step: step.time)
    assert found == [
        Step((("a", "view", 80),), "b", "click", 90),
        Step((("a", "view", 80), ("b", "click", 90)), "c", "purchase", 100),
    ]


def test_an_item_stands_as_often_as_it_was_touched(tmp_path: Path) -> None:
    """A model counts how often somebody came back to an item."""
    rows = [("others", f"item-{n}", n, 0) for n in range(16)]
    own = [("one", "a", 80, 0), ("one", "b", 90, 0), ("one", "a", 95, 1), ("one", "c", 100, 0)]
    found = max(last_steps(write_shop(tmp_path, [*own, *rows])), key=lambda step: step.time)
    assert found.before == (("a", "view", 80), ("b", "view", 90), ("a", "click", 95))


def test_a_return_is_neither_replayed_nor_part_of_a_visit(tmp_path: Path) -> None:
    """A request cannot tell of returns in its visit."""
    rows = [("others", f"item-{n}", n, 0) for n in range(17)]
    own = [("one", "a", 80, 3), ("one", "a", 90, RETURN), ("one", "c", 100, 0), ("one", "c", 110, RETURN)]
    found = max(last_steps(write_shop(tmp_path, [*own, *rows])), key=lambda step: step.time)
    assert found == Step((("a", "purchase", 80),), "c", "view", 100)


def test_a_folder_without_events_is_named(tmp_path: Path) -> None:
    with pytest.raises(IdsMissing, match="no events under"):
        last_steps(tmp_path)


def test_times_move_to_now_and_keep_their_distances() -> None:
    request = question(STEP, 7).request
    ages = [time() - event["time"] for event in request["session"]]
    assert ages == pytest.approx([4_000, 3_000], abs=5)
    assert [event["item_id"] for event in request["session"]] == ["lamp", "rug"]


def test_whoever_asks_is_new_and_then_does_what_was_done() -> None:
    one, other = question(STEP, 1), question(STEP, 2)
    assert one.user_id != other.user_id
    assert one.request["user_id"] == one.event["user_id"] == one.user_id
    assert (one.event["kind"], one.event["item_id"]) == ("purchase", "vase")


def test_a_visit_is_no_longer_than_a_request_may_be(tmp_path: Path) -> None:
    shop = write_shop(tmp_path, [("one", f"item-{n}", n, 0) for n in range(MAX_VISIT + 5)])
    visit = max(last_steps(shop), key=lambda step: step.time).before
    assert len(visit) == MAX_VISIT
    assert visit[-1] == (f"item-{MAX_VISIT + 3}", "view", MAX_VISIT + 3)


def test_without_a_disguise_nothing_changes() -> None:
    assert as_it_was(STEP, Random(0)) == STEP


def test_another_season_has_short_histories_and_unknown_items() -> None:
    rng = Random(0)
    steps = [of_another_season(STEP, rng) for _ in range(400)]
    assert all(step.before == STEP.before[-1:] for step in steps)
    n_new = sum(step.item_id.startswith("new-season") for step in steps)
    assert 150 < n_new < 250
