from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.history import EventKind
from tests.support.shops import dataset_of
from training.base.errors import TooLittleData
from training.data.dataset import Dataset
from training.data.last_basket import last_basket, stages_of_baskets

DAY = 86_400
START = 1_700_006_400
"""Midnight, UTC."""


def shop(*events: tuple[str, str, float]) -> Dataset:
    """From (user_id, item_id, days); an item whose name begins with v is viewed, every other one bought."""
    dataset = dataset_of([(user, item, START + int(day * DAY)) for user, item, day in events])
    is_view = np.array([item.startswith("v") for item in dataset.items.ids_of(range(len(dataset.items)))])
    kinds = np.where(is_view[dataset.histories.item_indices], EventKind.VIEW, EventKind.PURCHASE)
    return replace(dataset, histories=replace(dataset.histories, kinds=kinds.astype(np.uint8)))


def stages_of(dataset: Dataset) -> list[int]:
    return stages_of_baskets(dataset).tolist()


def test_the_last_day_is_the_test_and_the_one_before_it_validation() -> None:
    own = shop(("a", "x", 0), ("a", "y", 1), ("a", "x", 2), ("a", "z", 2.9))
    assert stages_of(own) == [0, 1, 2, 2]


def test_somebody_with_two_baskets_is_asked_about_the_last_and_with_one_about_none() -> None:
    assert stages_of(shop(("a", "x", 0), ("a", "y", 3), ("b", "x", 5), ("b", "y", 5.2))) == [0, 2, 0, 0]


def test_views_belong_to_the_history_up_to_the_day_of_the_basket() -> None:
    own = shop(("a", "x", 0), ("a", "v1", 1), ("a", "y", 2), ("a", "v2", 3), ("a", "v3", 4), ("a", "z", 4.1))
    assert stages_of(own) == [0, 0, 1, 1, 2, 2]
    assert stages_of(shop(("a", "x", 0), ("a", "y", 1), ("a", "v", 9))) == [0, 2, 2]


def returning(n_people: int = 25) -> Dataset:
    """Everybody buys x and their own item, looks at v, and buys x and w again."""
    return shop(
        *(
            (f"u{person:02}", item, day)
            for person in range(n_people)
            for item, day in (
                ("x", 0),
                (f"i{person}", 0),
                ("x", 3),
                ("v", 4),
                ("x", 7),
                ("w", 7.1),
                ("v", 7.2),
            )
        )
    )


def test_the_whole_basket_is_asked_about_whether_it_is_new_or_not() -> None:
    dataset = returning()
    split = last_basket(dataset, new_people_share=0.0, seed=0)
    assert len(split.test) == len(split.validation) == 25
    names = [sorted(dataset.items.ids_of(truth.tolist())) for truth in split.test.truth]
    assert names == [["w", "x"]] * 25
    assert split.test.known_items == "rank"
    assert all(history.times[-1] < START + 7 * DAY for history in split.test.histories)
    assert dataset.items.ids_of(split.validation.truth[0].tolist()) == ["x"]
    assert len(split.validation.histories[0]) == 2


def test_too_few_who_come_back_are_refused_with_the_remedy() -> None:
    with pytest.raises(TooLittleData, match="people who come back"):
        last_basket(returning(5), new_people_share=0.0, seed=0)


def test_it_is_asked_at_midnight_before_the_basket() -> None:
    """What sells on that very day may not be known."""
    events = [
        (user, item, day) for user in map(str, range(60)) for item, day in (("x", 0), ("y", 3), ("z", 9.7))
    ]
    split = last_basket(shop(*events), new_people_share=0.0, seed=0)
    assert {history.asked_at for history in split.test.histories} == {START + 9 * DAY}
    assert {history.asked_at for history in split.validation.histories} == {START + 3 * DAY}
