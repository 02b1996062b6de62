"""What the generator changes on one day, and that nothing else changes with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.base.errors import SettingsInvalid
from training.generator.behaviour import SimulatedEvents, simulate_people
from training.generator.catalogue import SECONDS_PER_DAY, InventedCatalogue, build_catalogue
from training.generator.settings import GeneratorSettings

STILL = GeneratorSettings(
    n_people=2_000, n_items=300, n_days=120, stay_days=40, taste_drift=0.0, new_item_share=0.0
)
CHANGE_DAY = 60


def simulated(settings: GeneratorSettings) -> tuple[InventedCatalogue, SimulatedEvents]:
    catalogue = build_catalogue(settings, np.random.default_rng([settings.seed, 0]))
    rng = np.random.default_rng([settings.seed, 1, 0])
    return catalogue, simulate_people(catalogue, settings, settings.n_people, rng)


def category_shares(
    catalogue: InventedCatalogue, events: SimulatedEvents, first_day: int, last_day: int
) -> np.ndarray:
    days = events.times // SECONDS_PER_DAY
    items = events.items[(days >= first_day) & (days < last_day)]
    counts = np.bincount(catalogue.clusters[items] // catalogue.n_styles, minlength=12)
    return counts / counts.sum()


def moved(settings: GeneratorSettings) -> float:
    """How much of the attention is on other categories in the twenty days after the change than before."""
    catalogue, events = simulated(settings)
    before = category_shares(catalogue, events, CHANGE_DAY - 20, CHANGE_DAY)
    after = category_shares(catalogue, events, CHANGE_DAY, CHANGE_DAY + 20)
    return float(np.abs(before - after).sum() / 2)


def test_a_new_season_moves_attention_between_categories() -> None:
    still = replace(STILL, n_people=8_000)  # among fewer, single people move the shares by as much as 0.1
    season = replace(still, change_day=CHANGE_DAY, new_season=2.0)
    assert moved(season) > 3 * moved(still)
    assert moved(season) > 0.15


def test_on_turnover_items_leave_and_as_many_arrive() -> None:
    turnover = replace(STILL, change_day=CHANGE_DAY, turnover=0.2)
    catalogue, events = simulated(turnover)
    change = CHANGE_DAY * SECONDS_PER_DAY
    leaving = np.flatnonzero(catalogue.departure_times == change)
    arriving = np.flatnonzero(catalogue.arrival_times == change)
    assert len(leaving) == pytest.approx(0.2 * len(catalogue), rel=0.4)
    assert len(arriving) == pytest.approx(len(leaving), rel=0.4)
    late, early = events.items[events.times >= change], events.items[events.times < change]
    assert not np.isin(late, leaving).any()
    assert not np.isin(early, arriving).any()
    assert np.isin(early, leaving).any()
    assert np.isin(late, arriving).any()


def test_a_taste_shift_changes_what_people_take_from_the_day_on_and_nothing_before() -> None:
    _, still = simulated(replace(STILL, change_day=CHANGE_DAY))
    catalogue, shifted = simulated(replace(STILL, change_day=CHANGE_DAY, taste_shift=1.0))
    assert moved(replace(STILL, change_day=CHANGE_DAY, taste_shift=1.0)) < 0.1  # the crowd stays as it was
    assert len(shifted.items) != len(still.items) or (shifted.items != still.items).any()
    before, after = (
        _within_person_agreement(catalogue, shifted, *days)
        for days in ((CHANGE_DAY - 15, CHANGE_DAY), (CHANGE_DAY, CHANGE_DAY + 15))
    )
    across = _within_person_agreement(catalogue, shifted, CHANGE_DAY - 15, CHANGE_DAY + 15, at=CHANGE_DAY)
    assert across < min(before, after) - 0.02


def _within_person_agreement(
    catalogue: InventedCatalogue,
    events: SimulatedEvents,
    first_day: int,
    last_day: int,
    at: int | None = None,
) -> float:
    """How often two events of one person, from either half of the days, are of one category."""
    days = events.times // SECONDS_PER_DAY
    middle = (first_day + last_day) / 2 if at is None else at
    categories = catalogue.clusters[events.items] // catalogue.n_styles
    shares = []
    for is_half in (days >= first_day) & (days < middle), (days >= middle) & (days < last_day):
        counts = np.zeros((STILL.n_people, 12))
        np.add.at(counts, (events.people[is_half], categories[is_half]), 1)
        shares.append(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    both = (shares[0].sum(axis=1) > 0) & (shares[1].sum(axis=1) > 0)
    return float((shares[0] * shares[1]).sum(axis=1)[both].mean())


def test_with_people_who_come_and_go_the_shop_is_as_busy_at_all_times() -> None:
    _, events = simulated(replace(STILL, n_people=8_000))
    days = events.times // SECONDS_PER_DAY
    busy = [((days >= first) & (days < first + 20)).sum() for first in (40, 60)]
    assert busy[0] == pytest.approx(busy[1], rel=0.1)
    spans = [
        np.ptp(days[events.people == person]) for person in range(200) if (events.people == person).any()
    ]
    assert max(spans) <= STILL.stay_days


def test_without_a_day_nothing_changes() -> None:
    strong = replace(STILL, new_season=2.0, turnover=0.5, taste_shift=1.0)
    (_, still), (_, never) = simulated(STILL), simulated(strong)
    assert (still.items == never.items).all()


@pytest.mark.parametrize("changes", [{"turnover": 0.6}, {"taste_shift": 1.5}, {"stay_days": -1}])
def test_a_change_out_of_bounds_is_refused(changes: dict[str, float]) -> None:
    with pytest.raises(SettingsInvalid):
        replace(STILL, **changes)  # type: ignore[arg-type]
