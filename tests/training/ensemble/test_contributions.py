"""What a member contributes, where the strategy is a weighted sum and so the answer is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from models.ensemble.meta_features import PLAIN_FEATURES, seen_mask
from models.history import Event, History
from models.repeats import RepeatModel
from tests.support.blocks import N_ITEMS, block_dataset
from training.data.split import Split, split_by_time
from training.ensemble.contributions import member_contributions
from training.ensemble.ensemble import Ensemble
from training.ensemble.item_timeline import ItemTimeline
from training.ensemble.stacking import Stacking
from training.members.content import Content
from training.members.factorization import Factorization
from training.members.member import Floats
from training.members.popularity import Popularity

CONTENT, ALS, POPULARITY = 0, 1, 2
N_CATALOGUE = N_ITEMS + 1
ITEMS = np.array([[0, 1, 2, 50], [50, 49, 48, 47]], np.int32)
HISTORIES = [
    History.from_events([Event(4, 1_600_000_000), Event(8, 1_600_100_000)]),
    History.from_events([Event(5, 1_600_000_000)]),
]


class Weighted(Stacking):
    """A sum of features by these weights."""

    def __init__(self, weights: Sequence[float]) -> None:
        self._fixed = np.array([*weights, *[0.5] * len(PLAIN_FEATURES)], np.float32)

    def logit(self, features: Floats) -> Floats:
        return np.asarray(features @ self._fixed, np.float32)


@pytest.fixture(scope="module")
def split() -> Split:
    return split_by_time(block_dataset(), validation_share=0.2, test_share=0.2)


@pytest.fixture(scope="module")
def members(split: Split) -> list[Content | Factorization | Popularity]:
    kinds = (Content(), Factorization(n_factors=8, l2=1.0), Popularity())
    return [member.fit(split.past, seed=0) for member in kinds]


def ensemble(
    members: list[Content | Factorization | Popularity], split: Split, weights: Sequence[float]
) -> Ensemble:
    """weights: of z, rank and missing of content, then of ALS, then of popularity."""
    return Ensemble([*members], RepeatModel.unlearned(ItemTimeline.of(split.past)), Weighted(weights))


def test_contribution_is_what_the_members_own_features_add(
    members: list[Content | Factorization | Popularity], split: Split
) -> None:
    whole = ensemble(members, split, [2, 0, 0, -3, 0, 0, 0, 0, 0])
    found = member_contributions(whole, HISTORIES, ITEMS)
    z = np.take_along_axis(whole.describe(HISTORIES)[:, :, [0, 3]], ITEMS[:, :, None], axis=1)
    np.testing.assert_allclose(found[:, :, CONTENT], 2 * z[:, :, 0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[:, :, ALS], -3 * z[:, :, 1], rtol=1e-4, atol=1e-5)


def test_member_that_the_strategy_does_not_hear_contributes_nothing(
    members: list[Content | Factorization | Popularity], split: Split
) -> None:
    found = member_contributions(ensemble(members, split, [2, 1, 1, 1, 1, 1, 0, 0, 0]), HISTORIES, ITEMS)
    assert not found[:, :, POPULARITY].any()
    assert found[:, :, CONTENT].any()


def test_a_silent_members_rank_is_the_mean_over_what_the_person_has_not_seen(
    members: list[Content | Factorization | Popularity], split: Split
) -> None:
    whole = ensemble(members, split, [0, 1, 0, 0, 0, 0, 0, 0, 0])
    every = np.tile(np.arange(N_CATALOGUE, dtype=np.int32), (len(HISTORIES), 1))
    found = member_contributions(whole, HISTORIES, every)[:, :, CONTENT]
    for row, is_seen in zip(found, seen_mask(HISTORIES, N_CATALOGUE), strict=True):
        assert row[~is_seen].mean() == pytest.approx(0, abs=1e-5)


def test_whether_a_member_has_an_opinion_is_no_contribution(
    members: list[Content | Factorization | Popularity], split: Split
) -> None:
    whole = ensemble(members, split, [0, 0, -1, 0, 0, -1, 0, 0, -1])
    items = np.tile(np.arange(N_CATALOGUE, dtype=np.int32), (len(HISTORIES), 1))
    assert not member_contributions(whole, HISTORIES, items).any()


def test_contributions_of_a_person_do_not_depend_on_who_else_is_in_the_batch(
    members: list[Content | Factorization | Popularity], split: Split
) -> None:
    whole = ensemble(members, split, [2, 1, 1, -3, 1, 0, 1, 1, 0])
    together = member_contributions(whole, HISTORIES, ITEMS)
    alone = member_contributions(whole, HISTORIES[1:], ITEMS[1:])
    np.testing.assert_allclose(alone[0], together[1], rtol=1e-4, atol=1e-5)
