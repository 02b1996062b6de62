"""The contract, inherited, and one test of what this member alone does."""

from __future__ import annotations

import numpy as np
from stillroom_sequel.fitted import FittedSequel
from stillroom_sequel.member import Sequel

from models.history import Event, History
from models.members.rows import SparseRows
from stillroom.contract import MemberContract


class TestSequel(MemberContract):
    def make(self) -> Sequel:
        return Sequel(n_last=3)


def test_the_latest_item_speaks_twice_as_loud_as_the_one_before() -> None:
    offsets, columns = np.array([0, 1, 2, 2, 2]), np.array([2, 3], np.int32)  # 0 → 2 and 1 → 3
    rows = SparseRows(offsets, columns, np.ones(2, np.float32), n_columns=4)
    member = FittedSequel(rows, known=np.ones(4, np.bool_), n_last=2)
    history = History.from_events([Event(0, 100), Event(1, 200)])
    assert member.score([history]).tolist() == [[0.0, 0.0, 0.5, 1.0]]
