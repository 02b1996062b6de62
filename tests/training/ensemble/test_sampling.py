from __future__ import annotations

import numpy as np

from training.ensemble.sampling import bootstrap_by_person, folds_by_person, thinned

PEOPLE = np.repeat([7, 3, 11, 5, 2], [4, 1, 6, 2, 3])


def test_all_pairs_of_a_person_are_in_one_fold() -> None:
    folds = folds_by_person(PEOPLE, 3, seed=0)
    assert all(len(np.unique(folds[person == PEOPLE])) == 1 for person in PEOPLE)


def test_folds_have_as_many_people_as_each_other() -> None:
    folds = folds_by_person(PEOPLE, 3, seed=0)
    assert sorted(len(np.unique(PEOPLE[folds == fold])) for fold in range(3)) == [1, 2, 2]


def test_folds_follow_the_seed() -> None:
    people = np.arange(100)
    assert (folds_by_person(people, 2, seed=0) == folds_by_person(people, 2, seed=0)).all()
    assert (folds_by_person(people, 2, seed=0) != folds_by_person(people, 2, seed=1)).any()


def test_a_bootstrap_takes_all_pairs_of_a_person_equally_often() -> None:
    n_drawn = bootstrap_by_person(PEOPLE, np.random.default_rng(0))
    of_people = {person: set(n_drawn[person == PEOPLE].tolist()) for person in PEOPLE.tolist()}
    assert all(len(counts) == 1 for counts in of_people.values())
    assert sum(min(counts) for counts in of_people.values()) == 5


def test_few_pairs_are_all_kept() -> None:
    labels = np.array([True, False, False, True])
    rows, stands_for = thinned(labels, 10, np.random.default_rng(0))
    np.testing.assert_array_equal(rows, [0, 1, 2, 3])
    np.testing.assert_array_equal(stands_for, [1, 1, 1, 1])


def test_positives_are_kept_and_negatives_stand_for_more() -> None:
    labels = np.arange(1000) % 100 == 0
    rows, stands_for = thinned(labels, 109, np.random.default_rng(0))
    assert labels[rows].sum() == 10
    assert len(np.unique(rows)) == 109
    np.testing.assert_array_equal(stands_for[labels[rows]], 1)
    np.testing.assert_array_equal(stands_for[~labels[rows]], 10)


def test_positives_leave_half_the_room_to_negatives() -> None:
    labels = np.arange(1000) < 700
    rows, stands_for = thinned(labels, 100, np.random.default_rng(0))
    assert labels[rows].sum() == 50
    assert stands_for.sum() == 1000
