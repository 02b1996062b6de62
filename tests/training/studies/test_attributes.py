"""An attribute earns its place if the member that reads texts ranks worse without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.attributes import ItemAttributes, Numbers, Words, edges_of
from models.history import Event, History
from models.text import with_terms
from models.vocabulary import StringTable
from tests.support.shops import interactions_of
from training.data.dataset import Interactions
from training.data.split import Questions
from training.members.content import Content
from training.metrics.protocols import draw_candidates
from training.studies.attributes import EVERY, attribute_worth

N_ITEMS, N_PEOPLE, N_BRANDS = 240, 60, 8


def shop(attributes: ItemAttributes) -> Interactions:
    """Everybody knows five items of one brand, and the texts say nothing."""
    histories = [person(number) for number in range(N_PEOPLE)]
    interactions = interactions_of(*histories, n_items=N_ITEMS)
    texts = [with_terms("", attributes.terms(item)) for item in range(N_ITEMS)]
    return replace(
        interactions, catalogue=replace(interactions.catalogue, texts=texts, attributes=attributes)
    )


def person(number: int) -> History:
    brand = number % N_BRANDS
    return History.from_events([Event(brand + N_BRANDS * place, 1_000 + place) for place in range(5)])


def questions() -> Questions:
    truth = [
        np.array([number % N_BRANDS + N_BRANDS * (6 + number % 20)], np.int32) for number in range(N_PEOPLE)
    ]
    return Questions(
        np.arange(N_PEOPLE, dtype=np.int32), [person(number) for number in range(N_PEOPLE)], truth
    )


def attributes() -> ItemAttributes:
    rows = np.arange(N_ITEMS)
    noise = np.random.default_rng(0).random(N_ITEMS).astype(np.float32)
    brands = Words(
        StringTable.from_strings([f"brand-{brand}" for brand in range(N_BRANDS)]),
        (rows % N_BRANDS).astype(np.int32),
        np.arange(N_ITEMS + 1),
    )
    return ItemAttributes(N_ITEMS, {"brand": brands, "luck": Numbers(noise, edges_of(noise))})


def test_the_attribute_by_which_people_choose_earns_its_place_and_chance_does_not() -> None:
    asked = questions()
    candidates = draw_candidates(asked, N_ITEMS, seed=0)
    found = attribute_worth(Content(), shop(attributes()), asked, candidates, seed=0)
    assert list(found) == [EVERY, "brand", "luck"]
    assert found["brand"].earns_its_place
    assert found[EVERY].earns_its_place
    assert found["brand"].ndcg.value > 0.2
    assert not found["luck"].earns_its_place
    assert (found["brand"].kind, found["brand"].known_share, found["brand"].n_values) == ("words", 1.0, 8)


def test_a_shop_without_attributes_has_nothing_to_study() -> None:
    asked = questions()
    candidates = draw_candidates(asked, N_ITEMS, seed=0)
    assert attribute_worth(Content(), shop(ItemAttributes.none(N_ITEMS)), asked, candidates, seed=0) == {}
