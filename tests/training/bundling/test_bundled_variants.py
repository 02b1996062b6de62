"""A bundle's ensemble answers as the one that was measured: numpy alone, halved matrices, one moment of items."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.bundles.bundle import VariantsContents
from models.bundles.variants import Variants, replay_variants
from models.history import History
from tests.support.blocks import N_ITEMS, block_dataset
from training.bundling.bundled_variants import bundled_variants
from training.data.split import Split, split_by_time
from training.ensemble.decision_tree import DecisionTree
from training.ensemble.ensemble import Ensemble
from training.ensemble.item_timeline import ItemTimeline
from training.ensemble.pairs import describe_pairs
from training.ensemble.repeats import RepeatSettings, fit_repeats
from training.ensemble.stacking import Stacking
from training.ensemble.strategy import Strategy
from training.ensemble.super_stacking import SuperStacking
from training.members.content import Content
from training.members.ease import EASE
from training.members.factorization import Factorization
from training.members.member import Member
from training.members.neural import NeuralCF
from training.members.sequential import Sequential

N = N_ITEMS + 1


@pytest.fixture(scope="module")
def split() -> Split:
    return split_by_time(block_dataset(), validation_share=0.2, test_share=0.2)


def small_members() -> list[Member]:
    return [
        Content(),
        Factorization(n_factors=8, l2=1.0),
        EASE(l2=1.0),
        NeuralCF(n_epochs=1, n_factors=8, n_hidden=8),
        Sequential(n_epochs=1, n_factors=16),
    ]


def small_strategy() -> Strategy:
    """One that is in several parts, trees among them."""
    return SuperStacking(n_folds=2).over({"stacking": Stacking, "tree": lambda: DecisionTree(max_depth=3)})


@pytest.fixture(scope="module")
def ensemble(split: Split) -> Ensemble:
    members = [member.fit(split.past, seed=0) for member in small_members()]
    repeats = fit_repeats(split.past, RepeatSettings(), seed=0)
    pairs = describe_pairs(members, repeats, split.validation, n_negatives=20, seed=0)
    strategy = small_strategy().fit(pairs.features, pairs.labels, pairs.people, seed=0)
    return Ensemble(members, repeats, strategy)


@pytest.fixture(scope="module")
def bundled(ensemble: Ensemble, split: Split) -> VariantsContents:
    return bundled_variants(ensemble, [History.empty(), *split.test.histories[:2]])


@pytest.fixture(scope="module")
def read(bundled: VariantsContents) -> Variants:
    return Variants.from_arrays(bundled.variants.arrays(), bundled.entry, N)


def test_members_and_ensemble_are_named_in_order(bundled: VariantsContents) -> None:
    assert bundled.entry.members == ("content", "als", "ease", "neural", "sequential")
    assert bundled.entry.strategies == ("super_stacking", "stacking", "tree")
    assert set(bundled.entry.milliseconds) == {*bundled.entry.members, "ensemble"}


@pytest.mark.parametrize("name", ["content", "als", "ease", "neural", "sequential"])
def test_members_score_as_they_were_measured(
    name: str, read: Variants, ensemble: Ensemble, split: Split
) -> None:
    histories = [History.empty(), *split.test.histories]
    member = next(each for each in ensemble.members if each.name == name)
    expected = member.score(histories)
    scale = np.nanmax(np.abs(expected))
    np.testing.assert_allclose(read.score(name, histories) / scale, expected / scale, atol=1e-3)


def test_the_ensemble_ranks_as_it_was_measured(read: Variants, ensemble: Ensemble, split: Split) -> None:
    histories = [History.empty(), *split.test.histories]
    expected, found = ensemble.score(histories), read.score("ensemble", histories)
    np.testing.assert_array_equal(np.isneginf(found), np.isneginf(expected))
    is_item = np.isfinite(expected)
    close = np.abs(found[is_item] - expected[is_item]) <= 1e-2
    assert close.mean() > 0.99  # float16 may move an item past another, or past a tree's threshold


def test_its_own_golden_requests_hold(read: Variants, bundled: VariantsContents) -> None:
    replay_variants(read, bundled.golden)


def test_item_item_matrices_are_halved(bundled: VariantsContents) -> None:
    assert bundled.variants.arrays()["ensemble_ease.dense"].dtype == np.float16


def test_the_last_moment_of_items_alone_is_kept(ensemble: Ensemble) -> None:
    timeline = ensemble.repeats.timeline
    moments = ItemTimeline(np.concatenate([timeline.values, timeline.values + 1]), timeline.until, 86_400)
    earlier_too = replace(ensemble, repeats=replace(ensemble.repeats, timeline=moments))
    bundled = bundled_variants(earlier_too, [History.empty()])
    np.testing.assert_array_equal(bundled.variants.arrays()["ensemble_repeats.values"], timeline.values)
