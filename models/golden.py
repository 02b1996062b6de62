"""Golden requests: histories with the answers they got when the bundle was written.

A service replays them before it says it is ready, so a wrong kernel, a swapped file or a changed encoding is
found before a person is served by it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from models.errors import GoldenMismatch
from models.history import Event, History
from models.student import Student

GOLDEN_K = 10
SCORE_TOLERANCE = 0.02
"""Relative to the spread of an answer's scores. Kernels differ by processor, int8 ones most."""


class GoldenRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """events: (item_index, Unix seconds, kind). Seen items are blocked, as the service does by default."""

    events: list[tuple[int, int, int]]
    item_indices: list[int]
    scores: list[float]


def record_golden(student: Student, histories: Sequence[History]) -> list[GoldenRequest]:
    """Ask the student and write down what it says, one request a history."""
    recorded = []
    for history in histories:
        item_indices, scores = _answer(student, history)
        columns = (history.item_indices.tolist(), history.times.tolist(), history.kinds.tolist())
        recorded.append(GoldenRequest(list(zip(*columns, strict=True)), item_indices, scores))
    return recorded


def replay_golden(student: Student, requests: Sequence[GoldenRequest]) -> None:
    """Ask again. Raises GoldenMismatch if a score moved by more than `SCORE_TOLERANCE` of the spread.

    Scores are compared rank by rank and not ids: two items whose scores agree within the tolerance may
    change places on another processor, a wrong item at a rank may not.
    """
    for number, request in enumerate(requests):
        history = History.from_events(Event(*event) for event in request.events)
        item_indices, scores = _answer(student, history)
        if len(scores) != len(request.scores):
            raise GoldenMismatch(
                f"golden request {number}: {len(scores)} items instead of {len(request.scores)}"
            )
        expected = np.array(request.scores)
        spread = float(np.ptp(expected)) or 1.0
        moved = float(np.max(np.abs(np.array(scores) - expected), initial=0.0)) / spread
        strangers = set(item_indices) - set(request.item_indices)
        if moved > SCORE_TOLERANCE or len(strangers) > 1 + len(scores) // 5:
            raise GoldenMismatch(
                f"golden request {number}: scores moved by {moved:.3f} of their spread (limit "
                f"{SCORE_TOLERANCE}), {len(strangers)} of {len(scores)} items are others"
            )


def _answer(student: Student, history: History) -> tuple[list[int], list[float]]:
    ranked = student.top_k(student.user_vectors([history]), GOLDEN_K, blocked=[history.item_indices])
    is_item = ranked.item_indices[0] >= 0
    return ranked.item_indices[0][is_item].tolist(), ranked.scores[0][is_item].astype(float).tolist()
