"""`REPEAT_FEATURES` computed once more, in numpy, to compare the kernel with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.history import BY_STRENGTH, SECONDS_PER_DAY, STRENGTHS, History
from models.item_timeline import ITEM_FEATURES
from models.kept_history import kept_history
from models.repeats import (
    BASKET_HALF_LIVES,
    CLOCK_FEATURES,
    DAY_HALF_LIVES,
    FLOOR,
    N_FEATURES,
    OTHER_FEATURES,
    PERSON_FEATURES,
    TAKEN_FEATURES,
    Floats,
)
from models.repurchase import RepurchaseClock


def described_in_numpy(
    history: History, distinct: History, target: int, clock: RepurchaseClock, items: npt.NDArray[np.float16]
) -> Floats:
    """Return `REPEAT_FEATURES` of a person's own items; (n_distinct, N_FEATURES).

    distinct: what `history.distinct` returns. items: (n_items, n_features) float16, `ITEM_FEATURES`.
    """
    described = np.zeros((len(distinct), N_FEATURES), np.float32)
    own = distinct.item_indices
    order = np.argsort(own)
    kept = kept_history(history)
    days = kept.times // int(SECONDS_PER_DAY)
    places = order[np.searchsorted(own[order], kept.item_indices)]
    until = int(days[-1])
    is_target = kept.kinds == target
    _describe_taken(described, places[is_target], days[is_target], until)
    column = len(TAKEN_FEATURES)
    if not is_target.all():
        others, other_days = places[~is_target], days[~is_target]
        latest = np.full(len(own), until + 1)
        latest[others] = other_days  # the last of equal places stays
        has_other = latest <= until
        described[:, column] = np.log1p(np.bincount(others, minlength=len(own)))
        described[has_other, column + 1] = np.log1p(until - latest[has_other])
    column += len(OTHER_FEATURES)
    described[np.arange(len(own)), column + STRENGTHS[distinct.kinds]] = 1.0
    column += len(BY_STRENGTH) + len(PERSON_FEATURES)
    shares = np.clip(clock.shares[own], FLOOR, 1 - FLOOR)
    every = clock.log_days[own]
    described[:, column - 1] = np.log(len(own))
    described[:, column] = np.log(shares / (1 - shares))
    is_known = ~np.isnan(every)
    described[is_known, column + 1] = every[is_known]
    since = described[:, TAKEN_FEATURES.index("log_days_since")]
    described[is_known, column + 2] = since[is_known] - every[is_known]
    described[:, column + len(CLOCK_FEATURES) :] = items[own]
    return described


def _describe_taken(
    described: Floats, places: npt.NDArray[np.intp], days: npt.NDArray[np.int64], until: int
) -> None:
    """Fill `TAKEN_FEATURES` and `PERSON_FEATURES`. places, days: of target events, by time."""
    if not len(places):
        return
    is_next = np.diff(days) > 0
    basket = np.append(0, np.cumsum(is_next))
    n_baskets = int(basket[-1]) + 1
    of_baskets = days[np.append(True, is_next)]
    pairs = np.unique(places * n_baskets + basket)
    place, basket = np.divmod(pairs, n_baskets)
    starts = np.flatnonzero(np.append(True, np.diff(place) > 0))
    ends = np.append(starts[1:], len(place)) - 1
    taken, counts = place[starts], ends - starts + 1
    since, age_days = n_baskets - 1 - basket, until - of_baskets[basket]
    decays = np.exp2(
        np.concatenate(
            [since[:, None] / BASKET_DECAYS, age_days[:, None] / DAY_DECAYS],
            axis=1,
        )
    )
    decayed = np.log(np.add.reduceat(decays, starts, axis=0) + FLOOR)
    gap = float(of_baskets[-1] - of_baskets[0]) / max(n_baskets - 1, 1)
    span = (of_baskets[basket[ends]] - of_baskets[basket[starts]]) / np.maximum(counts - 1, 1)
    days_since, interval = age_days[ends], np.log1p(span)
    described[taken, : len(TAKEN_FEATURES)] = np.column_stack(
        [
            np.log1p(counts),
            counts / n_baskets,
            counts / (n_baskets - basket[starts]),
            np.log1p(since[ends]),
            np.log1p(days_since),
            decayed,
            interval,
            interval - np.log1p(days_since + gap),
        ]
    )
    column = N_FEATURES - len(ITEM_FEATURES) - len(CLOCK_FEATURES) - len(PERSON_FEATURES)
    described[:, column : column + 3] = np.log1p(n_baskets), np.log1p(gap), np.log(len(pairs) / n_baskets)


BASKET_DECAYS = -np.array(BASKET_HALF_LIVES)
DAY_DECAYS = -np.array(DAY_HALF_LIVES)
