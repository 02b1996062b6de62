"""What every member owes the ensemble, on data whose right answer is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.history import Event, History
from tests.support.blocks import N_ITEMS, block_dataset, block_of_item
from training.data.dataset import Dataset, Interactions, interactions_until_now
from training.members.content import Content
from training.members.ease import EASE, VisitEASE
from training.members.factorization import Factorization
from training.members.knn import ItemKNN
from training.members.member import Floats, Member
from training.members.neural import NeuralCF
from training.members.popularity import Popularity
from training.members.sequential import Sequential

MEMBERS: dict[str, Callable[[], Member]] = {
    "popularity": Popularity,
    "content": Content,
    "als": lambda: Factorization(n_factors=8, l2=1.0),
    "knn": lambda: ItemKNN(fold_half_life=3.0),
    "ease": lambda: EASE(l2=10.0, fold_half_life=3.0),
    "ease by neighbourhood": lambda: EASE(l2=10.0, max_dense_items=N_ITEMS, n_neighbours=10),
    "visits": lambda: VisitEASE(l2=10.0, visit_decay=0.8),
    "sequential": lambda: Sequential(n_factors=16, n_epochs=20, batch_size=16, dropout=0.0),
    "neural": lambda: NeuralCF(n_factors=16, n_hidden=16, n_epochs=30, batch_size=128, learning_rate=0.01),
}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return block_dataset()


@pytest.fixture(scope="module")
def interactions(dataset: Dataset) -> Interactions:
    return interactions_until_now(dataset)


@pytest.fixture(scope="module", params=list(MEMBERS))
def member(request: pytest.FixtureRequest, interactions: Interactions) -> Member:
    return MEMBERS[request.param]().fit(interactions, seed=3)


def people(dataset: Dataset, n_people: int = 8) -> list[History]:
    return [dataset.histories[row] for row in range(n_people)]


def same(one: Floats, other: Floats) -> bool:
    return np.array_equal(one, other, equal_nan=True)


def test_scores_are_one_float32_row_a_person(member: Member, dataset: Dataset) -> None:
    scores = member.score(people(dataset))
    assert scores.shape == (8, N_ITEMS + 1)
    assert scores.dtype == np.float32


def test_known_people_get_finite_scores_for_touched_items(member: Member, dataset: Dataset) -> None:
    touched = np.unique(dataset.histories.item_indices)
    assert np.isfinite(member.score(people(dataset))[:, touched]).all()


def test_the_persons_block_scores_above_the_others(member: Member, dataset: Dataset) -> None:
    if not member.is_personal:
        pytest.skip(reason=f"{member.name} declares that it is not personal")
    blocks = np.array([block_of_item(item) for item in range(N_ITEMS)])
    scores = member.score(people(dataset))[:, :N_ITEMS]
    for person in range(8):
        unseen = np.setdiff1d(np.arange(N_ITEMS), dataset.histories[person].item_indices)
        best = unseen[np.argsort(-scores[person, unseen])[:5]]
        assert (blocks[best] == person % 4).mean() >= 0.8, (person, best)


def test_a_stranger_is_scored_or_nan_as_declared(member: Member) -> None:
    scores = member.score([History.empty()])
    assert np.isnan(scores).all() != member.scores_strangers
    assert np.isfinite(scores).all() == member.scores_strangers


def test_an_item_without_events_is_scored_or_nan_as_declared(member: Member, dataset: Dataset) -> None:
    assert np.isfinite(member.score(people(dataset))[:, N_ITEMS]).all() == member.scores_new_items


def test_a_history_that_was_not_trained_on_is_scored(member: Member) -> None:
    history = History.from_events([Event(0, 1_650_000_000), Event(4, 1_650_000_001)])
    assert np.isfinite(member.score([history])[0, :N_ITEMS]).all()


def test_a_batch_scores_like_its_people_alone(member: Member, dataset: Dataset) -> None:
    histories = [people(dataset)[0].last(1), History.empty(), *people(dataset)]
    alone = np.concatenate([member.score([history]) for history in histories])
    np.testing.assert_allclose(member.score(histories), alone, rtol=1e-4, atol=1e-5)


def test_no_people_give_no_rows(member: Member) -> None:
    assert member.score([]).shape == (0, N_ITEMS + 1)


def test_a_loaded_member_scores_equally_to_the_bit(member: Member, dataset: Dataset, tmp_path: Path) -> None:
    member.save(tmp_path)
    assert same(type(member).load(tmp_path).score(people(dataset)), member.score(people(dataset)))


@pytest.mark.parametrize("name", list(MEMBERS))
def test_a_second_fit_forgets_the_first(name: str, interactions: Interactions, dataset: Dataset) -> None:
    other = interactions_until_now(block_dataset(seed=9))
    twice = MEMBERS[name]().fit(other, seed=3).fit(interactions, seed=3)
    once = MEMBERS[name]().fit(interactions, seed=3)
    np.testing.assert_allclose(
        twice.score(people(dataset)), once.score(people(dataset)), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    "name", ["als", "knn", "ease", "ease by neighbourhood", "visits", "neural", "sequential"]
)
def test_progress_reaches_the_end(name: str, interactions: Interactions) -> None:
    shares: list[float] = []
    MEMBERS[name]().fit(interactions, seed=0, progress=lambda share, words: shares.append(share))
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
