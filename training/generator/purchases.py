"""Follow up the purchases of a chunk of people: consumables are bought again, some durables are returned.

`behaviour` calls it with all visits of the chunk and gets them back with further visits in between. A first
purchase of a consumable may become a habit: the person buys that item again and again, at intervals around the
item's own mean, until the end of the stay. A durable is hardly ever bought twice, and the less it suits the person,
the more often it is returned.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from training.generator.catalogue import (
    REPEAT_DAYS,
    SECONDS_PER_DAY,
    VISIT_SECONDS,
    Floats,
    Ints,
    InventedCatalogue,
)
from training.generator.settings import GeneratorSettings

VIEW_STEP, CART_STEP, PURCHASE_STEP, RETURN_STEP = 0, 2, 3, 4
"""Steps of a visit: view, click, cart and purchase follow one another; a return is a visit of its own."""

STEPS_OF_PURCHASE = 4

HABIT_RATE = 0.4
"""Share of first purchases of a consumable after which the person keeps buying it."""

_HABIT_SLOPE, _RETURN_SLOPE = 0.4, -0.8
"""How the logarithms of these rates change with the affinity, in its standard deviations."""

_PACE_SPREAD, _GAP_SPREAD = 0.25, 0.15
"""Spreads of the logarithms of a person's own pace, and of the single intervals."""

_SHORTEST_GAP_DAYS = 2.0
_SECOND_PURCHASE_RATE = 0.03
"""Share of purchases of an item that the person has already, habits aside, that are made nevertheless."""
_RETURN_DAYS, _RETURN_SPREAD, _LONGEST_RETURN_DAYS = 8.0, 0.5, 30.0

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Visits:
    """Visits of a chunk, ordered by person and time; all arrays are (n_visits,).

    people: index within the chunk. items: catalogue rows. times: seconds after the shop's first day.
    affinities: products of the item's vector and the person's taste at that time. first_steps, n_steps: the step with
    which a visit begins, and how many it has.
    """

    people: Ints
    items: Ints
    times: Ints
    affinities: Floats
    first_steps: Ints
    n_steps: Ints

    def __len__(self) -> int:
        return len(self.people)

    @property
    def is_purchase(self) -> Bools:
        """(n_visits,), whether a visit ends in a purchase."""
        return self.first_steps + self.n_steps == PURCHASE_STEP + 1

    def taken(self, places: Ints | Bools) -> Visits:
        """Return these visits alone."""
        return Visits(*(getattr(self, each.name)[places] for each in fields(self)))


@dataclass(frozen=True)
class Stays:
    """The first and last day of each person, in days after the shop's first; (n_people,) each."""

    first_days: npt.NDArray[np.float64]
    last_days: npt.NDArray[np.float64]


def place_stays(settings: GeneratorSettings, uniforms: npt.NDArray[np.float64]) -> Stays:
    """Place the stays of people, one for each number from 0 to 1."""
    if not settings.stay_days:
        first_days = uniforms * 0.7 * settings.n_days
        return Stays(first_days, np.full_like(first_days, settings.n_days))
    starts = uniforms * (settings.n_days + settings.stay_days) - settings.stay_days
    return Stays(np.maximum(starts, 0), np.minimum(starts + settings.stay_days, settings.n_days))


def expected_repeats(settings: GeneratorSettings) -> float:
    """Compute how often a habit repeats its first purchase on average, by a grid of stays, moments and intervals."""
    grid = (np.arange(48) + 0.5) / 48
    stays = place_stays(settings, grid)
    spans = (stays.last_days - stays.first_days)[:, None, None]
    shortest, longest = REPEAT_DAYS
    intervals = shortest * (longest / shortest) ** grid
    return float(np.floor(spans * grid[:, None] / intervals).mean())


def follow_up(
    catalogue: InventedCatalogue,
    settings: GeneratorSettings,
    visits: Visits,
    stays: Stays,
    rng: np.random.Generator,
) -> Visits:
    """Return the visits with repeated purchases and returns among them.

    Most other purchases of an item that the person has bought before end in the cart.
    """
    bought = np.flatnonzero(visits.is_purchase)
    is_first = _is_first_of_pair(visits.people[bought], visits.items[bought], len(catalogue))
    is_consumable = catalogue.repeat_days[visits.items[bought]] > 0
    is_refused = ~is_first & (rng.random(len(bought)) >= _SECOND_PURCHASE_RATE)
    n_steps = visits.n_steps.copy()
    n_steps[bought[is_refused]] = CART_STEP + 1
    visits = Visits(visits.people, visits.items, visits.times, visits.affinities, visits.first_steps, n_steps)
    repeats = _repeats(catalogue, visits.taken(bought[is_first & is_consumable]), stays, rng)
    durables = visits.taken(bought[~is_consumable & ~is_refused])
    returns = _returns(catalogue, settings, durables, stays, rng)
    return _merged(settings, visits, repeats, returns)


def _is_first_of_pair(people: Ints, items: Ints, n_items: int) -> Bools:
    """Tell which events are the first of their person and item. Events are ordered by person and time."""
    is_first = np.zeros(len(people), np.bool_)
    is_first[np.unique(people * n_items + items, return_index=True)[1]] = True
    return is_first


def _repeats(catalogue: InventedCatalogue, firsts: Visits, stays: Stays, rng: np.random.Generator) -> Visits:
    """Buy consumables again. firsts: their first purchases by each person."""
    paces = np.exp(rng.normal(0, _PACE_SPREAD, len(stays.first_days)))
    keeps = rng.random(len(firsts)) < _rates_by_taste(HABIT_RATE, firsts.affinities, _HABIT_SLOPE)
    habits = firsts.taken(keeps)
    intervals = catalogue.repeat_days[habits.items] * paces[habits.people]
    start_days = habits.times / SECONDS_PER_DAY
    last_days = stays.last_days[habits.people]
    # A few more than fit at the mean interval, since intervals vary; those past the end of the stay are left out.
    n_gaps = np.maximum(0, (last_days - start_days) / intervals * 1.2 + 3).astype(np.int64)
    habit = np.repeat(np.arange(len(habits)), n_gaps)
    gaps = intervals[habit] * np.exp(rng.normal(0, _GAP_SPREAD, len(habit)))
    elapsed = np.cumsum(np.maximum(gaps, _SHORTEST_GAP_DAYS))
    before = np.concatenate([[0.0], elapsed])[np.cumsum(n_gaps) - n_gaps]
    days = start_days[habit] + elapsed - before[habit]
    return _later_visits(catalogue, habits, habit, days, stays, VIEW_STEP, STEPS_OF_PURCHASE, rng)


def _returns(
    catalogue: InventedCatalogue,
    settings: GeneratorSettings,
    durables: Visits,
    stays: Stays,
    rng: np.random.Generator,
) -> Visits:
    """Return some durables days later. durables: all purchases of them."""
    rates = _rates_by_taste(settings.return_rate, durables.affinities, _RETURN_SLOPE)
    returned = np.flatnonzero(rng.random(len(durables)) < rates)
    delays = np.exp(rng.normal(np.log(_RETURN_DAYS), _RETURN_SPREAD, len(returned)))
    delays = delays.clip(_SHORTEST_GAP_DAYS, _LONGEST_RETURN_DAYS)
    days = durables.times[returned] / SECONDS_PER_DAY + delays
    return _later_visits(catalogue, durables, returned, days, stays, RETURN_STEP, 1, rng)


def _rates_by_taste(mean_rate: float, affinities: Floats, slope: float) -> npt.NDArray[np.float64]:
    """Return rates from 0 to 1, (n_affinities,), with this mean; slope says how their logarithms change."""
    if not len(affinities):
        return np.zeros(0)
    standard = (affinities - affinities.mean()) / max(float(affinities.std()), 1e-6)
    rates = mean_rate * np.exp(slope * standard.astype(np.float64))
    for _ in range(8):  # what a bound of 1 takes from some rates is given to the others
        rates = np.minimum(rates * (mean_rate / max(float(rates.mean()), 1e-12)), 1.0)
    return rates


def _later_visits(
    catalogue: InventedCatalogue,
    causes: Visits,
    places: Ints,
    days: npt.NDArray[np.float64],
    stays: Stays,
    first_step: int,
    n_steps: int,
    rng: np.random.Generator,
) -> Visits:
    """Make visits of the same people to the same items on later days.

    causes: earlier visits. places: the cause of each later visit. Visits after the person's last day, or after the
    item's departure, do not take place.
    """
    times = days.astype(np.int64) * SECONDS_PER_DAY + times_of_day(len(days), rng)
    items = causes.items[places]
    happens = (days < stays.last_days[causes.people[places]]) & catalogue.is_there(items, times)
    kept = causes.taken(places[happens])
    return Visits(
        kept.people,
        kept.items,
        times[happens],
        kept.affinities,
        np.full(len(kept), first_step),
        np.full(len(kept), n_steps),
    )


def times_of_day(count: int, rng: np.random.Generator) -> Ints:
    """Draw seconds after midnight, around seven in the evening."""
    seconds: Ints = np.clip(rng.normal(19 * 3600, 3 * 3600, count), 0, SECONDS_PER_DAY - 1).astype(np.int64)
    return seconds


def _merged(settings: GeneratorSettings, visits: Visits, *later: Visits) -> Visits:
    """Merge visits by person and time; a later one that would overlap another visit of its person is left out."""
    every = Visits(
        *(np.concatenate([getattr(part, each.name) for part in (visits, *later)]) for each in fields(Visits))
    )
    latest = settings.n_days * SECONDS_PER_DAY + max(int(every.times.max(initial=0)), 0)
    keys = every.people * (latest + VISIT_SECONDS) + every.times
    order = np.argsort(keys, kind="stable")
    is_later = order >= len(visits)
    overlaps = np.diff(keys[order]) < VISIT_SECONDS
    is_left_out = is_later & (np.append(False, overlaps) | np.append(overlaps, False))
    return every.taken(order[~is_left_out])
