"""What a bundle of an invented shop expects of live traffic, as training makes it, of some of its people."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.histories import Histories
from models.items import Items
from models.student import Student
from training.bundling.reference import build_reference
from training.scale.people import ScalePeople

N_PEOPLE = 4_000
"""Whose histories are read. Of ten million people nobody reads all."""

TEST_SHARE = 0.2
"""Of their events, the latest."""


def invent_reference(student: Student, items: Items, people: ScalePeople, seed: int) -> dict[str, Any]:
    """Inputs and scores; there is no ensemble to agree with. Every item has been there from the start."""
    rows = np.linspace(0, len(people.histories) - 1, min(N_PEOPLE, len(people.histories))).astype(int)
    histories = Histories.from_list([people.histories[row] for row in rows])
    first_seen = np.zeros(len(items), np.int64)
    return build_reference(
        histories, items, student, None, first_seen=first_seen, test_share=TEST_SHARE, seed=seed
    )
