"""What taking an item out of the cart undoes: the one rule, for histories that are live and for those of training.

A removal undoes each cart event of its item that came before it, by time and then by arrival, and nothing else: a
view or a purchase of the item stays. Removals reach no model themselves. Since the rule looks at moments only, it
does not matter in which portions events were sent or learnt.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from models.history import EventKind

REMOVAL: Final = len(EventKind)
"""The kind code of a removal, beside those of `EventKind`: what is stored of people may hold it, no model sees it."""


def standing(
    subjects: npt.NDArray[np.integer],
    kinds: npt.NDArray[np.uint8],
    times: npt.NDArray[np.integer],
    arrivals: npt.NDArray[np.integer],
) -> npt.NDArray[np.bool_]:
    """Which of (n_events,) events a model may see; False for removals and for carts that one of them undoes.

    subjects: equal where person and item are the same, any integers. kinds: `EventKind` codes and `REMOVAL`. times:
    Unix seconds. arrivals: order events of one second; where these are equal too, the order given counts.
    """
    is_removal = kinds == REMOVAL
    stands = ~is_removal
    if not is_removal.any():
        return stands
    places = np.flatnonzero(is_removal | (kinds == EventKind.CART))  # nothing else is undone or undoes
    order = places[
        np.lexsort((arrivals[places], times[places], subjects[places]))
    ]  # stable, so places break ties
    last_removals = np.where(is_removal[order], np.arange(len(order)), -1)
    is_first = np.append(True, subjects[order][1:] != subjects[order][:-1])
    groups = np.cumsum(is_first) - 1
    last_of_group = np.maximum.reduceat(last_removals, np.flatnonzero(is_first))
    stands[order[np.arange(len(order)) < last_of_group[groups]]] = False
    return stands
