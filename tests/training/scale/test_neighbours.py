"""Invented neighbours: of an item's own category or its companion's cluster, counted once, and never itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.cooccurrence import Cooccurrence
from training.scale import neighbours
from training.scale.neighbours import invent_neighbours
from training.scale.shop import ScaleCatalogue, ScaleSettings


@pytest.fixture
def cooccurrence(
    catalogue: ScaleCatalogue, settings: ScaleSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Cooccurrence:
    monkeypatch.setattr(neighbours, "ITEMS_AT_ONCE", 64)
    return invent_neighbours(catalogue, settings, 16, tmp_path, lambda share, words: None)


def test_table_has_a_row_of_padding_and_one_an_item(cooccurrence: Cooccurrence) -> None:
    assert cooccurrence.neighbour_items.shape == cooccurrence.neighbour_weights.shape == (501, 16)
    assert cooccurrence.neighbour_scales.shape == (501,)
    assert not cooccurrence.neighbour_weights[0].any()


def test_item_is_neither_its_own_neighbour_nor_anybodys_twice(cooccurrence: Cooccurrence) -> None:
    n_counting = []
    for item, (items, weights) in enumerate(
        zip(cooccurrence.neighbour_items[1:], cooccurrence.neighbour_weights[1:], strict=True)
    ):
        counting = items[weights != 0].tolist()
        assert item not in counting
        assert len(set(counting)) == len(counting)
        n_counting.append(len(counting))
    assert np.mean(n_counting) > 8
    assert (cooccurrence.neighbour_weights >= 0).all()


def test_neighbours_are_of_the_own_category_or_of_the_companions_cluster(
    catalogue: ScaleCatalogue, cooccurrence: Cooccurrence
) -> None:
    invented = catalogue.invented
    clusters = invented.clusters[catalogue.rows]
    own = clusters // invented.n_styles
    companions = invented.clusters[invented.companions[catalogue.rows]]
    near = clusters[cooccurrence.neighbour_items[1:]]
    is_own, is_companion = near // invented.n_styles == own[:, None], near == companions[:, None]
    assert (is_own | is_companion).all()
    assert 0.2 < is_companion.mean() < 0.4
