"""Contributions that are exactly what the estimate can say are found; what cannot be known is said to be so."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from models.history import Event, History
from models.member_shares import StudentPairs, shares_of
from models.student import Student
from tests.support.bundles import N_ITEMS, tiny_cooccurrence, tiny_items, tiny_student, with_item_vectors
from training.base.callback import no_progress
from training.members.member import Floats
from training.student import member_shares
from training.student.member_shares import Contributions, Fidelity, FittedShares, fit_member_shares
from training.student.soft_labels import SoftLabels

N_PEOPLE, N_LABELLED = 400, 30
RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(4, 4))
LEVELS = RNG.normal(size=N_ITEMS)
Items = npt.NDArray[np.int32]


@pytest.fixture(scope="module")
def student() -> Student:
    """Its item vectors are random; its item i boosts item i + 1."""
    files = with_item_vectors(
        tiny_student(tiny_items()),
        np.random.default_rng(1).normal(size=(N_ITEMS, 4)).astype(np.float32),
    )
    term = tiny_cooccurrence(np.random.default_rng(2).uniform(1, 3, (N_ITEMS, 1)).astype(np.float32))
    return Student(dataclasses.replace(files, cooccurrence=term))


def labels(n_people: int = N_PEOPLE) -> SoftLabels:
    """People with one to six items, and candidates among all items: -inf where one was seen."""
    rng = np.random.default_rng(3)
    histories, candidates, logits = [], [], []
    for _ in range(n_people):
        own = rng.permutation(N_ITEMS)[: rng.integers(1, 7)]
        histories.append(History.from_events(Event(int(item), step) for step, item in enumerate(own)))
        candidates.append(rng.permutation(N_ITEMS)[:N_LABELLED])
        logits.append(np.where(np.isin(candidates[-1], own), -np.inf, rng.normal(size=N_LABELLED)))
    return SoftLabels(
        histories,
        np.zeros((n_people, 1), np.int32),
        np.array(candidates, np.int32),
        np.array(logits, np.float16),
    )


def pairs_of(student: Student, histories: Sequence[History], items: Items) -> StudentPairs:
    return StudentPairs.of(student, student.user_vectors(histories), histories, items)


def plain(student: Student) -> Contributions:
    """ "taste" is bilinear in the vectors, "known" an item's level, "together" the boost, "mute" is nothing."""

    def ask(histories: Sequence[History], items: Items) -> Floats:
        pairs = pairs_of(student, histories, items)
        taste = 4 * np.einsum("pd,de,pne->pn", pairs.user_vectors, MATRIX, pairs.item_vectors)
        known = 2 * LEVELS[items]
        return np.stack([taste, known, pairs.boosts - 1, np.zeros(items.shape)], axis=2).astype(np.float32)

    return ask


MEMBERS = ("taste", "known", "together", "mute")


@pytest.fixture(scope="module")
def fitted(student: Student) -> FittedShares:
    return fit_member_shares(student, plain(student), MEMBERS, labels(), progress=no_progress)


def test_what_can_be_said_exactly_is_recovered_for_people_it_was_not_fitted_on(
    student: Student, fitted: FittedShares
) -> None:
    strangers = labels(N_PEOPLE + 20).histories[N_PEOPLE:]
    items = np.tile(np.arange(0, N_ITEMS, 3, dtype=np.int32), (len(strangers), 1))
    expected = plain(student)(strangers, items)
    found = fitted.shares.contributions(pairs_of(student, strangers, items))
    np.testing.assert_allclose(found, expected, atol=0.25)
    assert np.abs(shares_of(found) - shares_of(expected)).mean() < 0.02


def test_fidelity_of_what_is_recovered_is_nearly_whole(fitted: FittedShares) -> None:
    assert all(value > 0.999 for value in fitted.fidelity.correlations.values())
    assert all(value > 0.998 for value in fitted.fidelity.r2.values())
    assert 0 < fitted.fidelity.share_error < 0.02
    assert fitted.fidelity.top_agreement > 0.98 > 0.6 > fitted.fidelity.commonest_top > 0.25


def test_a_silent_member_has_no_share_and_no_fidelity(student: Student, fitted: FittedShares) -> None:
    people = labels(20)
    found = fitted.shares.contributions(pairs_of(student, people.histories, people.candidates))
    assert not shares_of(found)[:, :, MEMBERS.index("mute")].any()
    assert set(fitted.fidelity.correlations) == set(fitted.fidelity.r2) == {"taste", "known", "together"}


def noise(histories: Sequence[History], items: Items) -> Floats:
    """Two members who say of each pair what nothing else tells, and always the same."""
    of_people = np.array([history.item_indices.sum() for history in histories])
    return np.stack([np.sin(97.0 * items * of_people[:, None] + shift) for shift in (0, 1)], axis=2).astype(
        np.float32
    )


def test_what_was_learned_by_heart_is_no_fidelity(student: Student) -> None:
    found = fit_member_shares(student, noise, ("a", "b"), labels(30), progress=no_progress).fidelity
    assert max(found.r2.values()) < 0


def test_top_agreement_counts_only_what_some_member_speaks_for(student: Student) -> None:
    """The first item is spoken for by the second member, the others by none."""

    def ask(histories: Sequence[History], items: Items) -> Floats:
        contributions = np.full((*items.shape, 2), -5.0, np.float32)
        contributions[items == 0, 1] = 5.0
        return contributions

    found = fit_member_shares(student, ask, ("a", "b"), labels(), progress=no_progress).fidelity
    assert (found.top_agreement, found.commonest_top) == (1.0, 1.0)


def test_nobody_speaking_for_anything_is_no_agreement(student: Student) -> None:
    def ask(histories: Sequence[History], items: Items) -> Floats:
        return np.full((*items.shape, 2), -1.0, np.float32)

    found = fit_member_shares(student, ask, ("a", "b"), labels(), progress=no_progress).fidelity
    assert found == Fidelity({}, {}, 0.0, 0.0, 0.0)


def test_the_candidates_that_the_ensemble_likes_best_are_the_pairs(
    student: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member_shares, "N_CANDIDATES", 5)
    described: list[tuple[History, Items]] = []

    def ask(histories: Sequence[History], items: Items) -> Floats:
        described.extend(zip(histories, items, strict=True))
        return plain(student)(histories, items)

    known = labels()
    fit_member_shares(student, ask, MEMBERS, known, progress=no_progress)
    assert len(described) == N_PEOPLE
    for row in (0, 150, 399):
        best = np.argsort(-known.logits[row].astype(np.float32))[:5]
        assert described[row][0] is known.histories[row]
        assert set(described[row][1]) == set(known.candidates[row][best])


def test_items_that_were_seen_count_nothing(student: Student) -> None:
    def ask(histories: Sequence[History], items: Items) -> Floats:
        contributions = plain(student)(histories, items)
        for row, history in enumerate(histories):
            contributions[row, np.isin(items[row], history.item_indices)] = 1e6
        return contributions

    found = fit_member_shares(student, ask, MEMBERS, labels(), progress=no_progress)
    assert min(found.fidelity.r2.values()) > 0.998


def test_no_more_examples_are_described_than_allowed(
    student: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member_shares, "MAX_EXAMPLES", 150)
    n_examples: list[int] = []

    def ask(histories: Sequence[History], items: Items) -> Floats:
        n_examples.append(len(histories))
        return plain(student)(histories, items)

    fit_member_shares(student, ask, MEMBERS, labels(), progress=no_progress)
    assert sum(n_examples) == 150
    assert max(n_examples) <= member_shares.CHUNK


def test_chunks_change_nothing(student: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = []
    for size in (128, 33, 1_000):
        monkeypatch.setattr(member_shares, "CHUNK", size)
        fits.append(fit_member_shares(student, noise, ("a", "b"), labels(100), progress=no_progress).shares)
    for other in fits[1:]:
        np.testing.assert_allclose(other.weights, fits[0].weights, atol=1e-3)
        np.testing.assert_allclose(other.levels, fits[0].levels, atol=1e-3)


def test_an_item_in_no_example_has_no_level(student: Student) -> None:
    known = labels()
    without = dataclasses.replace(known, logits=np.where(known.candidates == 7, -np.inf, known.logits))
    levels = fit_member_shares(student, plain(student), MEMBERS, without, progress=no_progress).shares.levels
    assert not levels[7].any()
    assert levels[8].any()
