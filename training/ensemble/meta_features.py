"""What a combining strategy sees of each (person, item) pair.

Per member: the score standardised over the person's unseen items, minus log(1 + rank) among them, and whether
the member had no opinion. Beside them a few plain features of the item and the person. Everything is computed
from the past alone, so it is the same while the ensemble is fitted, while it teaches and while it is measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.history import SECONDS_PER_DAY, History
from training.data.dataset import Interactions
from training.members.member import Floats
from training.members.popularity import decayed_popularity

PLAIN_FEATURES = (
    "log_popularity_7d",
    "log_popularity_30d",
    "log_popularity_all",
    "item_idle_log_days",
    "item_age_log_days",
    "history_log_length",
)


@dataclass(frozen=True)
class ItemFeatures:
    """Plain features of items at a moment; values (n_items, n_item_features) float32, until in Unix seconds."""

    values: Floats
    until: int

    @staticmethod
    def at(interactions: Interactions) -> ItemFeatures:
        """Popularity over three horizons, days since the last event and since the first, logged."""
        histories, n_items, until = interactions.histories, interactions.n_items, interactions.until
        last_seen = np.full(n_items, until - 3650 * int(SECONDS_PER_DAY))
        np.maximum.at(last_seen, histories.item_indices, histories.times)
        first_seen = np.minimum(interactions.catalogue.first_seen, until)
        columns = [
            np.log1p(decayed_popularity(interactions, half_life_days))
            for half_life_days in (7.0, 30.0, np.inf)
        ]
        columns += [np.log1p((until - moment) / SECONDS_PER_DAY) for moment in (last_seen, first_seen)]
        return ItemFeatures(np.stack(columns, axis=1).astype(np.float32), until)

    def save(self, folder: Path) -> None:
        """Write them as one file."""
        np.savez(folder / "item_features.npz", values=self.values, until=self.until)

    @staticmethod
    def load(folder: Path) -> ItemFeatures:
        """Read what `save` wrote."""
        with np.load(folder / "item_features.npz") as arrays:
            return ItemFeatures(arrays["values"], int(arrays["until"]))


def feature_names(member_names: Sequence[str]) -> list[str]:
    """Names of the columns that `meta_features` makes, in order."""
    per_member = [f"{name}_{part}" for name in member_names for part in ("z", "rank", "missing")]
    return [*per_member, *PLAIN_FEATURES]


def meta_features(
    scores: Mapping[str, Floats], histories: Sequence[History], item_features: ItemFeatures
) -> Floats:
    """Describe every (person, item) pair; (n_people, n_items, n_features) float32, no NaN.

    scores: per member (n_people, n_items), NaN where it has no opinion. Items of the history are left out of
    means and ranks, and their rows mean nothing: they are masked wherever scores are used.
    """
    n_people, n_items = len(histories), len(item_features.values)
    n_features = 3 * len(scores) + len(PLAIN_FEATURES)
    features = np.empty((n_people, n_items, n_features), np.float32)
    is_seen = seen_mask(histories, n_items)
    for position, member_scores in enumerate(scores.values()):
        opinions = np.where(is_seen, np.nan, member_scores)
        features[:, :, 3 * position] = _standardised(opinions)
        features[:, :, 3 * position + 1] = -np.log1p(_ranks(opinions))
        features[:, :, 3 * position + 2] = np.isnan(opinions)
    n_item_features = item_features.values.shape[1]
    first = 3 * len(scores)
    features[:, :, first : first + n_item_features] = item_features.values
    # Not how long the person has been away: the student cannot know it, and it moves all items alike.
    features[:, :, first + n_item_features] = np.log1p([len(history) for history in histories])[:, None]
    return features


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
    filled = np.where(is_known, opinions, 0.0)
    mean = filled.sum(axis=1, keepdims=True) / n_known
    centred = np.where(is_known, filled - mean, 0.0)
    deviation = np.sqrt((centred**2).sum(axis=1, keepdims=True) / n_known)
    return (centred / np.maximum(deviation, 1e-6)).astype(np.float32)


def _ranks(opinions: Floats) -> npt.NDArray[np.int64]:
    """1 for a person's best item; NaN ranks last. (n_people, n_items)."""
    order = np.argsort(-np.nan_to_num(opinions, nan=-np.inf), axis=1)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, opinions.shape[1] + 1)[None, :], axis=1)
    return ranks
