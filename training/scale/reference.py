"""Make an invented bundle's expectations of live traffic from some of its people, as training does."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.items import Items
from models.packed_histories import Histories
from models.student import Student
from training.bundling.reference import build_reference
from training.scale.people import ScalePeople

N_PEOPLE = 4_000
"""Number of people whose histories are read, since reading ten million takes too long."""

TEST_SHARE = 0.2
"""Share of their events, the latest, that counts as the test slice."""


def invent_reference(student: Student, items: Items, people: ScalePeople, seed: int) -> dict[str, Any]:
    """Build the reference of inputs and scores, without an ensemble; every item has been there from the start."""
    rows = np.linspace(0, len(people.histories) - 1, min(N_PEOPLE, len(people.histories))).astype(int)
    histories = Histories.from_list([people.histories[row] for row in rows])
    first_seen = np.zeros(len(items), np.int64)
    return build_reference(
        histories, items, student, None, first_seen=first_seen, test_share=TEST_SHARE, seed=seed
    )
