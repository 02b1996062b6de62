"""What a combining strategy sees of each (person, item) pair.

Per member: the score standardised over the person's unseen items, minus log(1 + rank) among them, and whether
the member had no opinion. Beside them a few plain features of the item and the person. Everything is computed
from the past alone, so it is the same while the ensemble is fitted, while it teaches and while it is measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from models.history import History
from training.ensemble.item_timeline import ITEM_FEATURES, ItemTimeline
from training.members.member import Floats
from training.members.recency import visit_numbers

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
    """Names of the columns that `meta_features` makes, in order."""
    per_member = [f"{name}_{part}" for name in member_names for part in MEMBER_FEATURES]
    return [*per_member, *PLAIN_FEATURES]


def member_columns(member_names: Sequence[str]) -> dict[str, list[int]]:
    """Which columns of `meta_features` belong to each member."""
    width = len(MEMBER_FEATURES)
    return {
        name: list(range(width * position, width * (position + 1)))
        for position, name in enumerate(member_names)
    }


def meta_features(
    scores: Mapping[str, Floats], histories: Sequence[History], timeline: ItemTimeline
) -> Floats:
    """Describe every (person, item) pair; (n_people, n_items, n_features) float32, no NaN.

    scores: per member (n_people, n_items), NaN where it has no opinion. Items of the history are left out of
    means and ranks, and their rows mean nothing: they are masked wherever scores are used.
    """
    n_people, n_items = len(histories), timeline.n_items
    width, first = len(MEMBER_FEATURES), len(MEMBER_FEATURES) * len(scores)
    features = np.empty((n_people, n_items, first + len(PLAIN_FEATURES)), np.float32)
    is_seen = seen_mask(histories, n_items)
    for position, member_scores in enumerate(scores.values()):
        opinions = np.where(is_seen, np.nan, member_scores)
        features[:, :, width * position] = _standardised(opinions)
        features[:, :, width * position + 1] = -np.log1p(_ranks(opinions))
        features[:, :, width * position + 2] = np.isnan(opinions)
    features[:, :, first : first + len(ITEM_FEATURES)] = timeline.at(histories)
    # Not how long the person has been away: the student cannot know it, and it moves all items alike.
    features[:, :, first + len(ITEM_FEATURES) :] = person_features(histories, timeline)[:, None, :]
    return features


def person_features(histories: Sequence[History], timeline: ItemTimeline) -> Floats:
    """How long the history and its last visit are, and how popular their items; (n_people, 4) float32."""
    features = np.zeros((len(histories), len(PERSON_FEATURES)), np.float32)
    moments = timeline.rows(histories)
    for row, history in enumerate(histories):
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


def consensus(features: Floats, n_members: int) -> Floats:
    """The members' mean standardised score, a strategy-free first opinion; (n_people, n_items) of meta-features."""
    width = len(MEMBER_FEATURES)
    return np.asarray(features[:, :, 0 : width * n_members : width].mean(axis=2))


def seen_mask(histories: Sequence[History], n_items: int) -> npt.NDArray[np.bool_]:
    """Which items each person has touched; (n_people, n_items)."""
    mask = np.zeros((len(histories), n_items), np.bool_)
    for row, history in enumerate(histories):
        mask[row, history.item_indices] = True
    return mask


def _standardised(opinions: Floats) -> Floats:
    """Per person to mean 0 and deviation 1 over what is not NaN; NaN becomes 0. (n_people, n_items)."""
    is_known = ~np.isnan(opinions)
    n_known = np.maximum(is_known.sum(axis=1, keepdims=True), 1)
    filled = np.where(is_known, opinions, np.float32(0.0))
    mean = filled.sum(axis=1, keepdims=True) / n_known
    centred = np.where(is_known, filled - mean, 0.0)
    deviation = np.sqrt((centred**2).sum(axis=1, keepdims=True) / n_known)
    return (centred / np.maximum(deviation, 1e-6)).astype(np.float32)


def _ranks(opinions: Floats) -> npt.NDArray[np.int32]:
    """1 for a person's best item; NaN ranks last. (n_people, n_items)."""
    order = np.argsort(-np.nan_to_num(opinions, nan=-np.inf), axis=1)
    ranks = np.empty(order.shape, np.int32)
    np.put_along_axis(ranks, order, np.arange(1, opinions.shape[1] + 1, dtype=np.int32)[None, :], axis=1)
    return ranks
