"""The student as it runs: full answers under masks, the same alone and in a batch, in either precision."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from models.cooccurrence import Boosts
from models.errors import BundleInconsistent, FileCorrupt
from models.history import Event, History, encode_history
from models.index import AllowedItems, flat_index, quantize_rows
from models.scan import RESCORE_MARGIN, Ranked, ScanQuery
from models.student import Floats, Student, StudentFiles
from tests.support.bundles import (
    NEW_ITEM_WEIGHT,
    tiny_cooccurrence,
    tiny_history,
    tiny_items,
    tiny_student,
    tiny_text_encoder,
    with_item_vectors,
)

Indices = npt.NDArray[np.int32]

PRECISIONS = ["fp32", "int8"]
N_ITEMS, N_FACTORS = 500, 16
HALF_ROUNDING = 2 * 2.0**-11
"""Of a number up to 2 that lies in 16 bits; fp32 students keep item vectors so."""
NO_EVENTS = encode_history(History.empty())


def indices(*items: int) -> Indices:
    return np.array(items, np.int32)


def files_of(item_vectors: Floats, precision: str) -> StudentFiles:
    """A mean-pooling student with these answer vectors and no boosts."""
    n_items, n_factors = item_vectors.shape
    return with_item_vectors(tiny_student(tiny_items(n_items, n_factors), precision, n_factors), item_vectors)


def top_k(
    student: Student,
    user_vectors: Floats,
    k: int,
    *,
    blocked: Sequence[Indices] | None = None,
    allowed: AllowedItems | None = None,
) -> Ranked:
    """The best of people whose events add nothing. blocked: what each of them has seen."""
    seen = [indices()] * len(user_vectors) if blocked is None else blocked
    asked = [ScanQuery(vector, NO_EVENTS, items) for vector, items in zip(user_vectors, seen, strict=True)]
    return student.top_k(asked, k, allowed=allowed)


def score_items(student: Student, user_vectors: Floats, item_indices: Any) -> Floats:
    """Scores of chosen items for people whose events add nothing."""
    return student.score_items(user_vectors, Boosts.none(len(user_vectors)), item_indices)


def random_vectors(n_rows: int, seed: int) -> Floats:
    """Normal numbers that float16 holds exactly, so both precisions can give the same scores."""
    return np.random.default_rng(seed).normal(size=(n_rows, N_FACTORS)).astype(np.float16).astype(np.float32)


ITEM_VECTORS = random_vectors(N_ITEMS, 0)
STUDENTS = {precision: Student(files_of(ITEM_VECTORS, precision)) for precision in PRECISIONS}
each_student = pytest.mark.parametrize("student", STUDENTS.values(), ids=STUDENTS)


@each_student
def test_answer_is_the_best_of_the_catalogue(student: Student) -> None:
    users = random_vectors(5, 1)
    scores = users @ student.item_vectors(np.arange(N_ITEMS)).T
    ranked = top_k(student, users, 20)
    np.testing.assert_array_equal(ranked.item_indices, np.argsort(-scores, axis=1, kind="stable")[:, :20])
    np.testing.assert_allclose(ranked.scores, -np.sort(-scores, axis=1)[:, :20], rtol=1e-5)
    assert [str(ranked.item_indices.dtype), str(ranked.scores.dtype)] == ["int32", "float32"]


@each_student
def test_answer_is_full_though_the_best_are_blocked(student: Student) -> None:
    users = random_vectors(2, 1)
    best = top_k(student, users, 200).item_indices
    ranked = top_k(student, users, 10, blocked=[best[0, :150], best[1, :3]])
    np.testing.assert_array_equal(ranked.item_indices, [best[0, 150:160], best[1, 3:13]])


@each_student
def test_blocked_items_are_one_persons_own(student: Student) -> None:
    users = np.repeat(random_vectors(1, 1), 2, axis=0)
    best = top_k(student, users[:1], 3).item_indices[0]
    ranked = top_k(student, users, 1, blocked=[best[:1], indices()])
    assert ranked.item_indices.tolist() == [[best[1]], [best[0]]]


@each_student
def test_blocking_an_item_twice_is_blocking_it(student: Student) -> None:
    users = random_vectors(1, 1)
    best = top_k(student, users, 3).item_indices[0]
    assert top_k(student, users, 1, blocked=[best[[0, 0, 1]]]).item_indices.tolist() == [[best[2]]]


@each_student
@pytest.mark.parametrize("n_allowed", [10, 350])
def test_items_that_a_filter_hides_do_not_cost_places(student: Student, n_allowed: int) -> None:
    users = random_vectors(2, 1)
    every_item = top_k(student, users, N_ITEMS)
    passing = np.sort(every_item.item_indices[0, -n_allowed:])
    ranked = top_k(student, users, 5, allowed=AllowedItems.of(passing, N_ITEMS))
    for row in range(2):
        is_allowed = np.isin(every_item.item_indices[row], passing)
        np.testing.assert_array_equal(ranked.item_indices[row], every_item.item_indices[row, is_allowed][:5])
        np.testing.assert_array_equal(ranked.scores[row], every_item.scores[row, is_allowed][:5])


@each_student
@pytest.mark.parametrize("n_left", [0, 1, 3])
def test_places_without_an_item_are_marked(student: Student, n_left: int) -> None:
    everything_else = np.arange(n_left, N_ITEMS).astype(np.int32)
    ranked = top_k(student, random_vectors(1, 1), 5, blocked=[everything_else])
    assert sorted(ranked.item_indices[0, :n_left].tolist()) == list(range(n_left))
    assert ranked.item_indices[0, n_left:].tolist() == [-1] * (5 - n_left)
    assert np.isneginf(ranked.scores[0, n_left:]).all()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("n_people", [1, 3, 16])
def test_equal_scores_come_by_rising_index(precision: str, n_people: int) -> None:
    student = Student(files_of(np.repeat(random_vectors(1, 2), 203, axis=0), precision))
    ranked = top_k(student, random_vectors(n_people, 3), 10, blocked=[indices(0, 4)] * n_people)
    assert ranked.item_indices.tolist() == [[1, 2, 3, 5, 6, 7, 8, 9, 10, 11]] * n_people


@each_student
def test_nobody_and_no_places_are_answered_with_nothing(student: Student) -> None:
    assert top_k(student, random_vectors(0, 1), 5).item_indices.shape == (0, 5)
    assert top_k(student, random_vectors(2, 1), 0).item_indices.shape == (2, 0)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("n_blocked", [0, 1, 3])
def test_blocked_items_must_be_given_for_each_person(precision: str, n_blocked: int) -> None:
    student = Student(tiny_student(tiny_items(), precision))
    with pytest.raises(ValueError, match=f"{n_blocked} arrays of blocked items for 2 people"):
        student.recommend([tiny_history(0), tiny_history(1)], 5, blocked=[indices(1)] * n_blocked)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 30), st.sampled_from(PRECISIONS))
def test_person_in_a_batch_is_answered_as_alone(seed: int, n_people: int, k: int, precision: str) -> None:
    student, users = STUDENTS[precision], random_vectors(n_people, seed)
    rng = np.random.default_rng(seed)
    blocked = [rng.integers(0, N_ITEMS, rng.integers(0, 50)).astype(np.int32) for _ in range(n_people)]
    together = top_k(student, users, k, blocked=blocked)
    alone = [top_k(student, users[[row]], k, blocked=[blocked[row]]) for row in range(n_people)]
    np.testing.assert_array_equal(
        together.item_indices, np.concatenate([each.item_indices for each in alone])
    )
    np.testing.assert_allclose(together.scores, np.concatenate([each.scores for each in alone]), rtol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.floats(0, 0.9), st.sampled_from(PRECISIONS))
def test_answer_falls_in_score_repeats_nothing_and_holds_nothing_blocked(
    seed: int, k: int, share_blocked: float, precision: str
) -> None:
    rng = np.random.default_rng(seed)
    blocked = np.flatnonzero(rng.random(N_ITEMS) < share_blocked).astype(np.int32)
    ranked = top_k(STUDENTS[precision], random_vectors(1, seed), k, blocked=[blocked])
    found = ranked.item_indices[0][ranked.item_indices[0] >= 0]
    assert len(found) == min(k, N_ITEMS - len(blocked))
    assert len(set(found.tolist())) == len(found)
    assert not np.isin(found, blocked).any()
    assert (ranked.scores[0, 1:] <= ranked.scores[0, :-1]).all()


@each_student
def test_long_vector_of_one_person_does_not_blur_another(student: Student) -> None:
    users = random_vectors(2, 1)
    alone = top_k(student, users[:1], 20)
    users[1] *= 10_000
    np.testing.assert_array_equal(top_k(student, users, 20).item_indices[:1], alone.item_indices)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-6), ("int8", 0.5 / 127)])
def test_item_vectors_are_what_was_stored_within_half_a_step(precision: str, tolerance: float) -> None:
    found = STUDENTS[precision].item_vectors(indices(3, 0, 499))
    expected = ITEM_VECTORS[[3, 0, 499]]
    assert (np.abs(found - expected).max(axis=1) <= tolerance * np.abs(expected).max(axis=1) * 1.001).all()


def test_int8_finds_nearly_what_fp32_finds() -> None:
    item_vectors, users = random_vectors(5_000, 4), random_vectors(50, 5)
    exact, quantized = (
        top_k(Student(files_of(item_vectors, precision)), users, 20).item_indices for precision in PRECISIONS
    )
    shared = [len(np.intersect1d(one, other)) for one, other in zip(exact, quantized, strict=True)]
    assert np.mean(shared) > 19


def test_int8_is_rescored_beyond_what_was_asked() -> None:
    """What seven bits of a user vector cannot tell apart, all of it can, and the best is found."""
    item_vectors = np.zeros((RESCORE_MARGIN + 1, N_FACTORS), np.float32)
    item_vectors[:, :2] = 1.0, -1.0
    item_vectors[-1, 1] = -126 / 127
    user = np.zeros((1, N_FACTORS), np.float32)
    user[0, :3] = 0.5, 0.003, 1.0  # the second is less than half a step of the third
    assert top_k(Student(files_of(item_vectors, "int8")), user, 1).item_indices.tolist() == [[RESCORE_MARGIN]]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_more_threads_give_equal_answers(precision: str) -> None:
    users = random_vectors(16, 1)
    two = top_k(Student(files_of(ITEM_VECTORS, precision), n_threads=2), users, 20)
    np.testing.assert_array_equal(two.item_indices, top_k(STUDENTS[precision], users, 20).item_indices)


@each_student
def test_chosen_items_are_scored_as_the_answer_scores_them(student: Student) -> None:
    users, chosen = random_vectors(3, 1), indices(7, 0, 7, 499)
    ranked = top_k(student, users, N_ITEMS)
    in_item_order = np.take_along_axis(ranked.scores, np.argsort(ranked.item_indices, axis=1), 1)
    np.testing.assert_allclose(score_items(student, users, chosen), in_item_order[:, chosen], rtol=1e-5)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", HALF_ROUNDING), ("int8", 0.02)])
def test_catalogue_scores_are_in_item_order(precision: str, tolerance: float) -> None:
    files = boosting_student(precision)
    histories = [tiny_history(1), History.empty(), tiny_history(2)]
    scores = Student(files).catalogue_scores(histories)
    np.testing.assert_allclose(scores, expected_scores(histories), atol=tolerance)


BOOSTS = np.random.default_rng(3).normal(size=(40, 3)).astype(np.float32)
"""What each of 40 items says of the three after it."""


def boosting_student(precision: str) -> StudentFiles:
    return dataclasses.replace(
        tiny_student(tiny_items(), precision), cooccurrence=tiny_cooccurrence(BOOSTS, precision)
    )


def expected_scores(histories: list[History]) -> Floats:
    """Products and boosts of `boosting_student`, written out; (n_people, 40)."""
    scores = np.zeros((len(histories), 40), np.float32)
    for row, history in enumerate(histories):
        for own in history.item_indices:
            for item in range(own % 4, 40, 4):
                scores[row, item] += (1 + (40 - item) / 40) / len(history)
            for step in range(3):
                scores[row, (own + 1 + step) % 40] += BOOSTS[own, step]
    return scores


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", HALF_ROUNDING), ("int8", 0.02)])
def test_answer_has_what_a_persons_events_add(precision: str, tolerance: float) -> None:
    student, histories = Student(boosting_student(precision)), [tiny_history(1), tiny_history(2).last(1)]
    ranked = student.recommend(histories, 40)
    expected = np.take_along_axis(expected_scores(histories), ranked.item_indices, 1)
    np.testing.assert_allclose(ranked.scores, expected, atol=tolerance)
    assert (np.diff(ranked.scores) <= 0).all()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_boosts_are_each_persons_own_whoever_else_is_in_the_batch(precision: str) -> None:
    student = Student(boosting_student(precision))
    histories = [tiny_history(person).last(person) for person in range(4)]
    together = student.recommend(histories, 10)
    for row, history in enumerate(histories):
        alone = student.recommend([history], 10)
        np.testing.assert_array_equal(together.item_indices[row], alone.item_indices[0])
        np.testing.assert_allclose(together.scores[row], alone.scores[0], rtol=1e-6)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_boost_lifts_no_item_that_is_masked(precision: str) -> None:
    student, history = Student(boosting_student(precision)), tiny_history(1)
    boosted = (history.item_indices[:, None] + 1 + np.arange(3)).ravel().astype(np.int32)
    allowed = AllowedItems.of(np.setdiff1d(np.arange(40), boosted[:4]).astype(np.int32), 40)
    ranked = student.recommend([history], 40, blocked=[boosted[4:]], allowed=allowed)
    assert not np.isin(ranked.item_indices[0], boosted).any()
    assert np.isneginf(ranked.scores[0, -9:]).all()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_chosen_items_have_their_boosts(precision: str) -> None:
    student, histories, chosen = (
        Student(boosting_student(precision)),
        [tiny_history(3), History.empty()],
        indices(4, 0, 39),
    )
    found = student.score_items(student.user_vectors(histories), student.boosts(histories), chosen)
    np.testing.assert_allclose(found, expected_scores(histories)[:, chosen], atol=0.02)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_user_vector_is_the_towers_answer_to_the_history(precision: str) -> None:
    student = Student(tiny_student(tiny_items(), precision))
    histories = [tiny_history(1), History.empty(), History.from_events([Event(0, 0), Event(1, 1)])]
    expected = np.array([[0, 1, 0, 0], [0, 0, 0, 0], [0.5, 0.5, 0, 0]], np.float32)
    np.testing.assert_allclose(student.user_vectors(histories), expected, atol=1e-6)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_person_in_a_batch_has_the_same_vector_as_alone(precision: str) -> None:
    student = Student(tiny_student(tiny_items(), precision))
    histories = [tiny_history(person).last(1 + person % 3) for person in range(6)]
    together = student.user_vectors(histories)
    for row, history in enumerate(histories):
        np.testing.assert_allclose(together[row], student.user_vectors([history])[0], atol=1e-6)


def test_new_items_are_placed_by_a_linear_map_of_their_text_vectors() -> None:
    weight = np.arange(12, dtype=np.float32).reshape(3, 4)
    bias = np.array([0, 0, 0, 0.5], np.float32)
    files = dataclasses.replace(
        tiny_student(tiny_items()),
        answer_text_map=np.concatenate([weight, bias[None]]),
        history_text_map=np.concatenate([-weight, bias[None]]),
    )
    found = Student(files).new_item_vectors(np.array([[0, 1, 0], [0, 0, 0]], np.float32))
    np.testing.assert_array_equal(found.answers, [[4, 5, 6, 7.5], [0, 0, 0, 0.5]])
    np.testing.assert_array_equal(found.histories, [[-4, -5, -6, -6.5], [0, 0, 0, 0.5]])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_new_item_competes_with_the_catalogue_on_one_scale(precision: str) -> None:
    student = Student(tiny_student(tiny_items(), precision))
    user_vectors = student.user_vectors([tiny_history(0), tiny_history(1)])
    new = student.new_item_vectors(tiny_text_encoder().encode(["a lantern of block1"]))
    scores = student.score_new_items(user_vectors, new.answers)
    np.testing.assert_allclose(scores[:, 0], [0, NEW_ITEM_WEIGHT], atol=1e-6)
    catalogue = score_items(student, user_vectors[1:], np.arange(40, dtype=np.int32))[0]
    assert np.count_nonzero(catalogue > scores[1]) == 5  # block 1 runs from 1.1 to 2, in tenths


@pytest.mark.parametrize("content", [b"", b"no graph"])
def test_graph_that_does_not_load_is_named(content: bytes) -> None:
    files = tiny_student(tiny_items())
    with pytest.raises(FileCorrupt, match=r"^user_tower\.onnx does not load"):
        Student(dataclasses.replace(files, user_tower=content))


def identity_graph(name: str) -> bytes:
    """A graph of one input, that gives it back."""
    values = [helper.make_tensor_value_info(each, TensorProto.FLOAT, [1]) for each in (name, "same")]
    node = helper.make_node("Identity", [name], ["same"])
    graph = helper.make_graph([node], "identity", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"user_tower": tiny_student(tiny_items(), n_blocks=5).user_tower},
            r"user_tower\.onnx takes history_vectors of .* 4 ",
        ),
        ({"user_tower": identity_graph("anything")}, r"user_tower\.onnx takes \['anything'\]"),
        (
            {"history_vectors": np.zeros((41, 5), np.float32)},
            r"user_tower\.onnx takes history_vectors of .* 5 ",
        ),
    ],
)
def test_graph_that_does_not_fit_the_arrays_is_refused(changes: dict[str, object], message: str) -> None:
    files = tiny_student(tiny_items())
    with pytest.raises(BundleInconsistent, match=message):
        Student(dataclasses.replace(files, **changes))  # type: ignore[arg-type]


def test_size_counts_graphs_and_arrays() -> None:
    files = tiny_student(tiny_items())
    arrays = 41 * 4 * 4 + 41 * 4 + 40 * 4 * 2 + 40 * 4 + 2 * 5 * 4 * 4
    cooccurrence = 41 * 2 * (2 + 4) + 41 * 4 + 3 * 4
    index = 3 * 16 * 4 + 48 * 4 + 4
    assert files.size_bytes() == len(files.user_tower) + arrays + cooccurrence + index


def test_exact_ties_are_ranked_by_index_though_8_bits_saw_a_difference() -> None:
    item_vectors = np.zeros((2, N_FACTORS), np.float32)
    item_vectors[:, :2] = [[1.0, 0.0], [0.0, 1.0]]
    user = np.array([[0.5, 0.5, 1.0] + [0.0] * (N_FACTORS - 3)], np.float32)
    files = files_of(item_vectors, "fp32")
    seen_otherwise = flat_index(*quantize_rows(item_vectors * np.array([[1.0], [1.01]], np.float32)))
    ranked = top_k(Student(dataclasses.replace(files, index=seen_otherwise)), user, 2)
    assert ranked.item_indices.tolist() == [[0, 1]]
    assert ranked.scores.tolist() == [[0.5, 0.5]]
