"""Golden requests: the same student answers the same, another one is found out."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable

import msgspec
import numpy as np
import pytest

import models.text
from models.bundles.golden import Golden, GoldenRequest, record_golden, replay_golden
from models.errors import GoldenMismatch
from models.history import Event, History
from models.index import AllowedItems
from models.student import Student, StudentFiles
from tests.support.bundles import (
    TEXTS,
    tiny_cooccurrence,
    tiny_history,
    tiny_items,
    tiny_student,
    tiny_text_encoder,
    with_item_vectors,
)

PEOPLE = [*(tiny_history(person) for person in range(4)), History.empty()]
ITEMS = tiny_items()
ENCODER = tiny_text_encoder()


def with_items(files: StudentFiles, order: list[int]) -> StudentFiles:
    """The same student with its item vectors in another order, everywhere."""
    vectors = files.item_vectors.astype(np.float32) * files.item_scales[:, None]
    return with_item_vectors(files, vectors[order])


def swapped(*pair: int) -> list[int]:
    order = list(range(len(ITEMS)))
    order[pair[0]], order[pair[1]] = pair[1], pair[0]
    return order


def recorded(precision: str = "fp32") -> tuple[StudentFiles, Golden]:
    files = tiny_student(ITEMS, precision)
    return files, record_golden(Student(files), ENCODER, PEOPLE, TEXTS)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_student_answers_its_own_requests(precision: str) -> None:
    files, golden = recorded(precision)
    replay_golden(Student(files), ENCODER, golden)


def test_requests_survive_json() -> None:
    files, golden = recorded()
    again = msgspec.json.decode(msgspec.json.encode(golden), type=Golden)
    assert again == golden
    replay_golden(Student(files), ENCODER, again)


def test_recorded_answer_ranks_own_items_like_all_others() -> None:
    _, golden = recorded()
    assert golden.requests[0].item_indices[:3] == [0, 4, 8]
    assert [event[0] for event in golden.requests[0].events] == [0, 4, 8]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize(
    "order",
    [
        list(range(len(ITEMS)))[::-1],
        [*range(1, len(ITEMS)), 0],
        swapped(12, 24),
        swapped(16, 39),
        swapped(12, 13),
    ],
    ids=["reversed", "shifted", "within an answer", "one for the last", "across blocks"],
)
def test_swapped_items_are_found_out(precision: str, order: list[int]) -> None:
    files, golden = recorded(precision)
    with pytest.raises(GoldenMismatch, match=r"golden request \d"):
        replay_golden(Student(with_items(files, order)), ENCODER, golden)


@pytest.mark.parametrize("order", [list(range(len(ITEMS)))[::-1], swapped(12, 24)], ids=["reversed", "two"])
def test_item_vectors_in_another_order_than_the_index_has_them_are_found_out(order: list[int]) -> None:
    files, golden = recorded()
    other = dataclasses.replace(files, item_vectors=files.item_vectors[order])
    with pytest.raises(GoldenMismatch, match=r"golden request 0: a score moved by"):
        replay_golden(Student(other), ENCODER, golden)


def test_swapped_history_vectors_are_found_out() -> None:
    files, golden = recorded()
    other = dataclasses.replace(files, history_vectors=files.history_vectors[::-1])
    with pytest.raises(GoldenMismatch):
        replay_golden(Student(other), ENCODER, golden)


def test_neighbours_that_speak_otherwise_are_found_out() -> None:
    files, golden = recorded()
    other = dataclasses.replace(
        files, cooccurrence=tiny_cooccurrence(np.full((len(ITEMS), 2), 5.0, np.float32))
    )
    with pytest.raises(GoldenMismatch, match="a score moved by"):
        replay_golden(Student(other), ENCODER, golden)


def scaled(by: float) -> Callable[[StudentFiles], StudentFiles]:
    return lambda files: dataclasses.replace(files, history_scales=files.history_scales * np.float32(by))


@pytest.mark.parametrize("factor", [1.0001, 0.9999])
def test_scores_may_move_by_a_rounding(factor: float) -> None:
    files, golden = recorded()
    replay_golden(Student(scaled(factor)(files)), ENCODER, golden)


@pytest.mark.parametrize("factor", [1.05, 0.95, 0.0, -1.0])
def test_scores_may_not_move_further(factor: float) -> None:
    files, golden = recorded()
    with pytest.raises(GoldenMismatch, match="a score moved by"):
        replay_golden(Student(scaled(factor)(files)), ENCODER, golden)


def test_student_that_answers_nan_is_refused() -> None:
    files, golden = recorded()
    with pytest.raises(GoldenMismatch, match="golden request 0: 0 items instead of 10"):
        replay_golden(Student(scaled(np.nan)(files)), ENCODER, golden)


def answer_of(scores: list[float], item_indices: list[int] | None = None) -> GoldenRequest:
    return GoldenRequest([], list(range(len(scores))) if item_indices is None else item_indices, scores)


class Fixed(Student):
    """A student of five one-dimensional items whose vectors are the scores that everybody gets."""

    def __init__(self, scores: list[float]) -> None:
        vectors = np.array(scores, np.float32)[:, None]
        super().__init__(with_item_vectors(tiny_student(tiny_items(len(scores), 1), n_blocks=1), vectors))

    def _run_tower(self, encoded: object) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return np.ones((1, 1), np.float32)


def holds(student: Student, request: GoldenRequest) -> bool:
    try:
        replay_golden(student, tiny_text_encoder(1), Golden([request], []))
    except GoldenMismatch:
        return False
    return True


TEN = [10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
"""An answer's ten scores; spread 9, so 0.18 is allowed."""


@pytest.mark.parametrize(
    ("now", "then", "expected"),
    [
        ([*TEN, 0.9], answer_of(TEN), True),
        ([*TEN[:-1], 0.9, 1.0], answer_of(TEN), True),
        ([*TEN[:-1], 0.5, 1.1], answer_of(TEN), True),
        ([*TEN[:-1], 1.0, 1.5], answer_of(TEN), False),
        ([0.0, *TEN[1:], 1.0], answer_of(TEN), False),
        ([9.0, 10.0, *TEN[2:]], answer_of(TEN), False),
        ([9.9, *TEN[1:]], answer_of(TEN), True),
        (TEN[:9], answer_of(TEN), False),
        (
            [*TEN[:5], *[5.0] * 10],
            answer_of([*TEN[:5], *[5.0] * 5], [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]),
            True,
        ),
    ],
    ids=[
        "the same",
        "last one and the next change places within the tolerance",
        "last one gave way to one as good",
        "stranger is too good",
        "first one left",
        "two changed places beyond the tolerance",
        "first one moved within the tolerance",
        "one too few",
        "another half of a long tie at the end",
    ],
)
def test_answer_holds_where_no_score_moved_far(now: list[float], then: GoldenRequest, expected: bool) -> None:
    assert holds(Fixed(now), then) is expected


@pytest.mark.parametrize(
    ("now", "expected"), [([1000.0] * 3, True), ([1000.005] * 3, True), ([1000.5] * 3, False)], ids=str
)
def test_scores_that_do_not_spread_may_move_by_a_rounding_of_their_size(
    now: list[float], expected: bool
) -> None:
    assert holds(Fixed(now), answer_of([1000.0] * 3)) is expected


def test_tiny_scores_without_a_spread_are_not_all_alike() -> None:
    assert not holds(Fixed([0.002] * 3), answer_of([0.001] * 3))


def test_answer_without_items_holds() -> None:
    student = Student(tiny_student(tiny_items(4)))
    nothing = AllowedItems.of(np.zeros(0, np.int32), 4)
    golden = record_golden(student, ENCODER, [History.from_events([Event(0, 0)])], [], nothing)
    assert golden.requests[0].item_indices == []
    replay_golden(student, ENCODER, golden, nothing)


def other_texts(files: StudentFiles, name: str) -> StudentFiles:
    """The same student with one of its text maps off by a percent."""
    return dataclasses.replace(files, **{name: getattr(files, name) * np.float32(1.01)})


@pytest.mark.parametrize(
    ("name", "moved"), [("answer_text_map", "answer_vector"), ("history_text_map", "history_vector")]
)
def test_new_items_that_are_placed_elsewhere_are_found_out(name: str, moved: str) -> None:
    files, golden = recorded()
    with pytest.raises(GoldenMismatch, match=f"golden text 0: its {moved} moved by"):
        replay_golden(Student(other_texts(files, name)), ENCODER, golden)


def test_encoder_that_knows_other_words_is_found_out() -> None:
    files, golden = recorded()
    others = dataclasses.replace(ENCODER, projection=ENCODER.projection[::-1])
    with pytest.raises(GoldenMismatch, match=r"golden text 0: its text_vector moved by .* \(limit 0\.001\)"):
        replay_golden(Student(files), others, golden)


def test_texts_that_are_read_otherwise_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    files, golden = recorded()
    monkeypatch.setattr(models.text, "_WORD", re.compile(r"[a-z]+"))
    with pytest.raises(GoldenMismatch, match="golden text"):
        replay_golden(Student(files), ENCODER, golden)


def test_new_items_may_move_by_a_rounding() -> None:
    files, golden = recorded()
    nearly = dataclasses.replace(files, answer_text_map=files.answer_text_map * np.float32(1.0001))
    replay_golden(Student(nearly), ENCODER, golden)


def test_new_items_without_a_place_are_refused() -> None:
    files, golden = recorded()
    nowhere = dataclasses.replace(files, answer_text_map=files.answer_text_map * np.float32(np.nan))
    with pytest.raises(GoldenMismatch, match="answer_vector moved by nan"):
        replay_golden(Student(nowhere), ENCODER, golden)
