"""Pairs whose item can be read back: it is a feature of its own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest

from models.ensemble.meta_features import MEMBER_FEATURES, feature_names
from models.history import Event, History
from models.item_timeline import ITEM_FEATURES
from models.members.member import FittedMember
from models.repeats import RepeatModel
from training.data.split import Questions
from training.ensemble import catalogue_lists, pairs
from training.ensemble.catalogue_lists import describe_catalogue
from training.ensemble.item_timeline import ItemTimeline
from training.ensemble.pairs import Pairs, describe_pairs
from training.members.member import Floats, Member

N_ITEMS = 12
WHICH_ITEM = len(MEMBER_FEATURES)
"""The first feature of an item is its index."""


class Rising(Member):
    """Scores item i as i."""

    name: ClassVar[str] = "rising"

    def fit(self, interactions: Any, **_: Any) -> Self:
        raise NotImplementedError

    def score(self, histories: Sequence[History]) -> Floats:
        return np.tile(np.arange(N_ITEMS, dtype=np.float32), (len(histories), 1))

    def fitted(self) -> FittedMember:
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    @classmethod
    def load(cls, folder: Path) -> Self:
        raise NotImplementedError


def history(*items: int) -> History:
    return History.from_events(Event(item, 1_000 + step) for step, item in enumerate(items))


QUESTIONS = Questions(
    np.array([7, 7, 3], np.int32),
    [history(0, 1), history(0, 1, 2), history(5)],
    [np.array([2], np.int32), np.array([3], np.int32), np.array([6, 9], np.int32)],
)
"""Person 7 has two questions; person 3 has one, with two true items."""


def described(*, n_negatives: int = 4, seed: int = 0, **rest: Any) -> Pairs:
    values = np.zeros((1, N_ITEMS, len(ITEM_FEATURES)), np.float16)
    values[0, :, 0] = np.arange(N_ITEMS)
    repeats = RepeatModel.unlearned(ItemTimeline(values, until=2_000, step_seconds=0))
    return describe_pairs([Rising()], repeats, QUESTIONS, n_negatives=n_negatives, seed=seed, **rest)


def items(found: Pairs) -> list[list[int]]:
    """Of each question; the truth begins a question's pairs."""
    all_items = found.features[:, WHICH_ITEM].astype(int)
    starts = np.flatnonzero(np.diff(found.labels.astype(int), prepend=0) == 1)[1:]
    return [own.tolist() for own in np.split(all_items, starts)]


def test_a_pair_is_taken_where_its_item_is_true() -> None:
    found = described()
    assert found.features[found.labels, WHICH_ITEM].tolist() == [2, 3, 6, 9]
    assert len(found) == 4 + 3 * 4


def test_the_others_are_unseen_and_not_true_and_drawn_once() -> None:
    for row, own in enumerate(items(described())):
        n_true = len(QUESTIONS.truth[row])
        others = set(own[n_true:])
        assert len(others) == 4
        assert others.isdisjoint([*QUESTIONS.truth[row], *QUESTIONS.histories[row].item_indices])


def test_where_fewer_are_left_all_of_them_are_the_others() -> None:
    first = items(described(n_negatives=100))[0]
    assert sorted(first[1:]) == [3, 4, 5, 6, 7, 8, 9, 10, 11]


def test_own_items_are_negatives_too_where_questions_are_about_all_items() -> None:
    values = np.zeros((1, N_ITEMS, len(ITEM_FEATURES)), np.float16)
    values[0, :, 0] = np.arange(N_ITEMS)
    repeats = RepeatModel.unlearned(ItemTimeline(values, until=2_000, step_seconds=0))
    asked = replace(QUESTIONS.take(np.array([1])), known_items="rank")  # history 0, 1, 2; truth 3
    found = describe_pairs([Rising()], repeats, asked, n_negatives=4, seed=0)
    drawn = found.features[:, WHICH_ITEM].astype(int)
    assert drawn[0] == 3
    assert set(drawn[1:5]).isdisjoint([0, 1, 2, 3])
    assert sorted(drawn[5:]) == [0, 1, 2]
    assert found.weights is not None
    rate = 4 / (N_ITEMS - 4)  # of the others, so many were drawn; of the own items, all
    np.testing.assert_allclose(found.weights, [1, 1, 1, 1, 1, rate, rate, rate])
    assert described().weights is None


def test_candidates_of_the_catalogue_are_favourites_own_and_true_items(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(catalogue_lists, "N_FAVOURITES", 3)
    values = np.zeros((1, N_ITEMS, len(ITEM_FEATURES)), np.float16)
    values[0, :, 0] = np.arange(N_ITEMS)
    repeats = RepeatModel.unlearned(ItemTimeline(values, until=2_000, step_seconds=0))
    asked = replace(QUESTIONS.take(np.array([1, 2])), known_items="rank")
    found = describe_catalogue([Rising()], repeats, asked)
    items = np.split(found.features[:, WHICH_ITEM].astype(int), np.cumsum(found.n_of_list)[:-1])
    favourites = [N_ITEMS - 3, N_ITEMS - 2, N_ITEMS - 1]
    assert [set(each) for each in items] == [{0, 1, 2, 3, *favourites}, {5, 6, 9, *favourites}]
    assert found.people.tolist() == [7] * len(items[0]) + [3] * len(items[1])
    assert [
        set(own[true]) for own, true in zip(items, np.split(found.is_true, [len(items[0])]), strict=True)
    ] == [
        {3},
        {6, 9},
    ]
    new = describe_catalogue([Rising()], repeats, replace(asked, known_items="leave_out_touched"))
    assert not np.isin([0, 1, 2], new.features[: new.n_of_list[0], WHICH_ITEM].astype(int)).any()


def test_pairs_of_one_person_share_a_number_across_questions() -> None:
    assert described().people.tolist() == [7] * 10 + [3] * 6


def test_features_are_of_the_question_that_the_pair_belongs_to() -> None:
    found = described()
    length = feature_names(["rising"]).index("history_log_length")
    assert np.rint(np.expm1(found.features[found.labels, length])).tolist() == [2, 3, 1, 1]


def test_questions_described_in_parts_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = described()
    monkeypatch.setattr(pairs, "MOST_AT_ONCE", 2)
    np.testing.assert_array_equal(described().features, whole.features)


def test_the_seed_draws_the_others() -> None:
    assert items(described(seed=1)) == items(described(seed=1)) != items(described(seed=2))


def test_progress_reaches_the_end() -> None:
    shares: list[float] = []
    described(progress=lambda share, words: shares.append(share))
    assert shares == [1.0]


def test_fewer_people_are_described_together_the_larger_the_catalogue() -> None:
    assert pairs.people_at_once(1) == pairs.people_at_once(30_000) == pairs.MOST_AT_ONCE
    assert pairs.people_at_once(10 * pairs.SCORES_AT_ONCE) == 1
    assert pairs.people_at_once(pairs.SCORES_AT_ONCE // 3) == 3


def test_others_may_be_recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    even = np.arange(N_ITEMS) % 2 == 0
    monkeypatch.setattr(sys.modules[__name__], "QUESTIONS", replace(QUESTIONS, recommendable=even))
    found = described()
    others = found.features[~found.labels, WHICH_ITEM]
    assert len(others) == 3 * 4
    assert (others % 2 == 0).all()
