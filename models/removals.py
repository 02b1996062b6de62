"""What taking an item out of the cart undoes: the one rule for live histories and for those of training.

A removal undoes each cart event of its item that came before it, by time and then by arrival, and nothing else: a
view or a purchase of the item stays. No model sees removals. Since the rule considers moments only, the portions in
which events were sent or learnt do not matter.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from models.history import EventKind

REMOVAL: Final = 5
"""The kind code of a removal, besides those of `EventKind`: stored events may have it, but no model sees it."""


def standing(
    subjects: npt.NDArray[np.integer],
    kinds: npt.NDArray[np.uint8],
    times: npt.NDArray[np.integer],
    arrivals: npt.NDArray[np.integer],
) -> npt.NDArray[np.bool_]:
    """Tell which of (n_events,) events a model may see; False for removals and for carts that one of them undoes.

    subjects: any integers that are equal where person and item are the same. kinds: `EventKind` codes and `REMOVAL`.
    times: Unix seconds. arrivals: these order events of one second; where they are equal too, the given order counts.
    """
    is_removal = kinds == REMOVAL
    stands = ~is_removal
    if not is_removal.any():
        return stands
    places = np.flatnonzero(is_removal | (kinds == EventKind.CART))  # no other event undoes or is undone
    order = places[
        np.lexsort((arrivals[places], times[places], subjects[places]))
    ]  # stable, so places break ties
    last_removals = np.where(is_removal[order], np.arange(len(order)), -1)
    is_first = np.append(True, subjects[order][1:] != subjects[order][:-1])
    groups = np.cumsum(is_first) - 1
    last_of_group = np.maximum.reduceat(last_removals, np.flatnonzero(is_first))
    stands[order[np.arange(len(order)) < last_of_group[groups]]] = False
    return stands
