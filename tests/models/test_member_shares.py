"""Shares by hand: what members are estimated to contribute, and what of it is shown."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.bundles.bundle import read_bundle, write_bundle
from models.history import Event, History
from models.member_shares import MEMBER_ARRAYS, MemberShares, StudentPairs, shares_of
from models.student import Floats, Student
from tests.support.bundles import (
    MEMBERS,
    tiny_contents,
    tiny_cooccurrence,
    tiny_items,
    tiny_member_shares,
    tiny_student,
)

ITEMS = tiny_items()
STUDENT = Student(
    dataclasses.replace(
        tiny_student(ITEMS), cooccurrence=tiny_cooccurrence(np.full((len(ITEMS), 1), 2.0, np.float32))
    )
)
"""Its item i boosts item i + 1 by 2."""
SHARES = tiny_member_shares(ITEMS)
HISTORY = History.from_events([Event(2, 1), Event(6, 2)])
POPULARITY = ITEMS.popularity / ITEMS.popularity.max()


def contributions(shares: MemberShares, *item_indices: int) -> Floats:
    """To HISTORY and these items; (n_items, n_members)."""
    items = np.array([item_indices], np.int32)
    pairs = StudentPairs.of(STUDENT, STUDENT.user_vectors([HISTORY]), [HISTORY], items)
    return shares.contributions(pairs)[0]


def shown(shares: MemberShares, item_index: int) -> dict[str, float]:
    """Shares by member, in the order shown."""
    [found] = shares.strongest(
        STUDENT, STUDENT.user_vectors([HISTORY])[0], HISTORY, np.array([item_index], np.int32)
    )
    return {each.member: each.share for each in found}


def flat(*levels: float) -> MemberShares:
    """Members "0", "1", … that contribute these numbers to everything."""
    n_members = len(levels)
    return MemberShares(
        tuple(str(member) for member in range(n_members)),
        np.zeros((4, 0), np.float32),
        np.zeros((4, 0), np.float32),
        np.zeros((n_members, 1, 3), np.float32),
        np.tile(np.array(levels, np.float16), (len(ITEMS), 1)),
    )


def test_contribution_is_the_mapped_product_of_vectors_and_the_items_level() -> None:
    found = contributions(SHARES, 10, 11)
    in_block, elsewhere = 1 + POPULARITY[10], 0.0
    expected = [[in_block, POPULARITY[10], -1], [elsewhere, POPULARITY[11], -1]]
    np.testing.assert_allclose(found, expected, rtol=2e-3)


def test_contribution_counts_the_person_the_item_and_the_boost() -> None:
    weights = np.zeros_like(SHARES.weights)
    weights[0, 0, 0] = 10.0
    weights[0, 0, -2], weights[0, 0, -1] = 1.0, 100.0
    weights[1, 3, 0] = 5.0  # the person's third coordinate
    weights[1, 0, 3] = 7.0  # the item's
    found = contributions(
        dataclasses.replace(SHARES, weights=weights, levels=np.zeros_like(SHARES.levels)), 3, 10
    )
    boosted = 10 + 2 + 100 * np.arcsinh(2.0)
    np.testing.assert_allclose(found[:, 0], [boosted, 10], rtol=1e-5)
    np.testing.assert_allclose(found[:, 1], [5, 5 + 7 * (1 + POPULARITY[10])], rtol=1e-3)


def test_shares_are_parts_of_what_speaks_for_an_item_strongest_first() -> None:
    popularity = float(POPULARITY[10])
    whole = 1 + 2 * popularity
    assert shown(SHARES, 10) == pytest.approx(
        {"blocks": (1 + popularity) / whole, "popular": popularity / whole}, abs=2e-3
    )
    assert list(shown(SHARES, 10)) == ["blocks", "popular"]


def test_what_contributes_nothing_or_less_is_not_shown() -> None:
    assert shown(flat(-1.0, 2.0, 0.0), 0) == {"1": 1.0}


def test_nobody_is_shown_where_nobody_speaks_for_the_item() -> None:
    assert shown(flat(-1.0, 0.0), 0) == {}


def test_at_most_three_are_shown_and_their_shares_are_of_all() -> None:
    found = shown(flat(1.0, 2.0, 4.0, 3.0), 0)
    assert found == {"2": 0.4, "3": 0.3, "1": 0.2}
    assert list(found) == ["2", "3", "1"]


def test_equal_shares_keep_the_order_of_the_members() -> None:
    assert list(shown(flat(1.0, 2.0, 1.0, 2.0), 0)) == ["1", "3", "0"]


def test_a_share_that_rounds_to_nothing_is_not_shown() -> None:
    assert shown(flat(1000.0, 0.25, 2.0), 0) == {"0": 0.998, "2": 0.002}


def test_no_items_have_no_shares() -> None:
    vector = STUDENT.user_vectors([HISTORY])[0]
    assert SHARES.strongest(STUDENT, vector, HISTORY, np.zeros(0, np.int32)) == []


@given(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=8))
def test_shares_sum_to_one_or_to_nothing(values: list[float]) -> None:
    shares = shares_of(np.array([values], np.float32))
    assert (shares >= 0).all()
    assert shares.sum() == pytest.approx(1.0 if max(values) > 0 else 0.0, abs=1e-5)


def test_people_asked_together_have_the_shares_that_each_has_alone() -> None:
    histories = [HISTORY, History.empty(), History.from_events([Event(9, 1)])]
    items = np.array([[1, 2], [3, 4], [10, 6]], np.int32)
    weights = SHARES.weights.copy()
    weights[:, 0, -2] = 1.0  # boosts count, and differ: each person's items are others
    shares = dataclasses.replace(SHARES, weights=weights)
    together = shares.contributions(
        StudentPairs.of(STUDENT, STUDENT.user_vectors(histories), histories, items)
    )
    for row, history in enumerate(histories):
        alone = StudentPairs.of(STUDENT, STUDENT.user_vectors([history]), [history], items[row : row + 1])
        np.testing.assert_allclose(together[row], shares.contributions(alone)[0], rtol=1e-5)


def test_bundle_gives_the_shares_back(tmp_path: Path) -> None:
    read = read_bundle(write_bundle(tmp_path, tiny_contents())).member_shares
    assert read.members == MEMBERS
    written = tiny_member_shares(ITEMS).arrays()
    assert tuple(written) == MEMBER_ARRAYS
    for name, array in read.arrays().items():
        np.testing.assert_array_equal(array, written[name], strict=True)
