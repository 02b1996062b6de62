"""What models put beside well-known items is named by title, and the item itself never is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from models.history import Event, EventKind, History
from tests.support.shops import interactions_of
from training.data.dataset import Interactions
from training.members.member import Floats
from training.studies.well_known import N_ITEMS, N_NEAREST, beside_well_known


def shop(n_items: int) -> Interactions:
    """Item 3 was bought by three people, item 1 by two, item 0 by one; item 2 was looked at by all."""
    buyers = {3: 3, 1: 2, 0: 1}
    histories = [
        History.from_events(
            [
                Event(2, 10, EventKind.VIEW),
                *(Event(item, 20 + item) for item, n in buyers.items() if person < n),
            ]
        )
        for person in range(4)
    ]
    return interactions_of(*histories, n_items=n_items)


def next_in_order(histories: Sequence[History]) -> Floats:
    """The items after the one that was taken, in their order, then the others; the item itself first."""
    n_items = 6
    rows = [-((np.arange(n_items) - history.item_indices[-1]) % n_items) for history in histories]
    return np.array(rows, np.float32)


def test_the_most_taken_items_come_first_with_what_each_model_puts_beside_them() -> None:
    found = beside_well_known({"next": next_in_order}, shop(6))
    titles = shop(6).catalogue.titles
    assert [(item.title, item.n_people) for item in found] == [(titles[3], 3), (titles[1], 2), (titles[0], 1)]
    assert found[0].nearest == {"next": [titles[4], titles[5], titles[0]]}
    assert found[2].nearest == {"next": [titles[1], titles[2], titles[3]]}


def test_what_may_not_be_recommended_is_not_named() -> None:
    interactions = shop(6)
    hidden = np.ones(6, np.bool_)
    hidden[[4, 5, 0, 1]] = False
    catalogue = replace(interactions.catalogue, recommendable=hidden)
    found = beside_well_known({"next": next_in_order}, replace(interactions, catalogue=catalogue))
    assert found[0].nearest == {"next": [catalogue.titles[2]]}


def test_the_question_is_a_person_who_took_one_item_at_the_end() -> None:
    interactions, asked = shop(6), list[History]()

    def remember(histories: Sequence[History]) -> Floats:
        asked.extend(histories)
        return next_in_order(histories)

    beside_well_known({"next": remember}, interactions)
    assert [(len(one), int(one.times[0]), int(one.kinds[0])) for one in asked] == [
        (1, interactions.until - 1, EventKind.PURCHASE)
    ] * 3


def test_the_look_is_short() -> None:
    histories = [History.from_events([Event(item, 10) for item in range(30)])]
    found = beside_well_known(
        {"all alike": lambda asked: np.zeros((len(asked), 30), np.float32)},
        interactions_of(*histories, n_items=30),
    )
    assert len(found) == N_ITEMS
    assert all(len(item.nearest["all alike"]) == N_NEAREST for item in found)
