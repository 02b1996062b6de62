from __future__ import annotations

import numpy as np
import pytest

from models.history import Event, History
from training.student.soft_labels import SoftLabels
from training.student.warm_start import own_advantage


def labels(logits: list[list[float]]) -> SoftLabels:
    """Candidates 0, 1, 2 and 3 of somebody who has 0 and 1."""
    histories = [History.from_events([Event(0, 1), Event(1, 2)])] * len(logits)
    candidates = np.tile(np.arange(4, dtype=np.int32), (len(logits), 1))
    return SoftLabels(
        histories, np.zeros((len(logits), 1), np.int32), candidates, np.array(logits, np.float16)
    )


def test_the_own_part_starts_from_how_far_own_items_stand_from_others() -> None:
    assert own_advantage(labels([[3.0, 5.0, 0.0, 1.0], [4.0, -np.inf, 0.5, -np.inf]])) == pytest.approx(3.5)


def test_without_own_or_other_candidates_it_starts_from_nothing() -> None:
    assert own_advantage(labels([[-np.inf, -np.inf, 0.0, 1.0]])) == 0.0
    assert own_advantage(labels([[1.0, 2.0, -np.inf, -np.inf]])) == 0.0
