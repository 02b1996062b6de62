"""Golden requests: histories with the answers they got when the bundle was written, and texts with their vectors.

A service replays them before it reports ready, so a wrong kernel, a swapped file or a changed encoding is
found before it answers anybody.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from models.errors import GoldenMismatch
from models.history import Event, History
from models.index import AllowedItems
from models.student import Student
from models.text import TextEncoder

GOLDEN_K = 10
SCORE_TOLERANCE = 0.02
"""The tolerance relative to the spread of an answer's scores. Kernels differ by processor, int8 ones most."""
ROUNDING = 1e-5
"""The tolerance relative to the largest score: what float32 may move if an answer's scores hardly spread."""
HALF_ROUNDING = 2.0**-10
"""The tolerance relative to the lengths of both vectors: twice what float16 may move."""
TEXT_TOLERANCE = 1e-3
"""The tolerance relative to a vector's largest number. Sums in another order move far less, another reading of a
text far more."""


class GoldenRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """events: (item_index, Unix seconds, kind). Items that may not be recommended are blocked."""

    events: list[tuple[int, int, int]]
    item_indices: list[int]
    scores: list[float]

    def history(self) -> History:
        """Return the history that was asked about."""
        return History.from_events(Event(*event) for event in self.events)


class GoldenText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new item's text, its text vector, and its places in the student as an answer and in histories."""

    text: str
    text_vector: list[float]
    answer_vector: list[float]
    history_vector: list[float]


class Golden(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `golden.json`."""

    requests: list[GoldenRequest]
    texts: list[GoldenText]


def record_golden(
    student: Student,
    text_encoder: TextEncoder,
    histories: Sequence[History],
    texts: Sequence[str],
    allowed: AllowedItems | None = None,
) -> Golden:
    """Ask the student and record its answers: one request per history, one place per text.

    allowed: the items that may be recommended, `Items.recommendable`.
    """
    return Golden(_record_requests(student, histories, allowed), _record_texts(student, text_encoder, texts))


def replay_golden(
    student: Student, text_encoder: TextEncoder, golden: Golden, allowed: AllowedItems | None = None
) -> None:
    """Replay the requests. Raises GoldenMismatch if a score moved by more than `SCORE_TOLERANCE` of the spread, or a
    number of a text's vectors by more than `TEXT_TOLERANCE`.

    Scores are compared item by item. Items whose scores agree within the tolerance may change places on
    another processor, and at the last rank one may replace another; anywhere else it may not.
    The item vectors kept for explanations must give the answer's scores too.
    """
    _replay_requests(student, golden.requests, allowed)
    _replay_texts(student, text_encoder, golden.texts)


def _record_requests(
    student: Student, histories: Sequence[History], allowed: AllowedItems | None
) -> list[GoldenRequest]:
    return [golden_request(history, *_answer(student, history, allowed)) for history in histories]


def golden_request(history: History, item_indices: list[int], scores: list[float]) -> GoldenRequest:
    """Join a history and its answer to a golden request."""
    columns = (history.item_indices.tolist(), history.times.tolist(), history.kinds.tolist())
    return GoldenRequest(list(zip(*columns, strict=True)), item_indices, scores)


def _record_texts(student: Student, text_encoder: TextEncoder, texts: Sequence[str]) -> list[GoldenText]:
    text_vectors = text_encoder.encode(texts)
    columns = (text_vectors, *student.new_item_vectors(text_vectors))
    return [
        GoldenText(text, *vectors)
        for text, *vectors in zip(texts, *(column.tolist() for column in columns), strict=True)
    ]


def _replay_texts(student: Student, text_encoder: TextEncoder, golden: Sequence[GoldenText]) -> None:
    now = _record_texts(student, text_encoder, [each.text for each in golden])
    for number, (found, expected) in enumerate(zip(now, golden, strict=True)):
        for name in ("text_vector", "answer_vector", "history_vector"):
            numbers = np.array(getattr(expected, name))
            moved = float(np.max(np.abs(getattr(found, name) - numbers), initial=0))
            limit = TEXT_TOLERANCE * float(np.max(np.abs(numbers), initial=0))
            if not moved <= limit:  # in this form NaN is refused too
                raise GoldenMismatch(
                    f"golden text {number}: its {name} moved by {moved:.3g} (limit {limit:.3g}); "
                    "texts are not read as they were when the bundle was written"
                )


def _replay_requests(
    student: Student, requests: Sequence[GoldenRequest], allowed: AllowedItems | None
) -> None:
    for number, request in enumerate(requests):
        history = request.history()
        item_indices, scores = _answer(student, history, allowed)
        limit = check_answer(f"golden request {number}", request, item_indices, scores)
        if scores:
            _check_item_vectors(student, number, history, item_indices, np.array(scores), limit)


def check_answer(
    name: str, request: GoldenRequest, item_indices: Sequence[int], scores: Sequence[float]
) -> float:
    """Compare an answer with the recorded one; return how far a score may move. Raises GoldenMismatch with `name`."""
    if len(scores) != len(request.scores):
        raise GoldenMismatch(f"{name}: {len(scores)} items instead of {len(request.scores)}")
    if not scores:
        return 0.0
    expected = np.array(request.scores)
    limit = SCORE_TOLERANCE * float(np.ptp(expected)) + ROUNDING * float(np.abs(expected).max())
    moved = _largest_move(request, dict(zip(item_indices, scores, strict=True)))
    if not moved <= limit:  # in this form NaN is refused too
        n_others = len(set(item_indices) - set(request.item_indices))
        raise GoldenMismatch(
            f"{name}: a score moved by {moved:.3g} (limit {limit:.3g}), "
            f"{n_others} of {len(scores)} items are others"
        )
    return limit


def _largest_move(request: GoldenRequest, found: dict[int, float]) -> float:
    """Return how far scores must have moved, at least, for the recorded answer to become the found one."""
    expected = dict(zip(request.item_indices, request.scores, strict=True))
    last = request.scores[-1]
    moves = [abs(score - expected.get(item_index, last)) for item_index, score in found.items()]
    # Of two items that changed places at the edge, one fell and one rose: each by half of the distance.
    moves += [(score - last) / 2 for item_index, score in expected.items() if item_index not in found]
    return float(np.max(moves))


def _check_item_vectors(
    student: Student,
    number: int,
    history: History,
    item_indices: list[int],
    scores: npt.NDArray[np.float64],
    limit: float,
) -> None:
    chosen = np.array(item_indices, np.int32)
    user_vectors, boosts = student.user_vectors([history]), student.boosts([history])
    lengths = np.linalg.norm(student.item_vectors(chosen), axis=1) * np.linalg.norm(user_vectors)
    beyond = np.abs(student.score_items(user_vectors, boosts, chosen)[0] - scores) - HALF_ROUNDING * lengths
    if not np.max(beyond) <= limit:
        raise GoldenMismatch(
            f"golden request {number}: item_vectors.npy and the index score the same item differently, "
            f"by {np.max(beyond):.3g} beyond rounding (limit {limit:.3g})"
        )


def _answer(
    student: Student, history: History, allowed: AllowedItems | None
) -> tuple[list[int], list[float]]:
    ranked = student.recommend([history], GOLDEN_K, allowed=allowed)
    is_item = ranked.item_indices[0] >= 0
    return ranked.item_indices[0][is_item].tolist(), ranked.scores[0][is_item].astype(float).tolist()
