"""The removal test on linear models: what each own item adds to each score is written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from models.explanations import Indices, Reason, Reasons
from models.history import Event, History
from models.student import Student
from tests.support.bundles import tiny_items, tiny_student
from training.members.member import Floats
from training.metrics.protocols import ScoreFunction
from training.quality.schema import Explanations
from training.studies.explanations import ReasonsOf, removal_test, student_removal_test

N_ITEMS = 12
OWN = (0, 1, 2)
HISTORY = History.from_events(Event(item, 1 + item) for item in OWN)


def linear(added: Floats) -> ScoreFunction:
    """added: (n_items, n_items), what having the row's item adds to the column's score."""

    def score(histories: Sequence[History]) -> Floats:
        return np.stack([added[history.item_indices].sum(axis=0) for history in histories])

    return score


def naming(item_of: Callable[[int], int | None]) -> ReasonsOf:
    """Reasons that name one item, or none, for each recommended item."""

    def reasons_of(history: History, items: Indices) -> list[Reasons]:
        named = [item_of(int(item)) for item in items]
        return [[] if item is None else [Reason(item, 1.0)] for item in named]

    return reasons_of


@pytest.fixture
def added() -> Floats:
    """Item 0 speaks for items 3 and 4, item 1 for 5 and 6, item 2 for nothing."""
    effects = np.zeros((N_ITEMS, N_ITEMS), np.float32)
    effects[0, [3, 4]] = effects[1, [5, 6]] = 2.0
    return effects


def speaks(item: int) -> int:
    return 0 if item in (3, 4) else 1


def test_true_explanations_all_pass_and_the_drop_is_exact(added: Floats) -> None:
    found = removal_test(linear(added), naming(speaks), [HISTORY], k=4, seed=0)
    assert found.removal_pass_rate == 1.0
    assert (found.n_people, found.n_explanations, found.n_unnamed) == (1, 4, 0)
    # Of nine candidates four stand at 2; without item 0 two of them do.
    before = 2.0 - np.log(4 * np.exp(2.0) + 5)
    after = 0.0 - np.log(2 * np.exp(2.0) + 7)
    assert found.mean_drop == pytest.approx(before - after, abs=1e-6)


def test_an_item_that_speaks_for_the_others_fails(added: Floats) -> None:
    found = removal_test(linear(added), naming(lambda item: 1 - speaks(item)), [HISTORY], k=4, seed=0)
    assert found.removal_pass_rate == 0.0
    assert found.mean_drop is not None
    assert found.mean_drop < 0


def test_a_score_that_falls_with_all_others_is_no_pass(added: Floats) -> None:
    added[2] = 1.0  # item 2 lifts everything alike, and item 3 less than the rest
    added[2, [3, 4, 5, 6]] = 0.5
    found = removal_test(linear(added), naming(lambda item: 2), [HISTORY], k=4, seed=0)
    assert found.score_falls == 1.0
    assert found.removal_pass_rate == 0.0


def test_an_item_that_is_overtaken_falls_in_rank(added: Floats) -> None:
    added[2, 7] = 1.9  # without item 0, item 7 overtakes items 3 and 4
    found = removal_test(linear(added), naming(lambda item: 0), [HISTORY], k=4, seed=0)
    assert found.rank_falls_or_stays == 1.0


def test_a_rank_that_rises_is_seen(added: Floats) -> None:
    added[1, 5] = 3.0  # items 5 (3), then 3, 4, 6 (2); without item 1, items 3 and 4 are first
    found = removal_test(linear(added), naming(lambda item: 1), [HISTORY], k=4, seed=0)
    assert found.rank_falls_or_stays == 0.5


def test_an_item_without_a_reason_is_no_pass(added: Floats) -> None:
    found = removal_test(linear(added), naming(lambda item: 0 if item < 5 else None), [HISTORY], k=4, seed=0)
    assert found.removal_pass_rate == 0.5
    assert (found.n_explanations, found.n_unnamed) == (2, 2)


def test_the_control_removes_another_item_of_the_person(added: Floats) -> None:
    two = History.from_events([Event(0, 1), Event(1, 2)])
    found = removal_test(linear(added), naming(speaks), [two], k=4, seed=0)
    assert found.removal_pass_rate == 1.0
    assert found.control_pass_rate == 0.0  # the other item speaks for the others


def test_what_was_removed_is_no_rival_afterwards(added: Floats) -> None:
    added[:, 0] = 50.0  # item 0 would be recommended above all, were it not owned
    found = removal_test(linear(added), naming(speaks), [HISTORY], k=4, seed=0)
    assert found.mean_drop is not None
    assert found.mean_drop < 3.0


def test_the_interval_is_over_people(added: Floats) -> None:
    people = [HISTORY] * 20 + [History.from_events([Event(2, 1)])] * 20
    found = removal_test(linear(added), naming(speaks), people, k=4, seed=0)
    assert found.removal_pass_rate == 0.5
    assert found.low is not None
    assert found.high is not None
    assert 0.3 < found.low < 0.5 < found.high < 0.7


def test_people_are_drawn_by_seed_and_empty_histories_are_passed_over(added: Floats) -> None:
    people = [History.empty(), HISTORY, HISTORY, History.empty(), HISTORY]
    assert removal_test(linear(added), naming(speaks), people, k=4, seed=0).n_people == 3
    assert removal_test(linear(added), naming(speaks), people, k=4, n_people=2, seed=0).n_people == 2
    assert removal_test(linear(added), naming(speaks), [History.empty()], k=4, seed=0) == Explanations()


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_student_scores_as_in_a_service(precision: str) -> None:
    """Its user vector is a mean over one-hot blocks, so an item of the same block always speaks for another."""
    student = Student(tiny_student(tiny_items(), precision))
    people = [
        History.from_events(Event(item, 1 + item) for item in (block, block + 1)) for block in (0, 1, 2)
    ]
    found = student_removal_test(student, people, k=10, seed=0)
    assert found.removal_pass_rate == 1.0
    assert found.n_explanations == 30
    assert found.control_pass_rate is not None
    assert found.control_pass_rate < 0.5


def test_only_what_may_be_recommended_is_explained_and_stands_beside_it(added: Floats) -> None:
    without_3_and_7 = ~np.isin(np.arange(N_ITEMS), [3, 7])
    found = removal_test(linear(added), naming(speaks), [HISTORY], recommendable=without_3_and_7, k=3, seed=0)
    assert (found.n_explanations, found.removal_pass_rate) == (3, 1.0)
    of_item_4 = (2.0 - np.log(3 * np.exp(2.0) + 4)) - (0.0 - np.log(2 * np.exp(2.0) + 5))
    of_5_and_6 = (2.0 - np.log(3 * np.exp(2.0) + 4)) - (0.0 - np.log(1 * np.exp(2.0) + 6))
    assert found.mean_drop == pytest.approx((of_item_4 + 2 * of_5_and_6) / 3, abs=1e-6)
