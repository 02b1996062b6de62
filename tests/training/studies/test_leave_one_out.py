"""Leaving members out, where the log-odds are known: 3 * column 0 + column 1, and columns 2 and 3 are noise."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.pairs import linear_pairs
from training.ensemble.pairs import Pairs
from training.ensemble.stacking import Stacking
from training.members.member import Floats
from training.quality.schema import MemberWorth
from training.studies.candidate_features import CandidateFeatures
from training.studies.leave_one_out import leave_one_out, ndcg_of_all, ndcg_of_each

GROUPS = {"strong": [0], "weak": [1], "noise": [2, 3]}
N_PEOPLE, N_CANDIDATES = 150, 60


def candidates(seed: int) -> CandidateFeatures:
    """The two candidates of highest log-odds of each person are true."""
    rng = np.random.default_rng(seed)
    people = []
    for _ in range(N_PEOPLE):
        features = rng.normal(size=(N_CANDIDATES, 4)).astype(np.float32)
        log_odds = 3 * features[:, 0] + features[:, 1]
        people.append((features, log_odds >= np.sort(log_odds)[-2]))
    return CandidateFeatures.from_list(people)


@pytest.fixture(scope="module")
def table() -> dict[str, MemberWorth]:
    known = linear_pairs(n_people=80)
    return leave_one_out(
        Stacking,
        Pairs(known.features, known.labels, known.people),
        candidates(1),
        candidates(2),
        GROUPS,
        training_seconds={"strong": 1.5},
        seed=0,
    )


def floats(*values: float) -> Floats:
    return np.array(values, np.float32)


def test_members_that_tell_something_earn_their_place(table: dict[str, MemberWorth]) -> None:
    assert table["strong"].earns_its_place
    assert table["weak"].earns_its_place
    assert table["strong"].ndcg.value > table["weak"].ndcg.value > 0.01


def test_noise_does_not(table: dict[str, MemberWorth]) -> None:
    assert not table["noise"].earns_its_place
    assert abs(table["noise"].catalogue_ndcg.value) < 0.02


def test_each_figure_lies_in_its_interval(table: dict[str, MemberWorth]) -> None:
    for member in GROUPS:
        for figure in (table[member].ndcg, table[member].catalogue_ndcg):
            assert figure.low < figure.value < figure.high


def test_the_cost_stands_beside_it(table: dict[str, MemberWorth]) -> None:
    assert [table[member].training_seconds for member in GROUPS] == [1.5, None, None]


def test_the_smaller_strategy_never_sees_the_columns() -> None:
    widths: list[int] = []

    class Watching(Stacking):
        def logit(self, features: Floats) -> Floats:
            widths.append(features.shape[1])
            return super().logit(features)

    known = linear_pairs(n_people=20)
    leave_one_out(
        Watching,
        Pairs(known.features, known.labels, known.people),
        candidates(1),
        candidates(2),
        {"noise": [2, 3]},
        seed=0,
    )
    assert widths == [4, 4, 2, 2]


def test_sampled_ndcg_ranks_each_true_item_alone() -> None:
    assert ndcg_of_each(floats(3, 2), floats(1, 0)) == 1.0
    assert ndcg_of_each(floats(0), floats(1, 2, -1)) == pytest.approx(0.5)  # third
    assert ndcg_of_each(floats(-1), np.arange(10, dtype=np.float32)) == 0.0  # eleventh


def test_catalogue_ndcg_ranks_them_together() -> None:
    assert ndcg_of_all(floats(3, 2), floats(1, 0)) == 1.0
    second_and_third = 1 / np.log2(3) + 1 / np.log2(4)
    assert ndcg_of_all(floats(2, 1), floats(3)) == pytest.approx(second_and_third / (1 + 1 / np.log2(3)))
    assert ndcg_of_all(floats(-1), np.arange(20, dtype=np.float32)) == 0.0  # twenty-first
