"""What every member owes the ensemble, on data whose right answer is known."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stillroom.contract import MemberContract
from tests.support.blocks import N_ITEMS, block_dataset
from training.data.dataset import interactions_until_now
from training.members.content import Content
from training.members.ease import EASE, VisitEASE
from training.members.factorization import Factorization
from training.members.knn import ItemKNN
from training.members.member import Member
from training.members.neighbours import Neighbours
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
    "neighbours": lambda: Neighbours(n_nearest=12),
    "sequential": lambda: Sequential(n_factors=16, n_epochs=20, batch_size=16, dropout=0.0),
    "neural": lambda: NeuralCF(n_factors=16, n_hidden=16, n_epochs=30, batch_size=128, learning_rate=0.01),
}


class TestOwnMembers(MemberContract):
    """Each of our own inherits what any other member does."""

    @pytest.fixture(autouse=True, params=list(MEMBERS))
    def name_it(self, request: pytest.FixtureRequest) -> None:
        self.maker = MEMBERS[request.param]

    def make(self) -> Member:
        return self.maker()


@pytest.mark.parametrize(
    "name", ["als", "knn", "ease", "ease by neighbourhood", "visits", "neighbours", "neural", "sequential"]
)
def test_progress_reaches_the_end(name: str) -> None:
    shares: list[float] = []
    interactions = interactions_until_now(block_dataset())
    MEMBERS[name]().fit(interactions, seed=0, progress=lambda share, words: shares.append(share))
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
