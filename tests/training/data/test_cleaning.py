import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.cleaning import drop_bad_rows, id_reasons

flags = st.lists(st.tuples(st.booleans(), st.booleans() | st.none()), max_size=40)


@given(flags)
def test_each_dropped_row_counts_once_under_the_first_reason(rows: list[tuple[bool, bool | None]]) -> None:
    frame = pl.DataFrame(rows, schema={"first": pl.Boolean, "second": pl.Boolean}, orient="row")
    kept, dropped = drop_bad_rows(frame, {"one": pl.col("first"), "two": pl.col("second")})
    assert dropped.dropped == {
        "one": sum(first for first, _ in rows),
        "two": sum(bool(second) and not first for first, second in rows),
    }
    assert kept.rows() == [row for row in rows if not any(row)]


def test_kept_rows_keep_their_order_and_columns() -> None:
    frame = pl.DataFrame({"n": [3, -1, 2]})
    kept, _ = drop_bad_rows(frame, {"negative": pl.col("n") < 0})
    assert kept.equals(pl.DataFrame({"n": [3, 2]}))


@pytest.mark.parametrize(
    ("user_id", "item_id", "reason"),
    [
        (None, "i", "missing user"),
        ("NULL", "i", "missing user"),
        ("u", "nan", "missing item"),
        ("Guest", "i", "missing user"),
        ("u", "", "missing item"),
        ("u" * 257, "i", "id longer than 256 characters"),
        ("u", "ü" * 257, "id longer than 256 characters"),
        ("u\0", "i", "id with a NUL character"),
    ],
)
def test_unusable_ids_have_a_reason(user_id: str | None, item_id: str, reason: str) -> None:
    frame = pl.DataFrame(
        {"user_id": [user_id], "item_id": [item_id]}, schema_overrides={"user_id": pl.String}
    )
    _, dropped = drop_bad_rows(frame, id_reasons())
    assert {name: count for name, count in dropped.dropped.items() if count} == {reason: 1}


def test_id_of_256_characters_is_kept() -> None:
    kept, _ = drop_bad_rows(pl.DataFrame({"user_id": ["ü" * 256], "item_id": ["i" * 256]}), id_reasons())
    assert kept.height == 1
