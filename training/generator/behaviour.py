"""Simulate what people of the generated shop do: sessions of views that sometimes end in a purchase.

`generator` calls it once for each chunk of people, who are simulated together. A person is a point in the space of
tastes, and drifts. A session has a theme, chosen by taste or kept from the session before; each visit sees a few
items of a cluster, found by popularity, and picks one by taste, or goes from the item before to its companion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.history import EventKind
from training.generator.catalogue import (
    SECONDS_PER_DAY,
    TASTE_DIMENSIONS,
    Floats,
    Ints,
    InventedCatalogue,
    change_time,
)
from training.generator.settings import GeneratorSettings

CLICK_RATE, CART_RATE, PURCHASE_RATE = 0.5, 0.35, 0.5
"""The shares of views that are clicked, of clicks that reach the cart, and of carts that are bought."""

EVENTS_PER_VISIT = 1 + CLICK_RATE * (1 + CART_RATE * (1 + PURCHASE_RATE))

_VISITS_PER_SESSION = 4.0
_KEEP_THEME_RATE = 0.35
_THEME_CATEGORY_RATE, _COMPANION_CATEGORY_RATE = 0.70, 0.20
_THEME_STYLE_RATE = 0.85
_COMPANION_ITEM_RATE = 0.30
_CANDIDATES = 12

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SimulatedEvents:
    """Events of a chunk, ordered by person and session; all arrays are (n_events,).

    people: index within the chunk. items: catalogue rows. times: seconds after the shop's first day.
    """

    people: Ints
    items: Ints
    times: Ints
    kinds: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Sessions:
    """Sessions ordered by person, then time; all arrays have n_sessions rows.

    tastes: (n_sessions, TASTE_DIMENSIONS). Some visits stray to the side category and the side style.
    """

    people: Ints
    times: Ints
    tastes: Floats
    categories: Ints
    styles: Ints
    side_categories: Ints
    side_styles: Ints


def simulate_people(
    catalogue: InventedCatalogue, settings: GeneratorSettings, n_people: int, rng: np.random.Generator
) -> SimulatedEvents:
    """Simulate `n_people` people over the whole period; each has at least one event."""
    visit_people = np.repeat(np.arange(n_people), _draw_visit_counts(settings, n_people, rng))
    starts_session = rng.random(len(visit_people)) < 1 / _VISITS_PER_SESSION
    starts_session |= np.diff(visit_people, prepend=-1) > 0
    visit_sessions = np.cumsum(starts_session) - 1
    sessions = _draw_sessions(catalogue, settings, visit_people[starts_session], n_people, rng)
    items, affinities = _pick_items(catalogue, settings, sessions, visit_sessions, rng)
    items = _follow_companions(catalogue, items, sessions.times[visit_sessions], ~starts_session, rng)
    return _to_events(sessions, visit_sessions, starts_session, items, affinities, rng)


def _draw_visit_counts(settings: GeneratorSettings, n_people: int, rng: np.random.Generator) -> Ints:
    """Draw long-tailed visit counts: most people come occasionally, some all the time."""
    spread = 0.8
    mean_visits = settings.mean_events_per_person / EVENTS_PER_VISIT
    activity = rng.lognormal(np.log(mean_visits) - spread**2 / 2, spread, n_people)
    return np.maximum(1, rng.poisson(activity))


def _draw_sessions(
    catalogue: InventedCatalogue,
    settings: GeneratorSettings,
    people: Ints,
    n_people: int,
    rng: np.random.Generator,
) -> Sessions:
    times = _session_times(settings, people, n_people, rng)
    tastes = _drifted_tastes(settings, people, times, n_people, rng)
    strength = np.float32(settings.taste_strength)
    # A theme depends on taste too, but people know more than one category.
    category_logits = catalogue.category_log_weights + strength * (tastes @ catalogue.category_vectors.T)
    category_logits[times >= change_time(settings)] += catalogue.season_log_weights
    style_logits = strength * (tastes @ catalogue.style_vectors.T)
    keeps_theme = (rng.random(len(people)) < _KEEP_THEME_RATE) & (np.diff(people, prepend=-1) == 0)
    theme_session = np.maximum.accumulate(np.where(keeps_theme, 0, np.arange(len(people))))
    return Sessions(
        people,
        times,
        tastes,
        categories=_draw_from_logits(category_logits, rng)[theme_session],
        styles=_draw_from_logits(style_logits, rng)[theme_session],
        side_categories=_draw_from_logits(category_logits, rng),
        side_styles=_draw_from_logits(style_logits, rng),
    )


def _session_times(
    settings: GeneratorSettings, people: Ints, n_people: int, rng: np.random.Generator
) -> Ints:
    """Draw days from a person's first to their last, at times of day around seven in the evening."""
    if settings.stay_days:
        starts = rng.random(n_people) * (settings.n_days + settings.stay_days) - settings.stay_days
        first_days = np.maximum(starts, 0)
        spans = np.minimum(starts + settings.stay_days, settings.n_days) - first_days
    else:
        first_days = rng.random(n_people) * 0.7 * settings.n_days
        spans = settings.n_days - first_days
    days = (first_days[people] + rng.random(len(people)) * spans[people]).astype(np.int64)
    seconds = np.clip(rng.normal(19 * 3600, 3 * 3600, len(people)), 0, SECONDS_PER_DAY - 1)
    times = days * SECONDS_PER_DAY + seconds.astype(np.int64)
    # A single sort serves all people: the person is the high part of the key.
    key_base = (settings.n_days + 1) * SECONDS_PER_DAY
    return np.sort(people * key_base + times) - people * key_base


def _drifted_tastes(
    settings: GeneratorSettings, people: Ints, times: Ints, n_people: int, rng: np.random.Generator
) -> Floats:
    """Turn each taste towards a second, unrelated one, which it reaches on the last day if taste_drift is 1."""
    before, after = rng.standard_normal((2, n_people, TASTE_DIMENSIONS), dtype=np.float32)
    share = times / (settings.n_days * SECONDS_PER_DAY)
    angles = (settings.taste_drift * np.pi / 2 * share).astype(np.float32)[:, None]
    tastes: Floats = np.cos(angles) * before[people] + np.sin(angles) * after[people]
    if settings.change_day and settings.taste_shift:
        new = rng.standard_normal((n_people, TASTE_DIMENSIONS), dtype=np.float32)[people]
        angle = np.float32(settings.taste_shift * np.pi / 2)
        is_after = (times >= change_time(settings))[:, None]
        tastes = np.where(is_after, np.cos(angle) * tastes + np.sin(angle) * new, tastes)
    return tastes


def _pick_items(
    catalogue: InventedCatalogue,
    settings: GeneratorSettings,
    sessions: Sessions,
    visit_sessions: Ints,
    rng: np.random.Generator,
) -> tuple[Ints, Floats]:
    """Let each visit see candidates by popularity, and pick one by taste.

    Returns the catalogue rows picked, and their affinities to the taste, both (n_visits,).
    """
    clusters = _visit_clusters(catalogue, sessions, visit_sessions, rng)
    sizes = catalogue.cluster_sizes[clusters, None]
    ranks = _power_law_ranks(
        rng.random((len(clusters), _CANDIDATES), dtype=np.float32), sizes, settings.popularity_exponent
    )
    candidates = catalogue.cluster_starts[clusters, None] + ranks  # (n_visits, candidates)
    is_there = catalogue.is_there(candidates, sessions.times[visit_sessions, None])
    # A cluster's first item is there from the first day; it stands in if no candidate has arrived so far.
    none_there = ~is_there.any(axis=1)
    candidates[none_there, 0] = catalogue.cluster_starts[clusters[none_there]]
    is_there[none_there, 0] = True
    affinities = np.einsum("vd,vcd->vc", sessions.tastes[visit_sessions], catalogue.vectors[candidates])
    # The index of the smallest of exponentials with rates exp(logit) is a draw from the softmax of the logits.
    waits = rng.standard_exponential(affinities.shape, dtype=np.float32)
    waits *= np.exp(-np.float32(settings.taste_strength) * affinities)
    waits[~is_there] = np.inf
    best = waits.argmin(axis=1)
    visits = np.arange(len(best))
    return candidates[visits, best], affinities[visits, best]


def _visit_clusters(
    catalogue: InventedCatalogue, sessions: Sessions, visit_sessions: Ints, rng: np.random.Generator
) -> Ints:
    """Choose clusters: mostly the session's theme, sometimes its companion category, sometimes something else."""
    themes = sessions.categories[visit_sessions]
    dice = rng.random(len(visit_sessions))
    categories = np.select(
        [dice < _THEME_CATEGORY_RATE, dice < _THEME_CATEGORY_RATE + _COMPANION_CATEGORY_RATE],
        [themes, catalogue.companion_categories[themes]],
        sessions.side_categories[visit_sessions],
    )
    keeps_style = rng.random(len(visit_sessions)) < _THEME_STYLE_RATE
    styles = np.where(keeps_style, sessions.styles[visit_sessions], sessions.side_styles[visit_sessions])
    clusters: Ints = categories * catalogue.n_styles + styles
    return clusters


def _follow_companions(
    catalogue: InventedCatalogue, items: Ints, times: Ints, has_previous: Bools, rng: np.random.Generator
) -> Ints:
    """Replace some picks by the companion of the item visited just before, if that has arrived by then."""
    follows = has_previous & (rng.random(len(items)) < _COMPANION_ITEM_RATE)
    visits = np.arange(len(items))
    # In a run of followers each depends on the one before, so all first ones are done, then all second ones ...
    place_in_run = visits - np.maximum.accumulate(np.where(follows, 0, visits))
    followed = items.copy()
    for place in range(1, int(place_in_run.max(initial=0)) + 1):
        here = np.flatnonzero(place_in_run == place)
        companions = catalogue.companions[followed[here - 1]]
        is_there = catalogue.is_there(companions, times[here])
        followed[here] = np.where(is_there, companions, followed[here])
    return followed


def _to_events(
    sessions: Sessions,
    visit_sessions: Ints,
    starts_session: Bools,
    items: Ints,
    affinities: Floats,
    rng: np.random.Generator,
) -> SimulatedEvents:
    """Turn visits into one to four events: a view, then perhaps a click, a cart event, a purchase."""
    pleasure = affinities - affinities.mean()
    clicks = rng.random(len(items)) < 1 / (1 + np.exp(-pleasure) * (1 - CLICK_RATE) / CLICK_RATE)
    carts = clicks & (rng.random(len(items)) < CART_RATE)
    buys = carts & (rng.random(len(items)) < PURCHASE_RATE)
    n_events = 1 + clicks.astype(np.int64) + carts + buys
    visits = np.repeat(np.arange(len(items)), n_events)
    steps = np.arange(len(visits)) - np.repeat(np.cumsum(n_events) - n_events, n_events)
    places = np.arange(len(items)) - np.flatnonzero(starts_session)[visit_sessions]
    visit_times = sessions.times[visit_sessions] + 60 * places + rng.integers(0, 20, len(items))
    kinds = np.array([EventKind.VIEW, EventKind.CLICK, EventKind.CART, EventKind.PURCHASE], dtype=np.uint8)
    return SimulatedEvents(
        people=sessions.people[visit_sessions][visits],
        items=items[visits],
        times=visit_times[visits] + 10 * steps,
        kinds=kinds[steps],
    )


def _power_law_ranks(uniforms: Floats, sizes: Ints, exponent: float) -> Ints:
    """Draw ranks 0 .. size - 1 with probability falling as (rank + 1)^-exponent, by the continuous inverse.

    An exact inverse would search a table of cumulated weights; the closed form is ten times as fast and keeps the
    tail's exponent.
    """
    if abs(exponent - 1.0) < 1e-6:
        places = np.exp(uniforms * np.log(sizes + 1.0))
    else:
        power = 1.0 - exponent
        places = (1.0 + uniforms * ((sizes + 1.0) ** power - 1.0)) ** (1.0 / power)
    ranks: Ints = np.minimum(places.astype(np.int64) - 1, sizes - 1)
    return ranks


def _draw_from_logits(logits: Floats, rng: np.random.Generator) -> Ints:
    """Draw one choice per row from the softmax of (n_rows, n_choices) logits."""
    waits = rng.standard_exponential(logits.shape, dtype=np.float32) * np.exp(-logits)
    choices: Ints = waits.argmin(axis=1)
    return choices
