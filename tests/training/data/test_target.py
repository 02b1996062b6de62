from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pytest

from models.history import EventKind
from training.base.errors import SettingsInvalid
from training.data.target import MIN_TARGET_PEOPLE, choose_target, lowest_liked, with_dislikes

VIEW, CART, PURCHASE, RATING, DISLIKE = (
    EventKind.VIEW,
    EventKind.CART,
    EventKind.PURCHASE,
    EventKind.RATING,
    EventKind.DISLIKE,
)


def events_of(**n_people: int) -> pl.DataFrame:
    """Two events of each kind by as many people."""
    rows = [
        (f"user-{person}", int(EventKind[kind.upper()]), 1.0)
        for kind, n in n_people.items()
        for person in range(n)
        for _ in range(2)
    ]
    return table(rows)


def table(rows: Sequence[tuple[str, int, float | None]]) -> pl.DataFrame:
    schema = {"user_id": pl.String, "kind": pl.UInt8, "value": pl.Float32}
    return pl.DataFrame(rows, schema=schema, orient="row")


@pytest.mark.parametrize(
    ("n_people", "expected"),
    [
        ({"view": 500, "purchase": MIN_TARGET_PEOPLE}, PURCHASE),
        ({"view": 500, "purchase": MIN_TARGET_PEOPLE - 1}, VIEW),
        ({"view": 500, "cart": 60, "purchase": 3}, CART),
        ({"view": 500, "click": 60, "rating": 60}, RATING),
        ({"view": 500}, VIEW),
        ({"view": 7, "purchase": 9}, PURCHASE),
        ({"dislike": 500}, PURCHASE),
        ({}, PURCHASE),
    ],
)
def test_what_means_most_and_is_there_in_plenty_is_predicted(
    n_people: dict[str, int], expected: EventKind
) -> None:
    found = choose_target(events_of(**n_people))
    assert found.kind == expected
    assert all(f"{2 * n:,} {kind}s" in found.reason for kind, n in n_people.items())


def test_a_target_that_no_event_has_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        SettingsInvalid, match=r"'cart'.*there are 120 views, 100 purchases.*leave `target` at auto"
    ):
        choose_target(events_of(view=60, purchase=50), CART)


def test_a_target_by_name_is_taken_however_few_events_have_it() -> None:
    assert choose_target(events_of(view=600, purchase=1), PURCHASE).kind == PURCHASE


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 5], 5),
        ([1, 2, 3, 4, 5], 3),
        ([5, 5, 5, 4, 1], 4),
        ([0.5, 5.0, 5.0, 5.0], 5),
        ([-1, 1], 1),
        ([4, 4, 4], None),
        ([None, float("nan"), 3], None),
        ([], None),
    ],
)
def test_the_lowest_liked_rating_is_the_first_not_below_the_mean(
    values: list[float | None], expected: float | None
) -> None:
    assert lowest_liked(table([("a", RATING, value) for value in values])) == expected


def test_purchases_have_values_and_no_scale() -> None:
    assert lowest_liked(table([("a", PURCHASE, 1.0), ("a", PURCHASE, 9.0)])) is None


def test_low_ratings_speak_against_their_items_and_nothing_else_does() -> None:
    rows = [("a", RATING, 1.0), ("a", RATING, 4.0), ("a", RATING, None), ("a", PURCHASE, 1.0)]
    assert with_dislikes(table(rows), 4.0)["kind"].to_list() == [DISLIKE, RATING, RATING, PURCHASE]
    assert with_dislikes(table(rows), None)["kind"].to_list() == [RATING, RATING, RATING, PURCHASE]
