"""Answers when time or a part runs out: the last good answer, else what is popular in the segment, else in the shop.

Each tier is a ranked list and respects the masks. The first tier that can fill the answer gives it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from models.history import EncodedHistory
from models.student import Floats
from service.bundles.serving import Indices, ServingBundle
from service.contract.schemas import Tier
from service.scoring.masks import Masks


class Ranking(NamedTuple):
    """item_indices: (n_items,) best first. scores: (n_items,). tier: the tier that ranked them."""

    item_indices: Indices
    scores: Floats
    tier: Tier


class LastGoodAnswers:
    """Keeps the student's last answer to each of the `max_people` people who asked last."""

    def __init__(self, max_people: int) -> None:
        self._max_people = max_people
        self._answers: OrderedDict[str, tuple[str, Ranking]] = OrderedDict()

    def keep(self, user_id: str, version: str, ranking: Ranking) -> None:
        """Keep an answer; its item indices belong to this bundle version."""
        self._answers[user_id] = (version, ranking._replace(tier="last_good"))
        self._answers.move_to_end(user_id)
        if len(self._answers) > self._max_people:
            self._answers.popitem(last=False)

    def forget(self, user_id: str) -> bool:
        """Drop a person's answer; return whether there was one."""
        return self._answers.pop(user_id, None) is not None

    def find(self, user_id: str | None, version: str) -> Ranking | None:
        """Return the last answer that was made with this bundle version, if there is one."""
        kept = self._answers.get(user_id) if user_id is not None else None
        return kept[1] if kept is not None and kept[0] == version else None


def fall_back(
    serving: ServingBundle, last_good: Ranking | None, events: EncodedHistory, masks: Masks, limit: int
) -> Ranking:
    """Answer without the student. events: the person's known events, which decide their segment."""
    in_segment = _popular_in_segment(serving, events)
    for ranking in (last_good, in_segment):
        if ranking is not None:
            chosen = masks.first_allowed(ranking.item_indices, limit)
            if len(chosen) == limit:
                return Ranking(ranking.item_indices[chosen], ranking.scores[chosen], ranking.tier)
    popular = serving.popular[masks.first_allowed(serving.popular, limit)]
    return Ranking(popular, serving.items.popularity[popular], "popular")


def _popular_in_segment(serving: ServingBundle, events: EncodedHistory) -> Ranking | None:
    """Rank the popular items of the segment that holds most of the events; ties go to the lower segment."""
    segments = serving.items.segments[events.item_rows - 1]
    segments = segments[segments >= 0]
    if not len(segments):
        return None
    ranked = serving.items.segment_popular[np.bincount(segments).argmax()]
    ranked = ranked[ranked >= 0]
    return Ranking(ranked, serving.items.popularity[ranked], "popular_segment")
