"""A purchase that was sent back is a dislike from then on; what was kept of it stays a purchase."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.history import EventKind
from training.data.read import read_shop
from training.data.returns import SENT_BACK
from training.data.shop import Shop

DAY = 86_400
START = 1_700_000_000
BOUGHT, DISLIKED = "purchase", "dislike"


def read(folder: Path, rows: list[str], header: str = "user_id,item_id,time,kind") -> Shop:
    (folder / "events.csv").write_text("\n".join([header, *rows]) + "\n")
    return read_shop(folder / "events.csv")


def told(shop: Shop) -> list[tuple[str, str, int, str]]:
    """Person, item, days since the start, kind."""
    rows = shop.events.select("user_id", "item_id", "time", "kind").rows()
    return sorted(
        (user, item, (time - START) // DAY, EventKind(kind).name.lower()) for user, item, time, kind in rows
    )


def row(day: int, kind: str, item: str = "x", user: str = "a") -> str:
    return f"{user},{item},{START + day * DAY},{kind}"


def test_the_purchase_becomes_a_dislike_when_it_went_back(tmp_path: Path) -> None:
    shop = read(tmp_path, [row(0, "purchase"), row(3, "return"), row(5, "view")])
    assert told(shop) == [("a", "x", 3, DISLIKED), ("a", "x", 5, "view")]
    assert shop.dropped.notes == {SENT_BACK: 1}
    assert (shop.dropped.n_kept, shop.dropped.n_dropped) == (2, 1)


@pytest.mark.parametrize("return_row", [row(3, "return", item="y"), row(3, "return", user="b")])
def test_a_return_of_another_item_or_person_changes_nothing(tmp_path: Path, return_row: str) -> None:
    assert told(read(tmp_path, [row(0, "purchase"), return_row])) == [("a", "x", 0, BOUGHT)]


def test_a_return_before_the_purchase_is_of_an_earlier_one(tmp_path: Path) -> None:
    assert told(read(tmp_path, [row(3, "purchase"), row(0, "return")])) == [("a", "x", 3, BOUGHT)]


@pytest.mark.parametrize("day", [-15_000, 40_000])
def test_a_return_at_no_possible_moment_takes_nothing_with_it(tmp_path: Path, day: int) -> None:
    """It is left out for its time, and the purchase has a sound one."""
    rows = [row(1, "purchase"), *(row(2, "view", user=f"b{n}") for n in range(60)), row(day, "return")]
    assert ("a", "x", 1, BOUGHT) in told(read(tmp_path, rows))


def test_a_view_is_not_sent_back(tmp_path: Path) -> None:
    shop = read(tmp_path, [row(0, "purchase"), row(1, "view"), row(2, "cart"), row(3, "return")])
    assert told(shop) == [("a", "x", 1, "view"), ("a", "x", 2, "cart"), ("a", "x", 3, DISLIKED)]


def test_what_happens_in_one_second_is_one_where_a_return_says_no_quantity(tmp_path: Path) -> None:
    """As in live histories: the lines of one order, and a return that was sent twice."""
    lines = ["a,x,{},purchase,1", "a,x,{},purchase,2"]
    order = [line.format(START + day * DAY) for day in (0, 1) for line in lines]
    twice = [f"a,x,{START + 3 * DAY},return,{value}" for value in (5, 6)]
    shop = read(tmp_path, [*order, *twice], "user_id,item_id,time,kind,value")
    assert told(shop) == [("a", "x", 0, BOUGHT)] * 2 + [("a", "x", 3, DISLIKED)] * 2


def test_each_return_is_of_one_purchase_the_last_one_first(tmp_path: Path) -> None:
    days = [row(0, "purchase"), row(2, "purchase"), row(4, "purchase"), row(5, "return"), row(6, "return")]
    assert told(read(tmp_path, days)) == [
        ("a", "x", 0, BOUGHT),
        ("a", "x", 5, DISLIKED),
        ("a", "x", 6, DISLIKED),
    ]


@pytest.mark.parametrize(
    ("quantities", "kinds"),
    [
        ((2, -2), [DISLIKED]),
        ((2, -3), [DISLIKED]),
        ((12, -2), [BOUGHT]),
        ((1, 2, -3), [DISLIKED, DISLIKED]),
        ((1, 2, -2), [BOUGHT, DISLIKED]),
        ((2, 1, -2), [BOUGHT, DISLIKED]),
    ],
)
def test_as_many_pieces_as_went_back_are_no_purchases(
    tmp_path: Path, quantities: tuple[int, ...], kinds: list[str]
) -> None:
    rows = [f"a,x,{START + day * DAY},{quantity}" for day, quantity in enumerate(quantities)]
    assert [each[3] for each in told(read(tmp_path, rows, "user_id,item_id,time,quantity"))] == kinds


def test_a_return_of_a_moment_comes_after_its_purchase(tmp_path: Path) -> None:
    assert told(read(tmp_path, [row(0, "return"), row(0, "purchase")])) == [("a", "x", 0, DISLIKED)]


def test_rows_keep_their_order_within_a_second(tmp_path: Path) -> None:
    rows = [row(0, "purchase", item=item) for item in "cab"] + [row(1, "return", item="z")]
    assert read(tmp_path, rows).events["item_id"].to_list() == ["c", "a", "b"]
