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

from models.ensemble.item_timeline import ITEM_FEATURES, ItemTimeline
from models.ensemble.opinions import Indices, Opinions
from models.history import History
from models.members.member import Floats
from models.members.recency import visit_numbers

MEMBER_FEATURES = ("z", "rank", "missing")
PERSON_FEATURES = (
    "history_log_length",
    "last_visit_log_length",
    "history_log_popularity",
    "last_visit_log_popularity",
)
PLAIN_FEATURES = (*ITEM_FEATURES, *PERSON_FEATURES)
POPULARITY = ITEM_FEATURES.index("log_popularity_all")


def feature_names(member_names: Sequence[str]) -> list[str]:
    """Return the names of the columns that `meta_features` makes, in order."""
    per_member = [f"{name}_{part}" for name in member_names for part in MEMBER_FEATURES]
    return [*per_member, *PLAIN_FEATURES]


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
    timeline: ItemTimeline,
    items: Indices | None = None,
) -> Floats:
    """Describe (person, item) pairs, one member after the other; (n_people, n_asked, n_features) float32, no NaN.

    items: (n_people, n_asked), by default the whole catalogue. Items of the history are left out of means and ranks,
    and their own features mean nothing: they are masked wherever scores are used.
    """
    n_asked = timeline.n_items if items is None else items.shape[1]
    width, first = len(MEMBER_FEATURES), len(MEMBER_FEATURES) * len(opinions)
    features = np.empty((len(histories), n_asked, first + len(PLAIN_FEATURES)), np.float32)
    for position, own in enumerate(opinions):
        features[:, :, width * position] = own.standardised(items)
        features[:, :, width * position + 1] = -np.log1p(own.ranks(items))
        features[:, :, width * position + 2] = own.is_missing(items)
    features[:, :, first : first + len(ITEM_FEATURES)] = timeline.at(histories, items)
    # How long the person has been away is no feature: the student cannot know it, and it moves all items alike.
    features[:, :, first + len(ITEM_FEATURES) :] = person_features(histories, timeline)[:, None, :]
    return features


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
