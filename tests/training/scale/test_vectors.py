"""Invented vectors: scales and directions of a trained student's, and people near what they touched."""

from __future__ import annotations

import numpy as np
import pytest

from models.student import Floats
from training.scale import vectors
from training.scale.shop import ScaleCatalogue, ScaleSettings
from training.scale.vectors import ScaleVectors, invent_vectors


@pytest.fixture(scope="module")
def drawn(catalogue: ScaleCatalogue, settings: ScaleSettings) -> ScaleVectors:
    return invent_vectors(catalogue.invented, settings, 64)


def answers(drawn: ScaleVectors) -> Floats:
    return drawn.item_vectors * drawn.item_scales[:, None]


def test_known_items_have_less_of_the_level(catalogue: ScaleCatalogue, drawn: ScaleVectors) -> None:
    levels = answers(drawn) @ drawn.level
    starts = catalogue.invented.cluster_starts
    last = starts + catalogue.invented.cluster_sizes - 1
    assert levels.mean() == pytest.approx(vectors.LEVEL, abs=0.02)
    assert levels.std() == pytest.approx(vectors.LEVEL_SPREAD, abs=0.02)
    assert (levels[starts] < levels[last])[last > starts].all()


def test_history_vectors_have_none_of_it_and_the_same_taste(drawn: ScaleVectors) -> None:
    histories = drawn.history_vectors * drawn.history_scales[:, None]
    np.testing.assert_allclose(histories @ drawn.level, 0, atol=0.03)
    tastes = answers(drawn) - np.outer(answers(drawn) @ drawn.level, drawn.level)
    np.testing.assert_allclose(histories, vectors.HISTORY_SHARE * tastes, atol=0.03)


def test_items_of_a_cluster_lie_nearer_than_those_of_a_category_and_these_nearer_than_others(
    catalogue: ScaleCatalogue, drawn: ScaleVectors
) -> None:
    units = answers(drawn) / np.linalg.norm(answers(drawn), axis=1, keepdims=True)
    cosines = units @ units.T
    clusters = catalogue.invented.clusters
    categories = clusters // catalogue.invented.n_styles
    is_cluster = clusters[:, None] == clusters
    is_category = (categories[:, None] == categories) & ~is_cluster
    np.fill_diagonal(is_cluster, False)
    others = cosines[categories[:, None] != categories].mean()
    assert cosines[is_cluster].mean() > cosines[is_category].mean() + 0.05 > others + 0.1


def test_parts_leave_no_row_out(
    catalogue: ScaleCatalogue, settings: ScaleSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "ROWS_AT_ONCE", 128)
    in_parts = invent_vectors(catalogue.invented, settings, 64)
    largest = np.abs(in_parts.item_vectors).max(axis=1), np.abs(in_parts.history_vectors).max(axis=1)
    np.testing.assert_array_equal(largest, 127)
    assert (in_parts.item_scales > 0).all()
    assert (in_parts.history_scales > 0).all()


@pytest.mark.parametrize("name", ["item_vectors", "item_scales", "history_vectors", "history_scales"])
def test_every_table_comes_in_the_requested_order(drawn: ScaleVectors, name: str) -> None:
    rows = np.array([499, 0, 7])
    np.testing.assert_array_equal(getattr(drawn.in_order(rows), name), getattr(drawn, name)[rows])
