"""Measure each member's contribution to the ensemble's logit of an item: the logit that is lost without the member.

A member is silenced by making it prefer no item: its standardised score becomes 0, and its rank the person's mean.
This works with any strategy, which scores the pair again. Whether the member has an opinion at all is not changed:
members that know the same events lack opinions of the same items, and no strategy has seen a member that lacks its
opinion alone. (On Online Retail, ALS, whose permutation costs the ensemble most, would then contribute a negative
amount.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.ensemble.meta_features import MEMBER_FEATURES, member_columns, meta_features, seen_mask
from models.history import History
from training.ensemble.ensemble import Ensemble, Items
from training.members.member import Floats

Z, RANK = (MEMBER_FEATURES.index(name) for name in ("z", "rank"))


def member_contributions(ensemble: Ensemble, histories: Sequence[History], item_indices: Items) -> Floats:
    """Return the logits lost without each member; (n_people, n_items, n_members) float32, < 0 if it speaks against.

    item_indices: (n_people, n_items), some items of each person. Call it with a chunk of people at a time:
    each member scores the whole catalogue, and the strategy scores the chosen items 1 + n_members times.
    """
    groups = member_columns([member.name for member in ensemble.members])
    opinions = ensemble.opinions(histories)
    features = meta_features(opinions, histories, ensemble.repeats, item_indices)
    is_unseen = ~seen_mask(histories, ensemble.n_items)
    whole = ensemble.strategy.logit(features)
    without = [
        ensemble.strategy.logit(_silenced(features, columns, _means(-np.log1p(own.ranks()), is_unseen)))
        for columns, own in zip(groups.values(), opinions, strict=True)
    ]
    return np.asarray(whole[:, :, None] - np.stack(without, axis=2), np.float32)


def _silenced(features: Floats, columns: Sequence[int], mean_ranks: Floats) -> Floats:
    """Return a copy of features (n_people, n_items, n_features) in which the member of these columns is silent."""
    silent = features.copy()
    silent[:, :, columns[Z]] = 0
    silent[:, :, columns[RANK]] = mean_ranks[:, None]
    return silent


def _means(ranks: Floats, is_unseen: npt.NDArray[np.bool_]) -> Floats:
    """Average a rank feature over each person's unseen items; (n_people, n_catalogue) in, (n_people,) out."""
    n_unseen = np.maximum(is_unseen.sum(axis=1), 1)
    return np.asarray(np.where(is_unseen, ranks, 0).sum(axis=1) / n_unseen, np.float32)
