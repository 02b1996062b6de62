"""What answers when the student cannot, in order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.bundles.bundle import read_bundle
from models.history import Event, History, encode_history
from service.answers.tiers import LastGoodAnswers, Ranking, fall_back
from service.bundles.serving import ServingBundle
from service.contract.schemas import Filter
from service.scoring.masks import Masks
from tests.support.bundles import N_ITEMS, tiny_bundle

NOTHING = encode_history(History.empty())


@pytest.fixture
def serving(tmp_path: Path) -> ServingBundle:
    return ServingBundle(read_bundle(tiny_bundle(tmp_path)))


def masks(serving: ServingBundle, *excluded: int, wanted: Filter | None = None) -> Masks:
    return Masks(excluded=np.array(excluded, np.int32), allowed=serving.allowed(wanted))


def last_good(*item_indices: int) -> Ranking:
    return Ranking(np.array(item_indices, np.int32), np.ones(len(item_indices), np.float32), "last_good")


IN_BLOCK_3 = encode_history(History.from_events([Event(3, 1), Event(7, 2), Event(0, 3)]))


def test_last_good_answer_comes_first(serving: ServingBundle) -> None:
    ranking = fall_back(serving, last_good(9, 8, 7), IN_BLOCK_3, masks(serving, 8), 2)
    assert (ranking.item_indices.tolist(), ranking.tier) == ([9, 7], "last_good")


def test_last_good_answer_that_cannot_fill_the_request_is_passed_over(serving: ServingBundle) -> None:
    ranking = fall_back(serving, last_good(9, 8), IN_BLOCK_3, masks(serving, 8), 2)
    assert (ranking.item_indices.tolist(), ranking.tier) == ([3, 7], "popular_segment")


def test_majority_segment_of_the_history_decides(serving: ServingBundle) -> None:
    ranking = fall_back(serving, None, IN_BLOCK_3, masks(serving, 3), 3)
    assert (ranking.item_indices.tolist(), ranking.tier) == ([7, 11, 15], "popular_segment")


def test_empty_history_gets_what_is_popular(serving: ServingBundle) -> None:
    ranking = fall_back(serving, None, NOTHING, masks(serving, 1), 3)
    assert (ranking.item_indices.tolist(), ranking.tier) == ([0, 2, 3], "popular")


def test_segment_too_small_for_the_request_gets_what_is_popular(serving: ServingBundle) -> None:
    ranking = fall_back(serving, None, IN_BLOCK_3, masks(serving), 11)
    assert (ranking.item_indices.tolist(), ranking.tier) == (list(range(11)), "popular")


def test_filter_holds_in_the_popular_tiers(serving: ServingBundle) -> None:
    cheap = masks(serving, 0, wanted=Filter(max_price=8.0))
    assert fall_back(serving, None, IN_BLOCK_3, cheap, 2).item_indices.tolist() == [3, 7]
    assert fall_back(serving, None, NOTHING, cheap, 2).item_indices.tolist() == [1, 2]


def test_popular_answer_is_as_full_as_the_masks_allow(serving: ServingBundle) -> None:
    ranking = fall_back(serving, None, NOTHING, masks(serving, *range(N_ITEMS - 3)), 10)
    assert ranking.item_indices.tolist() == [N_ITEMS - 3, N_ITEMS - 2, N_ITEMS - 1]


def test_blocked_items_twice_in_the_list_do_not_shorten_the_answer(serving: ServingBundle) -> None:
    ranking = fall_back(serving, None, NOTHING, masks(serving, 0, 0, 0, 39), 40)
    assert ranking.item_indices.tolist() == list(range(1, 39))


def test_answers_of_another_version_and_of_strangers_are_not_found() -> None:
    answers = LastGoodAnswers(10)
    answers.keep("a", "v1", last_good(1))
    assert answers.find("a", "v1") is not None
    assert answers.find("a", "v2") is None
    assert answers.find("b", "v1") is None
    assert answers.find(None, "v1") is None


def test_only_the_last_people_are_kept() -> None:
    answers = LastGoodAnswers(2)
    for user_id in "abac":
        answers.keep(user_id, "v", last_good(1))
    assert [user_id for user_id in "abc" if answers.find(user_id, "v")] == ["a", "c"]
    nobody = LastGoodAnswers(0)
    nobody.keep("a", "v", last_good(1))
    assert nobody.find("a", "v") is None
