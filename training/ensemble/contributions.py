"""What each member contributes to the ensemble's opinion of an item: the logit that is lost when it is silent.

A silent member puts no item above another: its standardised score is 0 and its rank the person's mean. Any strategy
can be asked so; it scores the pair again. Whether the member has an opinion at all stays as it is: members that know
the same events lack opinions of the same items, and one that lacks its opinion alone is nothing a strategy has seen.
(On Online Retail ALS, whose permutation costs the ensemble most, would then contribute less than nothing.)
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
    """Logits lost without each member; (n_people, n_items, n_members) float32, negative where it speaks against.

    item_indices: (n_people, n_items), some items of each person that were not seen. For a chunk of people at a time:
    members score the whole catalogue, the strategy is asked 1 + n_members times about the chosen items.
    """
    groups = member_columns([member.name for member in ensemble.members])
    opinions = ensemble.opinions(histories)
    asked = meta_features(opinions, histories, ensemble.timeline, item_indices)
    is_unseen = ~seen_mask(histories, ensemble.n_items)
    whole = ensemble.strategy.logit(asked)
    without = [
        ensemble.strategy.logit(_silenced(asked, columns, _means(-np.log1p(own.ranks()), is_unseen)))
        for columns, own in zip(groups.values(), opinions, strict=True)
    ]
    return np.asarray(whole[:, :, None] - np.stack(without, axis=2), np.float32)


def _silenced(features: Floats, columns: Sequence[int], mean_ranks: Floats) -> Floats:
    """A copy of features (n_people, n_items, n_features) in which the member of these columns is silent."""
    silent = features.copy()
    silent[:, :, columns[Z]] = 0
    silent[:, :, columns[RANK]] = mean_ranks[:, None]
    return silent


def _means(ranks: Floats, is_unseen: npt.NDArray[np.bool_]) -> Floats:
    """A rank feature's mean over what each person has not seen; both (n_people, n_catalogue) to (n_people,)."""
    n_unseen = np.maximum(is_unseen.sum(axis=1), 1)
    return np.asarray(np.where(is_unseen, ranks, 0).sum(axis=1) / n_unseen, np.float32)
