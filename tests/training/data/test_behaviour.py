from dataclasses import replace

import numpy as np
import pytest

from training.data.behaviour import Events, _power_law_ranks, simulate_people
from training.data.catalogue import Catalogue, build_catalogue
from training.data.generator import GeneratorSettings

SETTINGS = GeneratorSettings(n_people=2_000, n_items=300, n_categories=5)


def simulated(settings: GeneratorSettings) -> tuple[Catalogue, Events]:
    catalogue = build_catalogue(settings, np.random.default_rng(1))
    return catalogue, simulate_people(catalogue, settings, settings.n_people, np.random.default_rng(2))


def categories_of(catalogue: Catalogue, events: Events) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return catalogue.clusters[events.items] // catalogue.n_styles


def test_each_person_has_an_event() -> None:
    _, events = simulated(replace(SETTINGS, mean_events_per_person=1.0))
    assert np.array_equal(np.unique(events.people), np.arange(SETTINGS.n_people))


def test_a_later_step_of_the_funnel_follows_the_earlier_one_on_the_same_item() -> None:
    _, events = simulated(SETTINGS)
    later = np.flatnonzero(events.kinds > 0)
    assert np.array_equal(events.items[later], events.items[later - 1])
    assert np.array_equal(events.kinds[later], events.kinds[later - 1] + 1)
    assert (events.times[later] > events.times[later - 1]).all()


def test_companions_are_visited_next_far_more_often_than_by_chance() -> None:
    catalogue, events = simulated(SETTINGS)
    views = np.flatnonzero(events.kinds == 0)
    is_companion = catalogue.companions[events.items[views[:-1]]] == events.items[views[1:]]
    assert is_companion.mean() > 0.1  # 300 items: chance is 0.003


@pytest.mark.parametrize(("strength", "lowest", "highest"), [(0.0, 0.0, 0.3), (4.0, 0.3, 1.0)])
def test_strong_tastes_narrow_a_person_to_few_categories(
    strength: float, lowest: float, highest: float
) -> None:
    catalogue, events = simulated(replace(SETTINGS, taste_strength=strength, mean_events_per_person=100))
    counts = np.zeros((SETTINGS.n_people, SETTINGS.n_categories))
    np.add.at(counts, (events.people, categories_of(catalogue, events)), 1)
    shares = counts / counts.sum(axis=1, keepdims=True)
    concentration = (shares**2).sum(axis=1).mean()  # 1 / 5 where categories are equally likely
    assert lowest < concentration < highest


def test_tastes_that_drift_leave_the_first_categories() -> None:
    def overlap(drift: float) -> float:
        settings = replace(SETTINGS, taste_drift=drift, taste_strength=4.0, mean_events_per_person=100)
        catalogue, events = simulated(settings)
        quarters = (events.times * 4 // (settings.n_days * 86_400)).clip(0, 3)
        counts = np.zeros((4, SETTINGS.n_people, SETTINGS.n_categories))
        np.add.at(counts, (quarters, events.people, categories_of(catalogue, events)), 1)
        came_in_both = (counts[0].sum(axis=1) > 0) & (counts[3].sum(axis=1) > 0)
        early, late = (
            count[came_in_both] / count[came_in_both].sum(axis=1)[:, None] for count in counts[[0, 3]]
        )
        return float(np.minimum(early, late).sum(axis=1).mean())

    assert overlap(1.0) < overlap(0.0) - 0.1


@pytest.mark.parametrize("exponent", [0.0, 0.8, 1.0, 1.5])
def test_ranks_stay_in_range_and_fall_as_the_power_law_says(exponent: float) -> None:
    uniforms = np.linspace(0, 1, 200_001, dtype=np.float32)
    ranks = _power_law_ranks(uniforms, np.full(len(uniforms), 50), exponent)
    counts = np.bincount(ranks, minlength=50)
    assert len(counts) == 50
    # Between the tenth and the fortieth the continuous law and the discrete one are close.
    assert counts[39] / counts[9] == pytest.approx((40.5 / 10.5) ** -exponent, rel=0.03)
