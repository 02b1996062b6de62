"""What is claimed of outcomes that were made to differ in known ways; the whole of it is in test_evaluation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.repeats import RepeatModel
from tests.support.blocks import N_ITEMS, block_dataset
from tests.support.pairs import linear_pairs
from training.data.split import Split, split_by_time
from training.ensemble.choice import choose_strategy
from training.ensemble.ensemble import Ensemble
from training.ensemble.item_timeline import ItemTimeline
from training.ensemble.pairs import Pairs
from training.ensemble.stacking import Stacking
from training.evaluation.assessment import WITHOUT, calibration, claims, describe_split, standings
from training.learning.fit import Taught
from training.members.ease import EASE
from training.members.factorization import Factorization
from training.members.popularity import Popularity
from training.metrics.protocols import Outcome, draw_candidates, measure, random_scores
from training.recipe.settings import TrainingSettings

N = N_ITEMS + 1
PAIRS = linear_pairs()
NAMES = ("popular", "popularity", "ease", "als", "ensemble", "student", "student_shipped")


@pytest.fixture(scope="module")
def split() -> Split:
    return split_by_time(block_dataset(), validation_share=0.2, test_share=0.2, new_people_share=0.25, seed=0)


@pytest.fixture(scope="module")
def taught(split: Split) -> Taught:
    choice = choose_strategy(
        {"stacking": Stacking}, PAIRS.features, PAIRS.labels, PAIRS.people, seed=0, n_folds=3
    )
    ensemble = Ensemble(
        [Popularity(), EASE()], RepeatModel.unlearned(ItemTimeline.of(split.past)), choice.strategy
    )
    pairs = Pairs(PAIRS.features, PAIRS.labels, PAIRS.people)
    return Taught(ensemble, choice, pairs, dict.fromkeys((*NAMES, WITHOUT), 0.5), {})


@pytest.fixture(scope="module")
def chance(split: Split) -> Outcome:
    return measure(random_scores(N, seed=1), split.test, draw_candidates(split.test, N, seed=0))


@pytest.fixture
def outcomes(chance: Outcome) -> dict[str, Outcome]:
    """Ease samples better by 0.1, popularity is better in the catalogue, the ensemble better by 0.2 in both."""
    better = {
        "ease": replace(chance, ndcg=chance.ndcg + 0.1),
        "popularity": replace(chance, catalogue_ndcg=chance.catalogue_ndcg + 0.05),
        "ensemble": replace(chance, ndcg=chance.ndcg + 0.2, catalogue_ndcg=chance.catalogue_ndcg + 0.2),
    }
    return dict.fromkeys(NAMES, better["ensemble"]) | better


def test_each_metric_is_compared_with_the_member_that_is_best_at_it(
    taught: Taught, outcomes: dict[str, Outcome]
) -> None:
    lead = claims(taught, outcomes, seed=0)["ensemble_minus_best_member"]
    assert lead["ndcg@10"] == pytest.approx([0.1, 0.1])
    assert lead["catalogue_ndcg@20"] == pytest.approx([0.15, 0.15])


def test_the_best_member_may_be_one_beside_the_ensemble(taught: Taught, outcomes: dict[str, Outcome]) -> None:
    outcomes["als"] = replace(outcomes["ease"], ndcg=outcomes["ensemble"].ndcg + 0.3)
    lead = claims(replace(taught, beside=[Factorization()]), outcomes, seed=0)["ensemble_minus_best_member"]
    assert lead["ndcg@10"] == pytest.approx([-0.3, -0.3])


def test_what_students_keep_is_a_ratio_to_the_ensemble(taught: Taught, outcomes: dict[str, Outcome]) -> None:
    teacher = outcomes["ensemble"]
    outcomes["student_shipped"] = replace(teacher, ndcg=0.9 * teacher.ndcg)
    found = claims(taught, outcomes, seed=0)
    assert found["student_shipped_over_ensemble_retention"]["ndcg@10"] == pytest.approx([0.9, 0.9])
    assert found["student_over_ensemble_retention"]["ndcg@10"] == pytest.approx([1.0, 1.0])


def test_distillation_is_claimed_where_there_is_a_student_without_it(
    taught: Taught, outcomes: dict[str, Outcome]
) -> None:
    gain = f"student_minus_{WITHOUT}"
    assert gain not in claims(taught, outcomes, seed=0)
    outcomes[WITHOUT] = outcomes["ease"]
    assert claims(taught, outcomes, seed=0)[gain]["ndcg@10"] == pytest.approx([0.1, 0.1])


def test_the_calibration_is_judged_on_the_tests_balanced_pairs_too(taught: Taught, chance: Outcome) -> None:
    certain = replace(chance, pair_scores=np.where(chance.pair_labels, 50.0, -50.0).astype(np.float32))
    test = calibration(taught.choice, certain).test
    assert test.brier == pytest.approx(0.0, abs=1e-3)
    assert sum(row.n for row in test.bins) == len(chance.pair_labels)
    wrong = replace(certain, pair_scores=-certain.pair_scores)
    assert calibration(taught.choice, wrong).test.ece == pytest.approx(1.0, abs=1e-3)


def test_the_standings_are_those_of_the_choice(taught: Taught) -> None:
    found = standings(taught.choice, TrainingSettings(n_folds=3))
    assert (found.chosen, found.margin, found.n_folds) == ("stacking", None, 3)
    assert found.table["stacking"].ndcg == taught.choice.standings["stacking"].ndcg


def test_the_split_is_told_in_numbers(split: Split) -> None:
    found = describe_split(split)
    is_new = split.is_new[split.test.user_indices]
    assert (found.n_people, found.n_items, found.n_events) == (120, N, 960)
    assert found.n_test_people == len(is_new) > found.n_new_people == is_new.sum() > 0
    assert found.n_test_truth == sum(map(len, split.test.truth))
    assert found.cuts == split.cuts


def test_people_with_more_than_one_question_are_counted_once(split: Split) -> None:
    twice = split.validation.take(np.repeat(np.arange(len(split.validation)), 2))
    found = describe_split(replace(split, validation=twice))
    assert found.n_validation_questions == 2 * found.n_validation_people == 2 * len(split.validation)
