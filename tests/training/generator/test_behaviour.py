from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from training.generator.behaviour import SimulatedEvents, _power_law_ranks, simulate_people
from training.generator.catalogue import InventedCatalogue, build_catalogue
from training.generator.settings import GeneratorSettings

Counts = npt.NDArray[np.float64]

SETTINGS = GeneratorSettings(n_people=2_000, n_items=300, n_categories=5)


def simulated(settings: GeneratorSettings) -> tuple[InventedCatalogue, SimulatedEvents]:
    catalogue = build_catalogue(settings, np.random.default_rng(1))
    return catalogue, simulate_people(catalogue, settings, settings.n_people, np.random.default_rng(2))


def categories_of(catalogue: InventedCatalogue, events: SimulatedEvents) -> npt.NDArray[np.int64]:
    return catalogue.clusters[events.items] // catalogue.n_styles


def test_each_person_has_an_event() -> None:
    _, events = simulated(replace(SETTINGS, mean_events_per_person=1.0))
    assert np.array_equal(np.unique(events.people), np.arange(SETTINGS.n_people))


def test_a_later_step_of_the_funnel_follows_the_earlier_one_on_the_same_item() -> None:
    events = simulated(SETTINGS)[1].without_returns()
    later = np.flatnonzero(events.kinds > 0)
    assert np.array_equal(events.items[later], events.items[later - 1])
    assert np.array_equal(events.kinds[later], events.kinds[later - 1] + 1)
    assert (events.times[later] > events.times[later - 1]).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"n_days": 3, "mean_events_per_person": 100, "n_people": 500},
        {"n_days": 60, "mean_events_per_person": 1_000, "n_people": 200, "consumable_share": 1},
    ],
)
def test_a_persons_events_are_in_the_order_of_time_and_no_two_are_at_one_moment(
    changes: dict[str, float],
) -> None:
    _, events = simulated(replace(SETTINGS, **changes))  # type: ignore[arg-type]
    later, earlier = slice(1, None), slice(None, -1)
    is_same_person = events.people[later] == events.people[earlier]
    assert (np.diff(events.people) >= 0).all()
    assert (events.times[later] > events.times[earlier])[is_same_person].all()


def test_companions_are_visited_next_far_more_often_than_by_chance() -> None:
    catalogue, events = simulated(SETTINGS)
    views = np.flatnonzero(events.kinds == 0)
    is_companion = catalogue.companions[events.items[views[:-1]]] == events.items[views[1:]]
    assert is_companion.mean() > 0.1  # 300 items: chance is 0.003


def concentration(choices: Counts) -> float:
    """Mean over people of the chance that two of a person's choices agree. choices: (n_people, n_choices)."""
    shares = choices[choices.sum(axis=1) > 0]
    shares = shares / shares.sum(axis=1, keepdims=True)
    return float((shares**2).sum(axis=1).mean())


def category_counts_by_quarter(settings: GeneratorSettings) -> Counts:
    """(4, n_people, n_categories): how often each person was in each category in each quarter of the period."""
    catalogue, events = simulated(settings)
    quarters = (events.times * 4 // (settings.n_days * 86_400)).clip(0, 3)
    counts = np.zeros((4, settings.n_people, settings.n_categories))
    np.add.at(counts, (quarters, events.people, categories_of(catalogue, events)), 1)
    return counts


def test_taste_narrows_a_person_to_few_categories() -> None:
    busy = replace(SETTINGS, mean_events_per_person=100, taste_drift=0, consumable_share=0)
    indifferent = category_counts_by_quarter(replace(busy, taste_strength=0)).sum(axis=0)
    choosy = category_counts_by_quarter(replace(busy, taste_strength=4)).sum(axis=0)
    assert concentration(indifferent) < 0.3  # five categories: 0.2 where all are equally likely
    assert concentration(choosy) > 0.35


def test_taste_narrows_a_person_to_few_items_of_one_cluster() -> None:
    one_cluster = replace(SETTINGS, n_items=7, n_categories=1, mean_events_per_person=100, taste_drift=0)

    def item_concentration(strength: float) -> float:
        _, events = simulated(replace(one_cluster, taste_strength=strength))
        counts = np.zeros((SETTINGS.n_people, 7))
        np.add.at(counts, (events.people, events.items), 1)
        return concentration(counts)

    assert item_concentration(4) > item_concentration(0) + 0.2


def test_tastes_that_drift_leave_the_first_categories() -> None:
    def overlap(drift: float) -> float:
        busy = replace(SETTINGS, taste_drift=drift, taste_strength=4, mean_events_per_person=100)
        early, *_, late = category_counts_by_quarter(busy)
        came_in_both = (early.sum(axis=1) > 0) & (late.sum(axis=1) > 0)
        early, late = (
            count[came_in_both] / count[came_in_both].sum(axis=1)[:, None] for count in (early, late)
        )
        return float(np.minimum(early, late).sum(axis=1).mean())

    assert overlap(1.0) < overlap(0.0) - 0.1


def test_tastes_that_drift_stay_as_strong() -> None:
    busy = replace(SETTINGS, taste_strength=4, mean_events_per_person=100)
    settled = category_counts_by_quarter(replace(busy, taste_drift=0))[3]
    drifted = category_counts_by_quarter(replace(busy, taste_drift=1))[3]
    assert concentration(drifted) == pytest.approx(concentration(settled), rel=0.1)


@pytest.mark.parametrize("exponent", [0.0, 0.8, 1.0, 1.5])
def test_ranks_stay_in_range_and_fall_as_the_power_law_says(exponent: float) -> None:
    uniforms = np.linspace(0, 1, 200_001, dtype=np.float32)
    ranks = _power_law_ranks(uniforms, np.full(len(uniforms), 50), exponent)
    counts = np.bincount(ranks, minlength=50)
    assert len(counts) == 50
    # Between the tenth and the fortieth the continuous law and the discrete one are close.
    assert counts[39] / counts[9] == pytest.approx((40.5 / 10.5) ** -exponent, rel=0.03)
