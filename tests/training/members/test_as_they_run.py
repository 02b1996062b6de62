"""What a bundle carries of a member scores as the member does that was fitted and measured."""

from __future__ import annotations

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares

from models.errors import BundleInconsistent
from models.history import Event, History
from models.members import FITTED_MEMBERS
from models.members.factorization import FittedFactorization
from models.members.member import FittedMember
from tests.support.blocks import N_ITEMS, block_dataset
from tests.training.members.test_conformance import MEMBERS as MAKERS
from training.data.dataset import Interactions, interactions_until_now
from training.members import MEMBERS
from training.members.content import Content, text_matrix
from training.members.member import Member
from training.members.recency import recency_matrix


@pytest.fixture(scope="module")
def interactions() -> Interactions:
    return interactions_until_now(block_dataset())


@pytest.fixture(scope="module", params=list(MAKERS))
def member(request: pytest.FixtureRequest, interactions: Interactions) -> Member:
    return MAKERS[request.param]().fit(interactions, seed=3)


def random_histories(n_people: int = 40) -> list[History]:
    rng = np.random.default_rng(5)
    histories = [History.empty()]
    for _ in range(n_people):
        n_events = int(rng.integers(1, 150))
        items, gaps = rng.integers(0, N_ITEMS + 1, n_events), rng.exponential(60_000, n_events).astype(int)
        times = 1_600_000_000 + np.cumsum(gaps)
        histories.append(
            History.from_events(Event(int(item), int(time)) for item, time in zip(items, times, strict=True))
        )
    return histories


def written_and_read(fitted: FittedMember) -> FittedMember:
    return FITTED_MEMBERS[fitted.name].from_arrays(fitted.arrays())


def test_every_member_has_a_form_that_runs() -> None:
    assert list(FITTED_MEMBERS) == list(MEMBERS)


def test_arrays_score_as_the_fitted_member_did(member: Member) -> None:
    histories = random_histories()
    runs = written_and_read(member.fitted())
    assert runs.n_items == N_ITEMS + 1
    np.testing.assert_allclose(runs.score(histories), member.score(histories), rtol=1e-4, atol=1e-4)


def test_texts_are_compared_by_the_cosine_of_their_weighted_mean(interactions: Interactions) -> None:
    content = Content().fit(interactions, seed=3)
    texts = text_matrix(interactions.catalogue.texts, content.n_features).toarray()
    own = History.from_events([Event(0, 100), Event(1, 200), Event(2, 300)])
    profile = texts[2] + texts[1] * 0.5 ** (1 / content.half_life) + texts[0] * 0.5 ** (2 / content.half_life)
    expected = texts @ profile / np.linalg.norm(profile)
    expected[~texts.any(axis=1)] = np.nan
    np.testing.assert_allclose(content.score([own])[0], expected, rtol=1e-5, atol=1e-6)


def test_people_are_folded_in_as_the_library_does(interactions: Interactions) -> None:
    als = MAKERS["als"]().fit(interactions, seed=3).fitted()
    assert isinstance(als, FittedFactorization)
    library = AlternatingLeastSquares(
        factors=als.item_factors.shape[1], regularization=als.l2, alpha=1.0, num_threads=1
    )
    library.item_factors = als.item_factors
    weights = als.alpha * recency_matrix(random_histories(), als.n_items, als.half_life)
    factors = library.recalculate_user(np.arange(weights.shape[0]), weights)
    expected = (factors @ als.item_factors.T)[1:][:, als.known]  # nobody knows the first one
    np.testing.assert_allclose(
        als.score(random_histories())[1:][:, als.known], expected, rtol=1e-3, atol=1e-4
    )


def test_names_of_arrays_fit_a_bundles_files(member: Member) -> None:
    assert all(len(name) <= 16 and name.islower() for name in member.fitted().arrays())


def test_half_precision_moves_no_score_by_more_than_a_thousandth(interactions: Interactions) -> None:
    for name in ("ease", "visits"):
        fitted = MAKERS[name]().fit(interactions, seed=3).fitted()
        halved = fitted.in_half_precision()  # type: ignore[attr-defined]
        assert halved.arrays()["dense"].nbytes * 2 == fitted.arrays()["dense"].nbytes
        exact = fitted.score(random_histories())
        moved = np.abs(written_and_read(halved).score(random_histories()) - exact)
        assert np.nanmax(moved) <= 1e-3 * np.nanmax(np.abs(exact))


@pytest.mark.parametrize("name", [name for name in MAKERS if name != "popularity"])
def test_arrays_of_another_catalogue_are_refused(name: str, interactions: Interactions) -> None:
    fitted = MAKERS[name]().fit(interactions, seed=3).fitted()
    arrays = fitted.arrays()
    cut = {"content": "columns", "neighbours": "columns"}.get(name, "known")
    with pytest.raises(BundleInconsistent):
        type(fitted).from_arrays(arrays | {cut: arrays[cut][:-1]})
