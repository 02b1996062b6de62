from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest
from rich.console import Console

from models.history import History
from models.members.member import FittedMember
from tests.support.blocks import N_ITEMS, block_dataset, block_of_item
from tests.support.pairs import linear_pairs
from tests.support.settings import FEW_MEMBERS
from training.base.progress import Stages
from training.data.split import Questions, Split, split_by_time
from training.ensemble.choice import Standing, StrategyChoice, choose_strategy
from training.ensemble.cross_fits import Factory
from training.ensemble.decision_tree import DecisionTree
from training.ensemble.pairs import Pairs
from training.ensemble.stacking import Stacking
from training.learning.fit import (
    STUDENTS,
    TUNED,
    Taught,
    describe_choice,
    fit_ensemble,
    fit_thresholds,
)
from training.members.member import Floats, Member
from training.recipe.settings import TrainingSettings, load_settings

PAIRS = linear_pairs()
BLOCKS = np.array([block_of_item(item) for item in range(N_ITEMS + 1)])


class Oracle(Member):
    """Scores items of the person's block 8 and all others 2."""

    name: ClassVar[str] = "oracle"

    def fit(self, interactions: Any, **_: Any) -> Self:
        raise NotImplementedError

    def score(self, histories: Sequence[History]) -> Floats:
        own = np.array([block_of_item(int(history.item_indices[0])) for history in histories])
        return np.where(own[:, None] == BLOCKS, np.float32(8.0), np.float32(2.0))

    def fitted(self) -> FittedMember:
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    @classmethod
    def load(cls, folder: Path) -> Self:
        raise NotImplementedError


def chosen(candidates: dict[str, Factory]) -> StrategyChoice:
    return choose_strategy(candidates, PAIRS.features, PAIRS.labels, PAIRS.people, seed=0)


@pytest.fixture(scope="module")
def split() -> Split:
    return split_by_time(block_dataset(), validation_share=0.2, test_share=0.2)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> TrainingSettings:
    file = tmp_path_factory.mktemp("settings") / "few.toml"
    file.write_text(FEW_MEMBERS)
    return load_settings(file, quick=False, seed=3)


def taught_on(split: Split, settings: TrainingSettings) -> Taught:
    return fit_ensemble(split, settings, Stages(Console(quiet=True)))


@pytest.fixture(scope="module")
def taught(split: Split, settings: TrainingSettings) -> Taught:
    return taught_on(split, settings)


def numbered_questions(n_questions: int) -> Questions:
    numbers = np.arange(n_questions, dtype=np.int32)
    return Questions(numbers, [History.empty()] * n_questions, [numbers[row : row + 1] for row in numbers])


def test_a_members_threshold_parts_its_own_scores_and_the_ensembles_parts_out_of_fold_logits(
    split: Split,
) -> None:
    choice = chosen({"stacking": Stacking})
    logits = np.where(PAIRS.labels, 5.0, -3.0).astype(np.float32)
    found = fit_thresholds(
        [Oracle()],
        replace(choice, logits=logits),
        Pairs(PAIRS.features, PAIRS.labels, PAIRS.people),
        split,
        TrainingSettings(),
    )
    assert found["oracle"] == 5.0
    assert {found[name] for name in ("ensemble", *STUDENTS, TUNED)} == {1.0}
    baselines = {"random", "popular", "popular_week", "most_taken", "most_taken_then_popular"}
    baselines |= {"last_looked_at", "tifu_knn"}
    assert set(found) == {*baselines, "oracle", "ensemble", *STUDENTS, TUNED}


def test_what_is_measured_has_learned_from_validation_too(taught: Taught, split: Split) -> None:
    assert taught.ensemble.repeats.timeline.until == split.past_and_validation.until
    (popularity,) = (member for member in taught.ensemble.members if member.name == "popularity")
    again = type(popularity)().fit(split.past_and_validation, seed=0)
    histories = split.test.histories[:1]
    np.testing.assert_array_equal(popularity.score(histories), again.score(histories))


def test_the_strategy_learned_from_members_that_had_not_seen_validation(
    taught: Taught, split: Split, settings: TrainingSettings
) -> None:
    """Members that knew the answers would have taught it to trust them more than they deserve."""
    knowing = taught_on(replace(split, past=split.past_and_validation), settings)
    assert taught.choice.standings["stacking"].auc < knowing.choice.standings["stacking"].auc


def test_nothing_of_the_test_is_looked_at(taught: Taught, split: Split, settings: TrainingSettings) -> None:
    blind = taught_on(replace(split, test=numbered_questions(0)), settings)
    assert blind.thresholds == taught.thresholds
    np.testing.assert_array_equal(blind.choice.logits, taught.choice.logits)


def test_each_member_has_its_seconds_of_one_fit(taught: Taught) -> None:
    assert set(taught.seconds) == {"popularity", "als", "ease"}
    assert all(seconds > 0 for seconds in taught.seconds.values())


def test_few_questions_are_all_kept() -> None:
    questions = numbered_questions(5)
    assert questions.some(5, seed=0) is questions


def test_of_many_questions_some_are_drawn_by_seed_and_keep_their_order() -> None:
    def drawn(seed: int) -> list[int]:
        return numbered_questions(50).some(10, seed).user_indices.tolist()

    assert drawn(1) == sorted(drawn(1)) == drawn(1)
    assert len(set(drawn(1))) == 10
    assert drawn(1) != drawn(2)


@pytest.fixture(scope="module")
def rivals() -> StrategyChoice:
    return chosen({"tree": lambda: DecisionTree(min_leaf_pairs=20), "stacking": Stacking})


def test_a_choice_is_told_with_its_margin_and_interval(rivals: StrategyChoice) -> None:
    low, high = rivals.margin_interval or (0.0, 0.0)
    told = describe_choice(rivals)
    assert told.startswith(f"stacking combines the members: NDCG@20 out of fold {rivals.margin:+.4f}")
    assert f"({low:+.4f} to {high:+.4f})" in told


def test_without_a_rival_there_is_no_margin_to_tell(rivals: StrategyChoice) -> None:
    alone: dict[str, Standing] = {"stacking": rivals.standings["stacking"]}
    told = describe_choice(replace(rivals, margin=None, margin_interval=None, standings=alone))
    said = "stacking combines the members, the only strategy that was tried (setting `ensemble`): NDCG@20 out of fold"
    assert told.startswith(said)
