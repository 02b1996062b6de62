"""Invent the events of a shop's people, a chunk of people at a time, straight into a bundle's arrays.

A person has a few themes, which are clusters of the catalogue, the favourite ones first. An event is an item of a
theme, or in one case of five of any cluster, drawn by popularity within it. Each item occurs once, as in a bundle.
There are no visits, and no purchases that follow views: training/generator/behaviour.py has them, but speed does not
depend on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.history import SECONDS_PER_DAY, History
from models.kept_history import MAX_PASSING_EVENTS
from models.packed_histories import TIMES_DTYPE, Histories
from training.base.callback import Progress
from training.generator.catalogue import Ints
from training.scale.appended import AppendedArrays
from training.scale.shop import ScaleCatalogue, ScaleSettings

PEOPLE_AT_ONCE = 100_000
"""Number of people in a chunk: some 2.4 million draws, 300 MB. Changing it changes the draw."""

MEAN_DRAWN, SPREAD = 22.0, 1.0
"""Mean and spread of the log-normal number of draws per person; some draws repeat an item, which leaves 20 at a
million items."""

N_THEMES, THEME_DECAY = 16, 1.2
"""Number of themes of a person, and how many of them make up 63 % of the draws."""
STRAY_RATE = 0.2

N_DAYS = 730
UNTIL = 1_767_139_200
"""The shop's present moment, after which there are no events; Unix seconds, 2025-12-31."""

KIND_SHARES = (0.50, 0.25, 0.10, 0.15)
"""Shares of views, clicks, carts and purchases among items' latest events."""

HALF_LIFE_DAYS = 15.0
"""Half-life of popularity, the popularity member's default."""

PERSON_BITS, ITEM_BITS, TIME_BITS = 17, 20, 26
"""Bits for 100,000 people, a million items and two years of seconds; a person and one of them sort as an integer."""

REACH_POWER = 5
"""Ranks are drawn with probability falling as rank ** -0.8, whose inverse is this power, by three products."""


class Drawn(NamedTuple):
    """The events of a chunk, person by person, oldest first; all but n_events are (n_events,).

    n_events: (n_people,). item_indices: int64. times: int64, Unix seconds. kinds: uint8.
    """

    n_events: Ints
    item_indices: Ints
    times: Ints
    kinds: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ScalePeople:
    """Everybody's histories, and the counts of their events.

    histories: mapped from files. popularity: (n_items,) float32, decayed. n_touched: (n_items,) int64, event counts.
    """

    histories: Histories
    popularity: npt.NDArray[np.float32]
    n_touched: Ints


def invent_people(
    catalogue: ScaleCatalogue, settings: ScaleSettings, folder: Path, progress: Progress
) -> ScalePeople:
    """Draw everybody's history into files of `folder`; memory holds one chunk of people."""
    popularity, n_touched = np.zeros(len(catalogue)), np.zeros(len(catalogue), np.int64)
    n_events = np.zeros(settings.n_people, np.int64)
    arrays = AppendedArrays(folder, {"item_indices": np.int32, "times": TIMES_DTYPE, "kinds": np.uint8})
    with arrays:
        for part, first in enumerate(range(0, settings.n_people, PEOPLE_AT_ONCE)):
            n_people = min(PEOPLE_AT_ONCE, settings.n_people - first)
            drawn = draw_people(catalogue, n_people, settings.rng(1, part))
            arrays.append(item_indices=drawn.item_indices, times=drawn.times, kinds=drawn.kinds)
            n_events[first : first + n_people] = drawn.n_events
            weights = np.exp2((drawn.times - UNTIL) / (HALF_LIFE_DAYS * SECONDS_PER_DAY))
            popularity += np.bincount(drawn.item_indices, weights, len(catalogue))
            n_touched += np.bincount(drawn.item_indices, minlength=len(catalogue))
            progress((first + n_people) / settings.n_people, f"{first + n_people:,} people")
    offsets = np.concatenate([[0], np.cumsum(n_events)])
    histories = Histories(offsets, *(arrays.mapped(name) for name in ("item_indices", "times", "kinds")))
    return ScalePeople(histories, popularity.astype(np.float32), n_touched)


def hold_back(catalogue: ScaleCatalogue, settings: ScaleSettings, n_people: int) -> list[History]:
    """Draw held-out histories, of people like the others who are in no bundle."""
    drawn = draw_people(catalogue, n_people, settings.rng(5))
    offsets = np.concatenate([[0], np.cumsum(drawn.n_events)])
    packed = Histories(offsets, drawn.item_indices.astype(np.int32), drawn.times, drawn.kinds)
    return list(packed)


def draw_people(catalogue: ScaleCatalogue, n_people: int, rng: np.random.Generator) -> Drawn:
    """Draw some people's histories; each has 1 to `MAX_PASSING_EVENTS` distinct items."""
    people, items = _draw_items(catalogue, n_people, rng)
    n_events = np.bincount(people, minlength=n_people)
    last_days = rng.random(n_people) ** 2 * N_DAYS  # most people came recently
    ages = last_days[people] + (N_DAYS - last_days[people]) * rng.random(len(people)) ** 2
    seconds = np.minimum((ages * SECONDS_PER_DAY).astype(np.int64), (1 << TIME_BITS) - 1)
    order = np.argsort((people << TIME_BITS) - seconds)
    kinds = np.searchsorted(np.cumsum(KIND_SHARES)[:-1], rng.random(len(people)), side="right")
    return Drawn(n_events, items[order], UNTIL - seconds[order], kinds.astype(np.uint8))


def _draw_items(catalogue: ScaleCatalogue, n_people: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Draw distinct pairs of person and item_index, ordered by person: (n_events,) both."""
    mu = np.log(MEAN_DRAWN) - SPREAD**2 / 2
    n_drawn = np.clip(np.rint(rng.lognormal(mu, SPREAD, n_people)), 1, MAX_PASSING_EVENTS).astype(np.int64)
    people = np.repeat(np.arange(n_people), n_drawn)
    invented = catalogue.invented
    clusters = _draw_clusters(catalogue, people, n_people, rng)
    sizes = invented.cluster_sizes[clusters]
    reach = (invented.cluster_sizes + 1.0) ** (1 / REACH_POWER)
    places = (1 + rng.random(len(people)) * (reach[clusters] - 1)) ** REACH_POWER
    rows = invented.cluster_starts[clusters] + np.minimum(places.astype(np.int64) - 1, sizes - 1)
    pairs = np.sort((people << ITEM_BITS) | catalogue.item_indices[rows])
    pairs = pairs[np.diff(pairs, prepend=-1) > 0]
    return pairs >> ITEM_BITS, pairs & ((1 << ITEM_BITS) - 1)


def _draw_clusters(catalogue: ScaleCatalogue, people: Ints, n_people: int, rng: np.random.Generator) -> Ints:
    """Draw the cluster of each event, (n_drawn,)."""
    themes = _any_clusters(catalogue, n_people * N_THEMES, rng)
    slots = np.minimum(rng.standard_exponential(len(people), np.float32) * THEME_DECAY, N_THEMES - 1)
    clusters = themes[people * N_THEMES + slots.astype(np.int64)]
    strays = np.flatnonzero(rng.random(len(people), np.float32) < STRAY_RATE)
    clusters[strays] = _any_clusters(catalogue, len(strays), rng)
    return clusters


def _any_clusters(catalogue: ScaleCatalogue, count: int, rng: np.random.Generator) -> Ints:
    """Draw clusters by their category's weight, (count,)."""
    invented = catalogue.invented
    below = np.cumsum(np.exp(invented.category_log_weights, dtype=np.float64))
    categories = np.searchsorted(below[:-1] / below[-1], rng.random(count), side="right")
    clusters: Ints = categories * invented.n_styles + rng.integers(0, invented.n_styles, count)
    return clusters
