"""Golden requests: the same student answers the same, another one is found out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from models.errors import GoldenMismatch
from models.golden import GoldenRequest, record_golden, replay_golden
from models.history import Event, History
from models.student import Student, StudentFiles
from tests.support.bundles import tiny_history, tiny_items, tiny_student
from training.student.catalogue_graph import build_catalogue

PEOPLE = [*(tiny_history(person) for person in range(4)), History.empty()]
ITEMS = tiny_items()


def vectors_of(files: StudentFiles) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return files.item_vectors.astype(np.float32)


def with_items(files: StudentFiles, order: list[int]) -> StudentFiles:
    """The same student with its item vectors in another order, everywhere."""
    vectors = vectors_of(files)[order]
    return dataclasses.replace(
        files,
        catalogue=build_catalogue(vectors, precision=files.precision),
        item_vectors=vectors.astype(np.float16),
    )


def swapped(*pair: int) -> list[int]:
    order = list(range(len(ITEMS)))
    order[pair[0]], order[pair[1]] = pair[1], pair[0]
    return order


def recorded(precision: str = "fp32") -> tuple[StudentFiles, list[GoldenRequest]]:
    files = tiny_student(ITEMS, precision)
    return files, record_golden(Student(files), PEOPLE)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_student_answers_its_own_requests(precision: str) -> None:
    files, golden = recorded(precision)
    replay_golden(Student(files), golden)


def test_requests_survive_json() -> None:
    files, golden = recorded()
    again = msgspec.json.decode(msgspec.json.encode(golden), type=list[GoldenRequest])
    assert again == golden
    replay_golden(Student(files), again)


def test_recorded_answer_leaves_out_what_was_seen() -> None:
    _, golden = recorded()
    assert golden[0].item_indices[:3] == [12, 16, 20]
    assert [event[0] for event in golden[0].events] == [0, 4, 8]


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
        replay_golden(Student(with_items(files, order)), golden)


@pytest.mark.parametrize("order", [list(range(len(ITEMS)))[::-1], swapped(12, 24)], ids=["reversed", "two"])
def test_item_vectors_that_are_not_the_catalogues_are_found_out(order: list[int]) -> None:
    files, golden = recorded()
    other = dataclasses.replace(files, item_vectors=files.item_vectors[order])
    with pytest.raises(GoldenMismatch, match=r"item_vectors\.npy and catalogue\.onnx"):
        replay_golden(Student(other), golden)


def test_swapped_history_vectors_are_found_out() -> None:
    files, golden = recorded()
    other = dataclasses.replace(files, history_vectors=files.history_vectors[::-1])
    with pytest.raises(GoldenMismatch):
        replay_golden(Student(other), golden)


def scaled(by: float) -> Callable[[StudentFiles], StudentFiles]:
    return lambda files: dataclasses.replace(files, history_scales=files.history_scales * np.float32(by))


@pytest.mark.parametrize("factor", [1.0001, 0.9999])
def test_scores_may_move_by_a_rounding(factor: float) -> None:
    files, golden = recorded()
    replay_golden(Student(scaled(factor)(files)), golden)


@pytest.mark.parametrize("factor", [1.05, 0.95, 0.0, -1.0])
def test_scores_may_not_move_further(factor: float) -> None:
    files, golden = recorded()
    with pytest.raises(GoldenMismatch, match="a score moved by"):
        replay_golden(Student(scaled(factor)(files)), golden)


def test_student_that_answers_nan_is_refused() -> None:
    files, golden = recorded()
    with pytest.raises(GoldenMismatch, match="a score moved by nan"):
        replay_golden(Student(scaled(np.nan)(files)), golden)


def answer_of(scores: list[float], item_indices: list[int] | None = None) -> GoldenRequest:
    return GoldenRequest([], list(range(len(scores))) if item_indices is None else item_indices, scores)


class Fixed(Student):
    """A student of five one-dimensional items whose vectors are the scores that everybody gets."""

    def __init__(self, scores: list[float]) -> None:
        vectors = np.array(scores, np.float32)[:, None]
        files = dataclasses.replace(
            tiny_student(tiny_items(len(scores), 1), n_blocks=1),
            catalogue=build_catalogue(vectors, precision="fp32"),
            item_vectors=vectors.astype(np.float16),
        )
        super().__init__(files)

    def user_vectors(self, histories: object) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return np.ones((1, 1), np.float32)


def holds(student: Student, request: GoldenRequest) -> bool:
    try:
        replay_golden(student, [request])
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
    everything = History.from_events(Event(item_index, item_index) for item_index in range(4))
    golden = record_golden(student, [everything])
    assert golden[0].item_indices == []
    replay_golden(student, golden)
