"""Explanations by a student whose user vector is a mean, so that what each item contributes is plain to see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.bundles.bundle import read_bundle
from models.explanations import explain
from models.history import Event, EventKind, History
from models.student import Student
from tests.support.bundles import tiny_bundle


@pytest.fixture
def student(tmp_path: Path) -> Student:
    return read_bundle(tiny_bundle(tmp_path)).load_student()


def test_reasons_are_the_own_items_of_the_same_block_and_the_drop_is_exact(student: Student) -> None:
    history = History.from_events([Event(2, 1), Event(3, 2)])
    [for_block_2, for_block_1] = explain(student, history, np.array([6, 1], np.int32))
    [reason] = for_block_2
    # The mean of two one-hot vectors is 1/2 in block 2, and 0 once item 2 is left out.
    assert reason.item_index == 2
    assert reason.contribution == pytest.approx(
        0.5 * float(student.item_vectors(np.array([6], np.int32)).max())
    )
    assert for_block_1 == []


def test_at_most_three_reasons_strongest_first(student: Student) -> None:
    history = History.from_events(Event(index, index) for index in (0, 4, 8, 12, 16, 1))
    [reasons] = explain(student, history, np.array([20], np.int32))
    assert len(reasons) == 3
    assert [reason.item_index for reason in reasons] == [16, 12, 8]  # equal drops: the latest first
    assert reasons[0].contribution >= reasons[2].contribution > 0


def test_what_was_sent_back_or_disliked_is_no_reason(student: Student) -> None:
    """All are of the same block but one, so leaving out either of those takes from its share."""
    history = History.from_events([Event(3, 0), Event(2, 1), Event(6, 2), Event(2, 3, EventKind.DISLIKE)])
    [reasons] = explain(student, history, np.array([10], np.int32))
    assert [reason.item_index for reason in reasons] == [6]
    only = History.from_events([Event(2, 1, EventKind.DISLIKE)])
    assert explain(student, only, np.array([10], np.int32)) == [[]]


def test_an_own_item_is_no_reason_for_itself(student: Student) -> None:
    history = History.from_events([Event(2, 1), Event(6, 2), Event(3, 3)])
    for_2, for_10 = explain(student, history, np.array([2, 10], np.int32))
    assert [reason.item_index for reason in for_2] == [6]
    assert {reason.item_index for reason in for_10} == {2, 6}
    [alone] = explain(student, History.from_events([Event(2, 1)]), np.array([2], np.int32))
    assert alone == []


def test_nothing_to_explain_with(student: Student) -> None:
    assert explain(student, History.empty(), np.array([1, 2], np.int32)) == [[], []]
    assert explain(student, History.from_events([Event(1, 1)]), np.zeros(0, np.int32)) == []
