from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.base.errors import TooLittleData
from training.data.shop import (
    EVENT_SCHEMA,
    ITEM_SCHEMA,
    SHOP_ITEM_SCHEMA,
    DropReport,
    Shop,
    assemble_shop,
    require_trainable,
)

counts = st.dictionaries(
    st.sampled_from(["missing user", "unreadable time", "unknown kind"]), st.integers(0, 99)
)


def report(n_kept: int, dropped: dict[str, int]) -> DropReport:
    return DropReport(n_kept + sum(dropped.values()), n_kept, dropped)


def shop_of(
    events: list[tuple[str, str, int]], items: list[str] | None = None, *, has_item_table: bool = False
) -> Shop:
    table = pl.DataFrame(events, schema=["user_id", "item_id", "time"], orient="row")
    table = table.with_columns(kind=pl.lit(3), value=pl.lit(1.0))
    item_ids = sorted({item for _, item, _ in events}) if items is None else items
    rows = [(item, f"Title of {item}", "text", None, None) for item in item_ids]
    item_table = pl.DataFrame(rows, schema=ITEM_SCHEMA, orient="row")
    counted = report(len(events), {})
    return assemble_shop("corner", table, item_table, counted, "by hand", has_item_table=has_item_table)


def checkerboard(n_people: int, n_items: int, n_events: int) -> Shop:
    return shop_of([(f"u{u}", f"i{(u + e) % n_items}", e) for u in range(n_people) for e in range(n_events)])


def test_report_refuses_counts_that_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="10 rows read, but 7 kept and 2 dropped"):
        DropReport(10, 7, {"missing user": 2})


@given(st.integers(0, 99), counts, st.integers(0, 99), counts)
def test_merged_reports_still_add_up(
    n_one: int, one: dict[str, int], n_other: int, other: dict[str, int]
) -> None:
    merged = report(n_one, one).merged(report(n_other, other))
    assert merged.n_kept == n_one + n_other
    assert merged.n_dropped == sum(one.values()) + sum(other.values())
    assert {reason: count for reason, count in merged.dropped.items() if count} == {
        reason: one.get(reason, 0) + other.get(reason, 0)
        for reason in {*one, *other}
        if one.get(reason, 0) + other.get(reason, 0)
    }


def test_report_lines_name_the_reasons_that_dropped_something_and_the_notes() -> None:
    lines = report(1_500, {"missing user": 500, "unknown kind": 0}).with_notes({"odd": 3, "even": 0}).lines()
    assert lines[0] == "1,500 of 2,000 rows kept (75.0%)"
    assert [line.split(maxsplit=1) for line in lines[1:]] == [["500", "missing user"], ["3", "odd (kept)"]]


def test_report_of_nothing_read_has_a_line() -> None:
    assert DropReport().lines() == ["0 of 0 rows kept (0.0%)"]


def test_events_are_sorted_by_person_and_time_and_ties_keep_their_order() -> None:
    shop = shop_of([("b", "z", 5), ("b", "a", 5), ("a", "m", 9), ("b", "k", 1)])
    assert shop.events.select("user_id", "item_id").rows() == [("a", "m"), ("b", "k"), ("b", "z"), ("b", "a")]


def test_tables_have_the_common_types() -> None:
    shop = shop_of([("a", "m", 9)])
    assert shop.events.schema == EVENT_SCHEMA
    assert shop.items.schema == SHOP_ITEM_SCHEMA


def test_without_an_item_table_no_item_lacks_its_row() -> None:
    shop = shop_of([("a", "m", 1), ("b", "n", 2)], items=[])
    assert not shop.has_item_table
    assert shop.dropped.notes == {}


def test_item_without_a_row_is_kept_under_its_id_and_noted() -> None:
    shop = shop_of([("a", "m", 1), ("a", "ghost", 2), ("b", "ghost", 3)], items=["m"], has_item_table=True)
    assert shop.events.height == 3
    assert shop.items.filter(item_id="ghost").rows() == [("ghost", "ghost", "", None, None, True, False)]
    assert list(shop.dropped.notes.values()) == [2]


def test_item_that_nobody_touched_stays_in_the_catalogue() -> None:
    assert shop_of([("a", "m", 1)], items=["n", "m"]).items["item_id"].to_list() == ["m", "n"]


def test_enough_data_is_trainable() -> None:
    require_trainable(checkerboard(50, 50, 5))


@pytest.mark.parametrize(
    ("shop", "message"),
    [
        (checkerboard(49, 50, 5), "49 people have 5 events or more, 50 needed"),
        (checkerboard(50, 49, 5), "49 items were touched, 50 needed"),
        (checkerboard(50, 50, 4), "0 people have 5 events"),
        (shop_of([(f"u{n}", f"i{n}", 7) for n in range(50)] * 5), "same time"),
    ],
)
def test_too_little_data_is_refused_with_the_count_and_the_minimum(shop: Shop, message: str) -> None:
    with pytest.raises(TooLittleData, match=message):
        require_trainable(shop)


def test_an_item_table_that_knows_none_of_the_items_is_refused_with_ids_to_compare() -> None:
    shop = checkerboard(60, 60, 5)
    prefixed = shop.items.with_columns(item_id=pl.format("sku-{}", "item_id"))
    apart = assemble_shop("corner", shop.events, prefixed, shop.dropped, "by hand", has_item_table=True)
    with pytest.raises(TooLittleData) as refused:
        require_trainable(apart)
    said = str(refused.value)
    assert "0 of the 60 items that were touched may be recommended, 50 needed" in said
    assert (
        "item table are ['sku-i0', 'sku-i1', 'sku-i10'], of events without a row there ['i0', 'i1'," in said
    )
    require_trainable(apart, unlisted_too=True)


def test_a_shop_that_sold_out_is_refused() -> None:
    shop = checkerboard(60, 60, 5)
    gone = shop.items.with_columns(available=pl.col("item_id") == "i0")
    with pytest.raises(TooLittleData, match="1 of the 60 items that were touched may be recommended"):
        require_trainable(replace(shop, items=gone))


def test_everything_missing_is_said_at_once_with_what_was_dropped() -> None:
    with pytest.raises(TooLittleData, match=r"people.*items.*same time.*1 of 1 rows kept"):
        require_trainable(shop_of([("a", "m", 1)]))
