"""The student as it runs: full answers under masks, the same alone and in a batch, in either precision."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.index import AllowedItems, flat_index, quantize_rows
from models.scan import RESCORE_MARGIN
from models.student import Student
from tests.models.catalogues import indices
from tests.models.plain_students import (
    ITEM_VECTORS,
    N_FACTORS,
    N_ITEMS,
    PRECISIONS,
    STUDENTS,
    each_student,
    files_of,
    random_vectors,
    score_items,
    top_k,
)
from tests.support.bundles import (
    tiny_history,
    tiny_items,
    tiny_student,
)


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


@settings(max_examples=30)
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


@settings(max_examples=30)
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


def test_exact_ties_are_ranked_by_index_though_8_bits_saw_a_difference() -> None:
    item_vectors = np.zeros((2, N_FACTORS), np.float32)
    item_vectors[:, :2] = [[1.0, 0.0], [0.0, 1.0]]
    user = np.array([[0.5, 0.5, 1.0] + [0.0] * (N_FACTORS - 3)], np.float32)
    files = files_of(item_vectors, "fp32")
    seen_otherwise = flat_index(*quantize_rows(item_vectors * np.array([[1.0], [1.01]], np.float32)))
    ranked = top_k(Student(dataclasses.replace(files, index=seen_otherwise)), user, 2)
    assert ranked.item_indices.tolist() == [[0, 1]]
    assert ranked.scores.tolist() == [[0.5, 0.5]]
