"""Invented histories: as a bundle has them, about what a person likes, and the same for the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.kept_history import MAX_PASSING_EVENTS
from training.scale import people
from training.scale.people import N_DAYS, UNTIL, ScalePeople, draw_people, hold_back, invent_people
from training.scale.shop import ScaleCatalogue, ScaleSettings


def invented(catalogue: ScaleCatalogue, settings: ScaleSettings, folder: Path) -> ScalePeople:
    folder.mkdir(exist_ok=True)
    return invent_people(catalogue, settings, folder, lambda share, words: None)


def test_everybody_touched_each_item_once_oldest_first(
    catalogue: ScaleCatalogue, settings: ScaleSettings, tmp_path: Path
) -> None:
    histories = list(invented(catalogue, settings, tmp_path).histories)
    assert len(histories) == 300
    for history in histories:
        assert 1 <= len(set(history.item_indices.tolist())) == len(history) <= MAX_PASSING_EVENTS
        assert (np.diff(history.times) >= 0).all()
        assert history.times[-1] <= UNTIL
        assert history.times[0] > UNTIL - (N_DAYS + 1) * 86_400


def test_counts_are_of_the_histories(
    catalogue: ScaleCatalogue, settings: ScaleSettings, tmp_path: Path
) -> None:
    made = invented(catalogue, settings, tmp_path)
    np.testing.assert_array_equal(made.n_touched, np.bincount(made.histories.item_indices, minlength=500))
    ages = (UNTIL - made.histories.times) / 86_400
    expected = np.bincount(made.histories.item_indices, 0.5 ** (ages / 15), 500)
    np.testing.assert_allclose(made.popularity, expected, rtol=1e-5)


def test_chunks_of_people_follow_each_other(
    catalogue: ScaleCatalogue, settings: ScaleSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "PEOPLE_AT_ONCE", 128)
    made = invented(catalogue, settings, tmp_path).histories
    for first, n_people in ((0, 128), (128, 128), (256, 44)):
        drawn = draw_people(catalogue, n_people, settings.rng(1, first // 128))
        span = slice(made.offsets[first], made.offsets[first + n_people])
        np.testing.assert_array_equal(made.item_indices[span], drawn.item_indices)
        np.testing.assert_array_equal(made.times[span], drawn.times)
        np.testing.assert_array_equal(np.diff(made.offsets[first : first + n_people + 1]), drawn.n_events)


def test_people_touch_the_same_items_wherever_these_lie(
    catalogue: ScaleCatalogue, settings: ScaleSettings
) -> None:
    order = np.random.default_rng(0).permutation(500)
    for one, other in zip(
        hold_back(catalogue, settings, 50), hold_back(catalogue.in_order(order), settings, 50), strict=True
    ):
        assert set(one.item_indices.tolist()) == set(order[other.item_indices].tolist())


def test_known_items_are_touched_more_and_people_keep_to_their_themes(
    catalogue: ScaleCatalogue, settings: ScaleSettings
) -> None:
    drawn = draw_people(catalogue, 5_000, settings.rng(9))
    clusters = catalogue.invented.clusters[catalogue.rows]
    is_first = np.isin(catalogue.rows, catalogue.invented.cluster_starts)
    n_touched = np.bincount(drawn.item_indices, minlength=500)
    assert n_touched[is_first].mean() > 1.3 * n_touched[~is_first].mean()
    person = np.repeat(np.arange(5_000), drawn.n_events)
    of_ten = [clusters[drawn.item_indices[person == each][:10]] for each in range(200)]
    n_distinct = [len(set(some.tolist())) for some in of_ten if len(some) == 10]
    anybody = clusters[np.random.default_rng(0).choice(drawn.item_indices, (200, 10))]
    assert np.mean(n_distinct) < 0.75 * np.mean([len(set(some.tolist())) for some in anybody])
