"""Names of kinds as histories hold them, and what a rating says."""

from __future__ import annotations

import pytest

from models.history import EventKind
from models.named_kinds import KIND_CODES, kind_code
from models.removals import REMOVAL, RETURN


def test_every_kind_has_its_name() -> None:
    assert KIND_CODES == {
        "view": 0,
        "click": 1,
        "cart": 2,
        "purchase": 3,
        "rating": 4,
        "dislike": 6,
        "removal": REMOVAL,
        "return": RETURN,
    }


@pytest.mark.parametrize(
    ("value", "liked_from", "kind"),
    [
        (2.9, 3.0, EventKind.DISLIKE),
        (3.0, 3.0, EventKind.RATING),
        (-1.0, 0.0, EventKind.DISLIKE),
        (None, 3.0, EventKind.RATING),
        (1.0, None, EventKind.RATING),
    ],
)
def test_a_low_rating_is_a_dislike(value: float | None, liked_from: float | None, kind: EventKind) -> None:
    assert kind_code("rating", value, liked_from) == kind


def test_the_value_of_another_kind_is_an_amount_of_money() -> None:
    assert kind_code("purchase", 0.5, 3.0) == EventKind.PURCHASE


def test_what_no_history_holds_has_no_code() -> None:
    with pytest.raises(KeyError, match="impression"):
        kind_code("impression", None, None)
