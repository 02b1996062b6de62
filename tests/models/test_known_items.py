"""What a rule leaves out of a list, of a person's own items."""

from __future__ import annotations

import numpy as np
import pytest

from models.history import EventKind, History
from models.known_items import KnownItemsRule, OwnItems

HISTORY = History(
    np.array([5, 3, 3, 8, 2, 5], np.int32),
    np.arange(6),
    np.array(
        [
            EventKind.VIEW,
            EventKind.PURCHASE,
            EventKind.VIEW,
            EventKind.DISLIKE,
            EventKind.CART,
            EventKind.VIEW,
        ],
        np.uint8,
    ),
)


@pytest.mark.parametrize(
    ("rule", "target", "expected"),
    [
        ("rank", EventKind.PURCHASE, []),
        ("leave_out_bought", EventKind.PURCHASE, [3, 8]),
        ("leave_out_bought", EventKind.VIEW, [3, 5, 8]),
        ("leave_out_touched", EventKind.PURCHASE, [2, 3, 5, 8]),
    ],
)
def test_a_rule_leaves_out_what_it_says(rule: KnownItemsRule, target: EventKind, expected: list[int]) -> None:
    assert OwnItems(rule, target).left_out(HISTORY).tolist() == expected
    assert OwnItems(rule, target).left_out(History.empty()).tolist() == []
