"""Simulate what people of the generated shop do: sessions of views that may end in a purchase, and what follows it.

`generator` calls it once for each chunk of people, who are simulated together. A person is a point in the space of
tastes, and drifts. A session has a theme, chosen by taste or kept from the session before; each visit sees a few
items of a cluster, found by popularity, and picks one by taste, or goes from the item before to its companion. What
was bought comes up again in `purchases`: consumables are bought again, durables may be returned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.history import EventKind
from models.removals import RETURN
from training.generator.catalogue import (
    SECONDS_PER_DAY,
    TASTE_DIMENSIONS,
    VISIT_SECONDS,
    Floats,
    Ints,
    InventedCatalogue,
    change_time,
)
from training.generator.purchases import (
    HABIT_RATE,
    STEPS_OF_PURCHASE,
    Bools,
    Stays,
    Visits,
    expected_repeats,
    follow_up,
    place_stays,
    times_of_day,
)
from training.generator.settings import GeneratorSettings

CLICK_RATE, CART_RATE, PURCHASE_RATE = 0.5, 0.35, 0.5
"""The shares of views that are clicked, of clicks that reach the cart, and of carts that are bought."""

PURCHASES_PER_VISIT = CLICK_RATE * CART_RATE * PURCHASE_RATE

EVENTS_PER_VISIT = 1 + CLICK_RATE * (1 + CART_RATE) + PURCHASES_PER_VISIT
"""Without what follows from purchases, later."""

_VISITS_PER_SESSION = 4.0
_KEEP_THEME_RATE = 0.35
_THEME_CATEGORY_RATE, _COMPANION_CATEGORY_RATE = 0.70, 0.20
_THEME_STYLE_RATE = 0.85
_COMPANION_ITEM_RATE = 0.30
_CANDIDATES = 12
_KINDS = np.array(
    [EventKind.VIEW, EventKind.CLICK, EventKind.CART, EventKind.PURCHASE, RETURN], dtype=np.uint8
)
"""The kind of each step of a visit."""


@dataclass(frozen=True)
class SimulatedEvents:
    """Events of a chunk, ordered by person and time; all arrays are (n_events,).

    people: index within the chunk. items: catalogue rows. times: seconds after the shop's first day. kinds:
    `EventKind` codes and `RETURN`.
    """

    people: Ints
    items: Ints
    times: Ints
    kinds: npt.NDArray[np.uint8]

    def without_returns(self) -> SimulatedEvents:
        """Return the events that a service is told of."""
        kept = self.kinds != RETURN
        return SimulatedEvents(self.people[kept], self.items[kept], self.times[kept], self.kinds[kept])


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
    stays = place_stays(settings, rng.random(n_people))
    visit_people = np.repeat(np.arange(n_people), _draw_visit_counts(catalogue, settings, n_people, rng))
    starts_session = rng.random(len(visit_people)) < 1 / _VISITS_PER_SESSION
    starts_session |= np.diff(visit_people, prepend=-1) > 0
    visit_sessions = np.cumsum(starts_session) - 1
    sessions = _draw_sessions(catalogue, settings, visit_people[starts_session], stays, rng)
    times = _visit_times(settings, sessions, visit_sessions, starts_session, rng)
    items, affinities = _pick_items(catalogue, settings, sessions, visit_sessions, times, rng)
    followed = _follow_companions(catalogue, items, times, ~starts_session, rng)
    changed = np.flatnonzero(followed != items)
    tastes = sessions.tastes[visit_sessions[changed]]
    affinities[changed] = np.einsum("vd,vd->v", tastes, catalogue.vectors[followed[changed]])
    visits = Visits(
        visit_people,
        followed,
        times,
        affinities,
        first_steps=np.zeros(len(items), np.int64),
        n_steps=_draw_step_counts(affinities, rng),
    )
    return _to_events(follow_up(catalogue, settings, visits, stays, rng))


def _draw_visit_counts(
    catalogue: InventedCatalogue, settings: GeneratorSettings, n_people: int, rng: np.random.Generator
) -> Ints:
    """Draw long-tailed visit counts: most people come occasionally, some all the time."""
    spread = 0.8
    mean_visits = settings.mean_events_per_person / _events_per_visit(catalogue, settings)
    activity = rng.lognormal(np.log(mean_visits) - spread**2 / 2, spread, n_people)
    return np.maximum(1, rng.poisson(activity))


def _events_per_visit(catalogue: InventedCatalogue, settings: GeneratorSettings) -> float:
    """Compute the mean number of events that come of a visit, repeated purchases and returns included."""
    weights = np.exp(catalogue.category_log_weights)
    consumed = float(weights[catalogue.is_consumable].sum() / weights.sum())
    repeats = consumed * HABIT_RATE * expected_repeats(settings) * STEPS_OF_PURCHASE
    return EVENTS_PER_VISIT + PURCHASES_PER_VISIT * (repeats + (1 - consumed) * settings.return_rate)


def _draw_sessions(
    catalogue: InventedCatalogue,
    settings: GeneratorSettings,
    people: Ints,
    stays: Stays,
    rng: np.random.Generator,
) -> Sessions:
    times = _session_times(settings, people, stays, rng)
    tastes = _drifted_tastes(settings, people, times, len(stays.first_days), rng)
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


def _session_times(settings: GeneratorSettings, people: Ints, stays: Stays, rng: np.random.Generator) -> Ints:
    """Draw days from a person's first to their last, at times of day around seven in the evening."""
    spans = stays.last_days - stays.first_days
    days = (stays.first_days[people] + rng.random(len(people)) * spans[people]).astype(np.int64)
    times = days * SECONDS_PER_DAY + times_of_day(len(people), rng)
    # A single sort serves all people: the person is the high part of the key.
    key_base = (settings.n_days + 1) * SECONDS_PER_DAY
    return np.sort(people * key_base + times) - people * key_base


def _visit_times(
    settings: GeneratorSettings,
    sessions: Sessions,
    visit_sessions: Ints,
    starts_session: Bools,
    rng: np.random.Generator,
) -> Ints:
    """Place the visits of a session a minute apart; a session waits until the one before it is over."""
    visits = np.arange(len(visit_sessions))
    places = visits - np.flatnonzero(starts_session)[visit_sessions]
    starts = sessions.times[visit_sessions] + VISIT_SECONDS * places
    # The person is the high part of the key, far enough from the next one that nobody waits for somebody else.
    key_base = (settings.n_days + 1) * SECONDS_PER_DAY + 2 * VISIT_SECONDS * len(visits)
    earliest = sessions.people[visit_sessions] * key_base - VISIT_SECONDS * visits
    waited = np.maximum.accumulate(starts + earliest) - earliest
    times: Ints = waited + rng.integers(0, 20, len(visits))
    return times


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
    visit_times: Ints,
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
    is_there = catalogue.is_there(candidates, visit_times[:, None])
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


def _draw_step_counts(affinities: Floats, rng: np.random.Generator) -> Ints:
    """Draw how far each visit goes: a view, then perhaps a click, a cart event, a purchase."""
    pleasure = affinities - affinities.mean()
    clicks = rng.random(len(affinities)) < 1 / (1 + np.exp(-pleasure) * (1 - CLICK_RATE) / CLICK_RATE)
    carts = clicks & (rng.random(len(affinities)) < CART_RATE)
    buys = carts & (rng.random(len(affinities)) < PURCHASE_RATE)
    n_steps: Ints = 1 + clicks.astype(np.int64) + carts + buys
    return n_steps


def _to_events(visits: Visits) -> SimulatedEvents:
    """Turn each step of a visit into an event, ten seconds after the step before."""
    rows = np.repeat(np.arange(len(visits)), visits.n_steps)
    places = np.arange(len(rows)) - np.repeat(np.cumsum(visits.n_steps) - visits.n_steps, visits.n_steps)
    return SimulatedEvents(
        people=visits.people[rows],
        items=visits.items[rows],
        times=visits.times[rows] + 10 * places,
        kinds=_KINDS[visits.first_steps[rows] + places],
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
