"""The features of each (person, item) pair that a combining strategy sees.

Per member: the score standardised over the person's unseen items, minus log(1 + rank) among them, and whether
the member had no opinion (models/ensemble/opinions.py). Then a few plain features of the item and the person. All are
computed from the past alone, so they are the same while the ensemble is fitted, while it teaches, and while it is
measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.ensemble.opinions import Indices, Opinions
from models.history import BY_STRENGTH, SECONDS_PER_DAY, STRENGTHS, History, latest_places
from models.item_timeline import ITEM_FEATURES, ItemTimeline
from models.members.member import Floats
from models.members.recency import visit_numbers
from models.repeats import RepeatModel

MEMBER_FEATURES = ("z", "rank", "missing")
PERSON_FEATURES = (
    "history_log_length",
    "last_visit_log_length",
    "history_log_popularity",
    "last_visit_log_popularity",
)
OWN_FEATURES = (
    *(f"own_{kind.name.lower()}" for kind in BY_STRENGTH),
    "own_log_count",
    "own_log_recent",
    "own_log_days",
    "own_log_visits",
    "own_items_later",
    "own_in_last_visit",
    "own_log_odds",
)
"""What the person did with the item before: the strongest kind of event, how often, how often lately, how many days
and visits before the latest event, the share of the person's items that came later, and whether it was in the last
visit, and the log-odds that it is in the next basket (models/repeats.py); all 0 if nothing."""
RECENT_DAYS = 60.0
"""The half-life of an event in own_log_recent."""
PLAIN_FEATURES = (*ITEM_FEATURES, *PERSON_FEATURES, *OWN_FEATURES)
POPULARITY = ITEM_FEATURES.index("log_popularity_all")


def feature_names(member_names: Sequence[str]) -> list[str]:
    """Return the names of the columns that `meta_features` makes, in order."""
    per_member = [f"{name}_{part}" for name in member_names for part in MEMBER_FEATURES]
    return [*per_member, *PLAIN_FEATURES]


def are_own(features: Floats) -> npt.NDArray[np.bool_]:
    """Tell which described pairs are of items that the person did something with; (..., n_features) to (...,)."""
    first = features.shape[-1] - len(OWN_FEATURES)
    if first < 0:  # described in another way, of which nothing is known
        return np.zeros(features.shape[:-1], np.bool_)
    by_kind = features[..., first : first + len(BY_STRENGTH)]
    return np.asarray((by_kind > 0).any(axis=-1))


def member_columns(member_names: Sequence[str]) -> dict[str, list[int]]:
    """Return which columns of `meta_features` belong to each member."""
    width = len(MEMBER_FEATURES)
    return {
        name: list(range(width * position, width * (position + 1)))
        for position, name in enumerate(member_names)
    }


def meta_features(
    opinions: Sequence[Opinions],
    histories: Sequence[History],
    repeats: RepeatModel,
    items: Indices | None = None,
) -> Floats:
    """Describe (person, item) pairs, one member after the other; (n_people, n_asked, n_features) float32, no NaN.

    items: (n_people, n_asked), by default the whole catalogue. Items of the history are left out of means and ranks.
    """
    timeline = repeats.timeline
    n_asked = timeline.n_items if items is None else items.shape[1]
    width, first = len(MEMBER_FEATURES), len(MEMBER_FEATURES) * len(opinions)
    features = np.empty((len(histories), n_asked, first + len(PLAIN_FEATURES)), np.float32)
    for position, own in enumerate(opinions):
        features[:, :, width * position] = own.standardised(items)
        features[:, :, width * position + 1] = -np.log1p(own.ranks(items))
        features[:, :, width * position + 2] = own.is_missing(items)
    features[:, :, first : first + len(ITEM_FEATURES)] = timeline.at(histories, items)
    # How long the person has been away is no feature: the student cannot know it, and it moves all items alike.
    own_first = first + len(ITEM_FEATURES) + len(PERSON_FEATURES)
    of_people = person_features(histories, timeline)
    features[:, :, first + len(ITEM_FEATURES) : own_first] = of_people[:, None, :]
    features[:, :, own_first:] = 0.0
    for row, history in enumerate(histories):
        places, described = own_features(history, repeats, None if items is None else items[row])
        features[row, places, own_first:] = described
    return features


def own_features(
    history: History, repeats: RepeatModel, items: Indices | None = None
) -> tuple[npt.NDArray[np.intp], Floats]:
    """Describe a person's own items; return their places (n,) and `OWN_FEATURES` (n, n_features) float32.

    items: (n_asked,), of which places are; None for the whole catalogue.
    """
    distinct, counts = history.counted()
    described = np.zeros((len(distinct), len(OWN_FEATURES)), np.float32)
    if len(distinct):
        described[np.arange(len(distinct)), STRENGTHS[distinct.kinds]] = 1.0
        recent, visits_since = _lately(history, distinct)
        described[:, len(BY_STRENGTH) :] = np.stack(
            [
                np.log(counts),
                np.log1p(recent),
                np.log1p((history.times[-1] - distinct.times) / SECONDS_PER_DAY),
                np.log1p(visits_since),
                1.0 - (1 + np.arange(len(distinct))) / len(distinct),
                visits_since == 0,
                repeats.log_odds(history, distinct),
            ],
            axis=1,
        )
    if items is None:
        return distinct.item_indices.astype(np.intp), described
    order = np.argsort(distinct.item_indices)
    known = distinct.item_indices[order]
    found = np.searchsorted(known, items)
    is_own = found < len(known)
    is_own[is_own] = known[found[is_own]] == np.asarray(items)[is_own]
    places = np.flatnonzero(is_own)
    return places, described[order[found[places]]]


def person_features(histories: Sequence[History], timeline: ItemTimeline) -> Floats:
    """Return how long the history and its last visit are, and how popular their items; (n_people, 4) float32.

    An item counts once, at its latest event: bundles and caches keep no more of a history.
    """
    features = np.zeros((len(histories), len(PERSON_FEATURES)), np.float32)
    moments = timeline.rows(histories)
    for row, history in enumerate(each.distinct() for each in histories):
        if len(history):
            popularity = timeline.values[moments[row], :, POPULARITY].astype(np.float32)
            numbers = visit_numbers(history)
            last_visit = history.item_indices[numbers == numbers[-1]]
            features[row] = (
                np.log1p(len(history)),
                np.log1p(len(last_visit)),
                popularity[history.item_indices].mean(),
                popularity[last_visit].mean(),
            )
    return features


def _lately(history: History, distinct: History) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return how often each distinct item was touched lately, and how many visits came since; (n_items,) both.

    Only the events count that stand for an item, and of these those that a bundle or a cache keeps.
    """
    visits = visit_numbers(history)
    order = np.argsort(distinct.item_indices)
    place = order[np.searchsorted(distinct.item_indices[order], history.item_indices)]
    registers = history.item_indices.astype(np.int64) << 3 | history.kinds
    kept = latest_places(registers, history.times)
    kept = kept[history.kinds[kept] == distinct.kinds[place[kept]]]
    age_days = (history.times[-1] - history.times[kept]) / SECONDS_PER_DAY
    recent = np.bincount(place[kept], np.exp2(-age_days / RECENT_DAYS), len(distinct))
    last_visit = np.zeros(len(distinct), np.int64)
    np.maximum.at(last_visit, place[kept], visits[kept])
    return np.asarray(recent, np.float64), np.asarray(visits[-1] - last_visit, np.int64)


def consensus(opinions: Sequence[Opinions]) -> Floats:
    """Return the members' mean standardised score, a first opinion without a strategy; (n_people, n_items)."""
    total = opinions[0].standardised()
    for own in opinions[1:]:
        total += own.standardised()
    total /= np.float32(len(opinions))
    return total


def seen_mask(histories: Sequence[History], n_items: int) -> npt.NDArray[np.bool_]:
    """Tell which items each person has touched; (n_people, n_items)."""
    mask = np.zeros((len(histories), n_items), np.bool_)
    for row, history in enumerate(histories):
        mask[row, history.item_indices] = True
    return mask
