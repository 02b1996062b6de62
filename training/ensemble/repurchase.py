"""Learn how often each item is bought again: from the items' own intervals, drawn towards their categories'.

Empirical Bayes by the method of moments: the logarithms of intervals vary within an item (among people and times) and
between items of a category; an item with few intervals is believed as far as its category says. The same holds for
the share of buyers who bought again. Intervals still open at the end of the data are not counted, so that long ones
are rarer here than they are in a shop's life.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from models.history import SECONDS_PER_DAY
from models.packed_histories import Histories
from models.repurchase import RepurchaseClock
from training.data.dataset import Dataset
from training.quality.schema import BoughtAgain

MIN_INTERVALS: Final = 3
"""The fewest intervals of an item, or of its category, from which a length is told."""
MIN_VARIANCE: Final = 1e-3
MAX_TOLD: Final = 20
PRIOR_BUYERS: Final = 10.0
"""How many buyers the share of an item's category stands for."""

Doubles = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]


class Intervals(NamedTuple):
    """All that was bought again. items: (n,) item_index; log_days: (n,). buyers, returning: (n_items,) people."""

    items: npt.NDArray[np.int64]
    log_days: Doubles
    buyers: Doubles
    returning: Doubles


def fit_clock(histories: Histories, target: int, categories: Codes, n_items: int) -> RepurchaseClock:
    """Fit the clock. target: the kind of event that is a purchase. categories: (n_items,) codes, -1 for none."""
    found = intervals_of(histories, target, n_items)
    groups = categories.astype(np.int64) + 1
    n_groups = int(groups.max(initial=0)) + 1
    of_item = np.bincount(found.items, minlength=n_items)
    means = _means(found.items, found.log_days, n_items)
    within = max(_variance(found.log_days, means[found.items]), MIN_VARIANCE)
    of_group = np.bincount(groups[found.items], minlength=n_groups)
    group_means = _means(groups[found.items], found.log_days, n_groups)
    everything = float(found.log_days.mean()) if len(found.log_days) else np.nan
    group_means = np.where(of_group >= MIN_INTERVALS, group_means, everything)
    prior = group_means[groups]
    has_own = of_item > 0
    spread = means[has_own] - prior[has_own]
    between = float((spread**2 - within / of_item[has_own]).mean()) if has_own.any() else 0.0
    strength = within / max(between, MIN_VARIANCE)
    log_days = (strength * prior + of_item * np.where(has_own, means, 0.0)) / (strength + of_item)
    is_known = (of_item >= MIN_INTERVALS) | (of_group[groups] >= MIN_INTERVALS)
    group_buyers = np.bincount(groups, found.buyers, minlength=n_groups)
    group_share = np.bincount(groups, found.returning, minlength=n_groups) / np.maximum(group_buyers, 1)
    shares = (PRIOR_BUYERS * group_share[groups] + found.returning) / (PRIOR_BUYERS + found.buyers)
    return RepurchaseClock(
        np.where(is_known, log_days, np.nan).astype(np.float32),
        shares.astype(np.float32),
        np.array([strength], np.float32),
    )


def bought_again(dataset: Dataset) -> dict[str, BoughtAgain]:
    """Tell what comes back in each of the `MAX_TOLD` most bought categories, the most bought first; {} if none is."""
    categories = np.array(dataset.catalogue.categories, object)
    found = intervals_of(dataset.histories, dataset.target, len(categories))
    table = {}
    for name in sorted({category for category in categories if category is not None}):
        own = categories == name
        n_buyers = int(found.buyers[own].sum())
        if n_buyers:
            lengths = np.exp(found.log_days[own[found.items]])
            days = round(float(np.median(lengths)), 1) if len(lengths) else None
            table[name] = BoughtAgain(n_buyers, float(found.returning[own].sum() / n_buyers), days)
    return dict(sorted(table.items(), key=lambda row: -row[1].n_buyers)[:MAX_TOLD])


def intervals_of(histories: Histories, target: int, n_items: int) -> Intervals:
    """Return the intervals between purchases of one item by one person, on different days."""
    people = np.repeat(np.arange(len(histories)), np.diff(histories.offsets))
    is_target = histories.kinds == target
    pairs = people[is_target] * np.int64(n_items) + histories.item_indices[is_target]
    days = histories.times[is_target].astype(np.int64) // SECONDS_PER_DAY
    order = np.lexsort((days, pairs))
    pairs, days = pairs[order], days[order]
    is_same = np.diff(pairs, prepend=-1) == 0
    gaps = np.diff(days, prepend=0)
    is_again = is_same & (gaps > 0)
    items = pairs % n_items
    buyers = np.bincount(items[~is_same], minlength=n_items).astype(np.float64)
    returning = np.bincount(np.unique(pairs[is_again]) % n_items, minlength=n_items).astype(np.float64)
    return Intervals(items[is_again], np.log(gaps[is_again]), buyers, returning)


def _means(rows: npt.NDArray[np.int64], values: Doubles, n_rows: int) -> Doubles:
    """Return the mean of the values of each row, NaN where there is none; (n_rows,)."""
    counts = np.bincount(rows, minlength=n_rows)
    total = np.bincount(rows, values, minlength=n_rows)
    return np.divide(total, counts, out=np.full(n_rows, np.nan), where=counts > 0)


def _variance(values: Doubles, means: Doubles) -> float:
    return float(((values - means) ** 2).mean()) if len(values) else 0.0
