"""Sequence augmentation: cut examples out of people's histories, so that the student also learns short ones.

Each whole history is an example, and so are copies of it as an earlier request might have seen it: in the middle of
the last visit, in the middle or at the end of an earlier one, or with the distant past forgotten. Empty histories are
added too, for cold start.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.history import SECONDS_PER_DAY, EventKind, History
from models.members.recency import visit_numbers
from models.packed_histories import Histories

N_NEXT = 5
"""The most items that an example records as taken next."""
MAX_EVENTS_CUT = 400
"""The most events of a person that examples are cut from, the latest ones."""
COLD_START_SHARE = 0.01
"""Share of examples that have an empty history: enough to learn the one user vector of a cold start."""
KEPT_OF_LAST_VISIT = (0.3, 1.0)
KEPT_OF_EARLIER_VISIT = 0.7
KEPT_OF_RECENT = 0.8
WHOLE_VISIT_SHARE = 0.6
"""How often an earlier visit that ends an example is kept whole: then it is asked about at the start of the next."""

Mask = npt.NDArray[np.bool_]


def cut_examples(
    histories: Histories,
    n_copies: int,
    max_examples: int,
    rng: np.random.Generator,
    *,
    target: EventKind = EventKind.PURCHASE,
) -> tuple[list[History], npt.NDArray[np.int32]]:
    """Return whole histories, `n_copies` sub-histories of each person with two or more events, and empty ones.

    The copies alternate between three cuts: the last visit thinned; the end inside an earlier visit; only the last
    few events. The next items of a sub-history are those of target events dropped from its last visit, then those
    that followed that visit, whether the person had them before or not; a whole history has none. Returns at most
    max_examples histories, and (n_examples, N_NEXT) int32, padded with -1. People without events are left out; people
    are sampled if max_examples is too small for all.
    """
    people = [row for row, history in enumerate(histories) if len(history)]
    n_people = max(1, int(max_examples / (1 + COLD_START_SHARE)) // (1 + n_copies))
    if len(people) > n_people:
        people = sorted(rng.choice(people, n_people, replace=False).tolist())
    examples: list[History] = []
    next_items: list[npt.NDArray[np.int32]] = []
    for row in people:
        history = histories[row].last(MAX_EVENTS_CUT)
        for keep in _masks(history, n_copies, rng):
            examples.append(_events(history, keep))
            next_items.append(_next_items(history, keep, target))
    for row in rng.choice(people, int(len(examples) * COLD_START_SHARE)) if people else ():
        examples.append(History.empty())
        history = histories[row]
        next_items.append(_first_distinct(history.item_indices[history.kinds == target]))
    padded = np.full((len(examples), N_NEXT), -1, np.int32)
    for example, items in enumerate(next_items):
        padded[example, : len(items)] = items
    return examples, padded


def _masks(history: History, n_copies: int, rng: np.random.Generator) -> list[Mask]:
    """Return which events each example keeps: all, then those of each copy; (n_events,) each, at least one true."""
    everything = np.ones(len(history), np.bool_)
    if len(history) < 2:
        return [everything]
    visits = visit_numbers(history)
    cuts = (_thin_last_visit, _end_earlier, _forget_the_past)
    return [everything, *(cuts[copy % len(cuts)](visits, rng) for copy in range(n_copies))]


def _thin_last_visit(visits: npt.NDArray[np.int64], rng: np.random.Generator) -> Mask:
    share = rng.uniform(*KEPT_OF_LAST_VISIT)
    return _not_empty(
        (visits < visits[-1]) | (rng.random(len(visits)) < share), last_possible=len(visits) - 1
    )


def _end_earlier(visits: npt.NDArray[np.int64], rng: np.random.Generator) -> Mask:
    """Keep all before the visit of a random event, and most or all of that visit."""
    end = _log_uniform(len(visits) - 1, rng)
    last = visits[end - 1]
    kept = 1.0 if rng.random() < WHOLE_VISIT_SHARE else KEPT_OF_EARLIER_VISIT
    is_thinned = (visits == last) & (rng.random(len(visits)) < kept)
    return _not_empty((visits < last) | is_thinned, last_possible=end - 1)


def _forget_the_past(visits: npt.NDArray[np.int64], rng: np.random.Generator) -> Mask:
    recent = np.arange(len(visits)) >= len(visits) - _log_uniform(len(visits), rng)
    return _not_empty(recent & (rng.random(len(visits)) < KEPT_OF_RECENT), last_possible=len(visits) - 1)


def _not_empty(keep: Mask, last_possible: int) -> Mask:
    """Keep the last possible event if none is kept: empty histories are made apart, for cold start."""
    if not keep.any():
        keep[last_possible] = True
    return keep


def _log_uniform(most: int, rng: np.random.Generator) -> int:
    """Draw from 1 to most, uniformly on the log scale, so that short histories are as frequent as long ones."""
    return int(np.clip(np.exp(rng.uniform(0.0, np.log(most + 1))), 1, most))


def _next_items(history: History, keep: Mask, target: EventKind) -> npt.NDArray[np.int32]:
    """Return targets dropped from the last visit that is left, then those that followed it; up to N_NEXT items."""
    visits = visit_numbers(history)
    last = visits[np.flatnonzero(keep)[-1]]
    return _first_distinct(history.item_indices[(visits >= last) & ~keep & (history.kinds == target)])


def _first_distinct(items: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Keep the first N_NEXT different items, in their order."""
    _, first = np.unique(items, return_index=True)
    return items[np.sort(first)[:N_NEXT]]


def _events(history: History, keep: Mask) -> History:
    """Return the kept events, asked about at the next one, or at the first second (UTC) of its day if no event came
    since: that is when the protocols ask.
    """
    after, asked_at = int(np.flatnonzero(keep)[-1]) + 1, 0
    if after < len(history):
        next_one = int(history.times[after])
        asked_at = max(next_one - next_one % int(SECONDS_PER_DAY), int(history.times[after - 1]))
    return History(history.item_indices[keep], history.times[keep], history.kinds[keep], asked_at)
