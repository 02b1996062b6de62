"""No answer of any tier, route or arm holds an item that may not be recommended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.bundles.bundle import Bundle, read_bundle, write_bundle
from models.bundles.registry import Registry
from models.history import Event, History, encode_history
from service.answers.tiers import Ranking, fall_back
from service.bundles.serving import ServingBundle
from service.contract.errors import StudentFailed
from service.contract.schemas import Filter
from service.scoring.masks import NO_ITEMS, Masks
from service.scoring.scorer import Scored, ScoringJob, score_batch
from tests.support.bundles import N_BLOCKS, N_ITEMS, WRITTEN_AT, with_unavailable
from tests.support.experiments import TWO_ARMS
from tests.support.service import Running, ids_of, running
from tests.support.variants import MEMBERS, contents_with_variants

GONE = (*range(12, 24), 0)
"""The best items of everybody besides their own, and the most popular of all."""
GONE_IDS = {f"item-{item}" for item in GONE}
FILTERS = (
    None,
    Filter(),
    Filter(categories=["block-1", "block-3"]),
    Filter(max_price=30.0),
    Filter(min_price=2.0),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose bundle has its ensemble, and items that the shop took out."""
    store = tmp_path_factory.mktemp("store")
    contents = with_unavailable(contents_with_variants(), GONE)
    Registry(store).promote(write_bundle(store, contents, now=WRITTEN_AT).name)
    return store


@pytest.fixture(scope="module")
def bundle(whole: Path) -> Bundle:
    registry = Registry(whole)
    return read_bundle(registry.path(registry.current()))


@pytest.fixture(scope="module")
def serving(bundle: Bundle) -> ServingBundle:
    serving = ServingBundle(bundle)
    serving.load_variants()
    return serving


@pytest.fixture
async def on_whole(whole: Path) -> AsyncIterator[Running]:
    async with running(whole) as started:
        yield started


def test_a_shop_that_sells_everything_is_searched_without_a_mask(tmp_path: Path) -> None:
    everything = write_bundle(tmp_path, contents_with_variants(), now=WRITTEN_AT)
    assert ServingBundle(read_bundle(everything)).allowed(None) is None


def test_without_a_filter_everybody_has_the_same_mask(serving: ServingBundle) -> None:
    """Jobs of one mask share a search."""
    assert serving.allowed(None) is serving.allowed(Filter()) is not None


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    events=st.lists(st.integers(0, N_ITEMS - 1), max_size=12),
    excluded=st.sets(st.integers(0, N_ITEMS - 1), max_size=12),
    last_good=st.lists(st.integers(0, N_ITEMS - 1), max_size=20, unique=True),
    wanted=st.sampled_from(FILTERS),
    sees_again=st.booleans(),
    limit=st.integers(1, 60),
    diversity=st.sampled_from([0.0, 0.5]),
    variant=st.sampled_from(["student", "ensemble", *MEMBERS]),
    tier=st.sampled_from(["scored", "last good", "popular"]),
)
def test_no_tier_answers_what_is_not_available(
    serving: ServingBundle,
    events: list[int],
    excluded: set[int],
    last_good: list[int],
    wanted: Filter | None,
    sees_again: bool,
    limit: int,
    diversity: float,
    variant: str,
    tier: str,
) -> None:
    history = History.from_events(Event(item, number) for number, item in enumerate(events))
    seen = NO_ITEMS if sees_again else history.item_indices
    masks = Masks(seen, np.array(sorted(excluded), np.int32), serving.allowed(wanted))
    encoded = encode_history(history)
    if tier == "scored":
        job = ScoringJob(serving, encoded, None, masks, limit, diversity, history, variant, history)
        [scored] = score_batch([job])
        answered = scored.item_indices.tolist()
    else:
        kept = np.array(last_good, np.int32)
        ranking = Ranking(kept, np.ones(len(kept), np.float32), "last_good") if tier == "last good" else None
        answered = fall_back(serving, ranking, encoded, masks, limit).item_indices.tolist()
    assert not set(answered) & set(GONE)
    assert not set(answered) & excluded
    # Nothing else is missing: an answer is as full as what may be answered.
    if tier != "scored" or variant == "student":
        passes = np.ones(N_ITEMS, np.bool_) if masks.allowed is None else masks.allowed.mask(N_ITEMS)
        left = set(np.flatnonzero(passes).tolist()) - excluded - set(seen.tolist())
        assert len(answered) == min(limit, len(left))


async def test_a_person_is_not_recommended_what_the_shop_took_out(on_whole: Running) -> None:
    wanted = "leave_out_touched"
    answer = await on_whole.recommend(user_id="user-1", limit=N_ITEMS, known_items=wanted)
    assert len(answer["items"]) == N_ITEMS - len(GONE) - 3
    said = f"of {N_ITEMS - len(GONE)} items that may be recommended, known_items leaves no more"
    assert answer["shortfall"].endswith(said)
    assert not GONE_IDS & set(ids_of(answer))


async def test_bought_items_that_are_gone_are_not_sold_again(on_whole: Running) -> None:
    """user-0 has item-0, item-4 and item-8."""
    answer = await on_whole.recommend(user_id="user-0", known_items="only")
    assert ids_of(answer) == ["item-4", "item-8"]
    assert answer["shortfall"].startswith("2 of 10: there are only 2 items that may be recommended and")


async def test_a_product_page_of_an_item_that_is_gone_shows_others(on_whole: Running) -> None:
    answer = await on_whole.post("/similar", {"item_id": "item-13", "limit": 6})
    assert [int(item.removeprefix("item-")) % N_BLOCKS for item in ids_of(answer)] == [1] * 6
    assert not GONE_IDS & set(ids_of(answer))


async def test_a_product_page_of_an_unknown_item_shows_what_is_available(on_whole: Running) -> None:
    answer = await on_whole.post("/similar", {"item_id": "nobody sells it", "limit": N_ITEMS})
    assert answer["tier"] == "popular"
    assert not GONE_IDS & set(ids_of(answer))


async def test_what_is_gone_may_still_be_a_reason(on_whole: Running) -> None:
    """People have it; only what they are offered must be there."""
    answer = await on_whole.recommend(session=[{"item_id": "item-13"}], explain=True, limit=3)
    assert {reason["item_id"] for item in answer["items"] for reason in item["because"]} == {"item-13"}
    assert not GONE_IDS & set(ids_of(answer))


async def test_what_is_gone_counts_for_taste(on_whole: Running) -> None:
    answer = await on_whole.recommend(session=[{"item_id": "item-14"}], limit=3)
    assert [int(item.removeprefix("item-")) % N_BLOCKS for item in ids_of(answer)] == [2] * 3


async def test_last_good_and_popular_answers_keep_to_it(
    on_whole: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> Scored:
        raise StudentFailed("broken for a test")

    await on_whole.recommend(user_id="user-1", limit=4)
    monkeypatch.setattr(on_whole.parts.recommender, "_score", fails)
    tiers = set()
    for asked in ({"user_id": "user-1", "limit": 4}, {"user_id": "user-2", "limit": 4}, {"limit": N_ITEMS}):
        answer = await on_whole.recommend(**asked)
        tiers.add(answer["tier"])
        assert not GONE_IDS & set(ids_of(answer))
    assert tiers == {"last_good", "popular_segment", "popular"}


async def test_arms_of_other_variants_keep_to_it(whole: Path, tmp_path: Path) -> None:
    declared = tmp_path / "experiments.toml"
    declared.write_text(TWO_ARMS)
    async with running(whole, experiments=str(declared)) as service:
        await service.parts.experiments.follow()
        answers = [await service.recommend(user_id=f"user-{number}", limit=N_ITEMS) for number in range(20)]
    assert {answer["model"]["variant"] for answer in answers} == {"student", "ensemble"}
    assert not GONE_IDS & {item for answer in answers for item in ids_of(answer)}
