"""What every member owes the ensemble, as tests to inherit: on a block shop, whose right answer is known.

    class TestMine(MemberContract):
        def make(self) -> Member:
            return Mine(n_neighbours=10)

pytest collects the subclass. Our own members inherit the same tests. docs/members.md shows a whole package.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from unittest import SkipTest

import numpy as np

from models.history import Event, History
from models.members.installed import fitted_member
from models.members.member import Floats
from training.data.dataset import Dataset, interactions_until_now
from training.generator.blocks import N_BLOCKS, N_ITEMS, block_dataset, block_of_item
from training.members.installed import member_class
from training.members.member import Member

SEED = 3
N_ASKED = 8
"""People of the block shop that are asked about, two a block."""

_fitted: dict[str, Member] = {}
"""By settings, so that one fit serves all tests that only read it."""


class MemberContract:
    """Inherit it under a name that begins with Test, and say how the member is made.

    make: a new, unfitted member, small enough to fit in a second on 120 people with 8 events each.
    """

    def make(self) -> Member:
        """A new, unfitted member."""
        raise NotImplementedError("say how your member is made: def make(self) -> Member")

    def test_settings_and_bundles_find_it_by_its_name(self) -> None:
        member = self.fitted()
        assert member_class(member.name) is type(member)
        assert fitted_member(member.name) is type(member.fitted())

    def test_scores_are_one_float32_row_a_person(self) -> None:
        scores = self.fitted().score(_people())
        assert scores.shape == (N_ASKED, N_ITEMS + 1)
        assert scores.dtype == np.float32

    def test_known_people_get_finite_scores_for_touched_items(self) -> None:
        touched = np.unique(_dataset().histories.item_indices)
        assert np.isfinite(self.fitted().score(_people())[:, touched]).all()

    def test_the_persons_block_scores_above_the_others(self) -> None:
        member = self.fitted()
        if not member.is_personal:
            raise SkipTest(f"{member.name} declares that it is not personal")
        blocks = np.array([block_of_item(item) for item in range(N_ITEMS)])
        for person, scores in enumerate(member.score(_people())):
            unseen = np.setdiff1d(np.arange(N_ITEMS), _people()[person].item_indices)
            best = unseen[np.argsort(-scores[unseen])[:5]]
            assert (blocks[best] == person % N_BLOCKS).mean() >= 0.8, (person, best)

    def test_a_stranger_is_scored_or_nan_as_declared(self) -> None:
        member = self.fitted()
        scores = member.score([History.empty()])
        assert np.isnan(scores).all() != member.scores_strangers
        assert np.isfinite(scores).all() == member.scores_strangers

    def test_an_item_without_events_is_scored_or_nan_as_declared(self) -> None:
        member = self.fitted()
        assert np.isfinite(member.score(_people())[:, N_ITEMS]).all() == member.scores_new_items

    def test_a_history_that_was_not_trained_on_is_scored(self) -> None:
        history = History.from_events([Event(0, 1_650_000_000), Event(4, 1_650_000_001)])
        assert np.isfinite(self.fitted().score([history])[0, :N_ITEMS]).all()

    def test_a_batch_scores_like_its_people_alone(self) -> None:
        member, histories = self.fitted(), [_people()[0].last(1), History.empty(), *_people()]
        alone = np.concatenate([member.score([history]) for history in histories])
        _assert_close(member.score(histories), alone)

    def test_no_people_give_no_rows(self) -> None:
        assert self.fitted().score([]).shape == (0, N_ITEMS + 1)

    def test_a_loaded_member_scores_equally_to_the_bit(self, tmp_path: Path) -> None:
        member = self.fitted()
        member.save(tmp_path)
        loaded = type(member).load(tmp_path).score(_people())
        np.testing.assert_array_equal(loaded, member.score(_people()))

    def test_a_second_fit_forgets_the_first(self) -> None:
        other = interactions_until_now(block_dataset(seed=9))
        twice = self.make().fit(other, seed=SEED).fit(interactions_until_now(_dataset()), seed=SEED)
        _assert_close(twice.score(_people()), self.fitted().score(_people()))

    def test_what_a_bundle_carries_scores_as_the_member_does(self) -> None:
        member = self.fitted()
        fitted = member.fitted()
        runs = type(fitted).from_arrays(fitted.arrays())
        assert (runs.name, runs.n_items) == (member.name, N_ITEMS + 1)
        _assert_close(runs.score(_people()), member.score(_people()))

    def test_names_of_arrays_fit_a_bundles_files(self) -> None:
        names = list(self.fitted().fitted().arrays())
        assert names
        assert all(len(name) <= 16 and name.islower() and name.isidentifier() for name in names), names

    def fitted(self) -> Member:
        """The member, fitted on the block shop, to be read alone."""
        made = self.make()
        key = f"{type(made).__qualname__} {made!r}"
        if key not in _fitted:
            _fitted[key] = made.fit(interactions_until_now(_dataset()), seed=SEED)
        return _fitted[key]


@lru_cache(maxsize=1)
def _dataset() -> Dataset:
    return block_dataset()


def _people() -> list[History]:
    return [_dataset().histories[row] for row in range(N_ASKED)]


def _assert_close(scores: Floats, expected: Floats) -> None:
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
