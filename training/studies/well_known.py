"""What each model puts beside well-known items: the look by eye that no metric replaces.

A model is asked about somebody who did one thing: they took the item. What it ranks first beside the item itself is
what it takes for alike, or for wanted next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from models.history import Event, History
from training.data.dataset import Interactions
from training.metrics.protocols import ScoreFunction
from training.quality.schema import WellKnownItem

N_ITEMS: Final = 12
"""The number of items that are asked about: those that most people took."""
N_NEAREST: Final = 3
"""How many items of each model are shown beside one."""


def beside_well_known(scores: Mapping[str, ScoreFunction], interactions: Interactions) -> list[WellKnownItem]:
    """Return the items that most people took, from the most on, and what each model ranks first beside each.

    scores: by the model's name. interactions: of these the items are counted, and the items are taken at their end;
    what may not be recommended is not named. Items that no model tells apart come in the order of the catalogue.
    """
    catalogue, target = interactions.catalogue, interactions.evidence.target
    n_people = np.zeros(interactions.n_items, np.int64)
    for history in interactions.histories:
        n_people[history.items_of(target)] += 1
    n_asked = min(N_ITEMS, int((n_people > 0).sum()))
    items = np.argsort(-n_people, kind="stable")[:n_asked]
    took_one = [History.from_events([Event(item, interactions.until - 1, target)]) for item in items.tolist()]
    nearest: list[dict[str, list[str]]] = [{} for _ in items]
    for name, score in scores.items():
        ranked = np.array(score(took_one), np.float64)
        ranked[:, ~catalogue.recommendable] = -np.inf
        ranked[np.arange(n_asked), items] = -np.inf
        for row, first in enumerate(np.argsort(-ranked, axis=1, kind="stable")[:, :N_NEAREST].tolist()):
            nearest[row][name] = [catalogue.titles[item] for item in first if np.isfinite(ranked[row, item])]
    return [
        WellKnownItem(catalogue.titles[item], int(n_people[item]), of_item)
        for item, of_item in zip(items.tolist(), nearest, strict=True)
    ]
