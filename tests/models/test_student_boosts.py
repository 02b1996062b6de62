"""Boosts: what a person's events add to scores, to nobody else's, and to no masked item."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models.history import History
from models.index import AllowedItems
from models.student import Floats, Student, StudentFiles
from tests.models.catalogues import indices
from tests.models.plain_students import (
    PRECISIONS,
)
from tests.support.bundles import (
    tiny_cooccurrence,
    tiny_history,
    tiny_items,
    tiny_student,
)

HALF_ROUNDING = 2 * 2.0**-11
"""Of a number up to 2 that lies in 16 bits; fp32 students keep item vectors so."""


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
