from __future__ import annotations

import numpy as np

from models.attributes import ItemAttributes
from models.history import Event, History
from training.data.dataset import Catalogue, Interactions
from training.members.content import Content, text_matrix


def interactions(texts: list[str]) -> Interactions:
    from models.packed_histories import Histories

    n_items = len(texts)
    catalogue = Catalogue(
        texts,
        texts,
        [None] * n_items,
        np.ones(n_items, np.float32),
        np.zeros(n_items, np.int64),
        np.ones(n_items, np.bool_),
        ItemAttributes.none(n_items),
    )
    return Interactions(Histories.from_list([]), catalogue, until=1)


def test_items_with_shared_words_are_closer_than_items_without() -> None:
    member = Content().fit(interactions(["red mug", "red cup", "blue chair"]), seed=0)
    scores = member.score([History.from_events([Event(0, 1)])])[0]
    assert scores[0] > scores[1] > scores[2]


def test_an_item_without_text_is_no_opinion() -> None:
    member = Content().fit(interactions(["red mug", ""]), seed=0)
    assert np.isnan(member.score([History.from_events([Event(0, 1)])])[0, 1])


def test_a_person_whose_items_have_no_text_gets_no_opinion() -> None:
    member = Content().fit(interactions(["red mug", ""]), seed=0)
    assert np.isnan(member.score([History.from_events([Event(1, 1)])])).all()


def test_a_shop_without_texts_is_no_opinion_at_all() -> None:
    member = Content().fit(interactions(["", ""]), seed=0)
    assert np.isnan(member.score([History.from_events([Event(1, 1)])])).all()


def test_the_vocabulary_is_bounded() -> None:
    assert text_matrix(["a few different words here", "and some more of them"], 3).shape[1] == 3


def test_the_latest_item_pulls_harder_with_a_short_half_life() -> None:
    texts = ["red mug", "blue chair", "red cup", "blue stool"]
    history = History.from_events([Event(0, 1), Event(1, 2)])
    short = Content(half_life=0.1).fit(interactions(texts), seed=0).score([history])[0]
    assert short[3] > short[2]
