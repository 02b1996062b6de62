"""What a removal from the cart and a return undo: the one rule for live histories and for those of training.

A removal undoes each cart event of its item that came before it, by time and then by arrival, and nothing else: a
view or a purchase of the item stays. No model sees removals.

A return undoes the last purchase of its item before it, or in its second, that no earlier return undid. To a model it
is a dislike at the moment of the return; one that undoes nothing is not seen. How many pieces went back is known in
training alone (training/data/returns.py).

Since the rule considers moments only, the portions in which events were sent or learnt do not matter.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from models.history import EventKind

REMOVAL: Final = 5
"""The kind code of a removal, besides those of `EventKind`: stored events may have it, but no model sees it."""
RETURN: Final = 7
"""The kind code of a return, likewise; `as_seen` says what models see of it."""


def as_seen(kinds: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the kinds of events that stand as models see them; (n_events,)."""
    return np.where(kinds == RETURN, np.uint8(EventKind.DISLIKE), kinds)


def standing(
    subjects: npt.NDArray[np.integer],
    kinds: npt.NDArray[np.uint8],
    times: npt.NDArray[np.integer],
    arrivals: npt.NDArray[np.integer],
) -> npt.NDArray[np.bool_]:
    """Tell which of (n_events,) events a model may see: not removals, nor what they or returns undo, nor returns of
    nothing.

    subjects: any integers that are equal where person and item are the same. kinds: `EventKind` codes, `REMOVAL` and
    `RETURN`. times: Unix seconds. arrivals: these order carts and removals of one second; where they are equal too,
    the given order counts.
    """
    stands = kinds != REMOVAL
    if not stands.all():
        _undo_carts(stands, subjects, kinds, times, arrivals)
    if (kinds == RETURN).any():
        _undo_purchases(stands, subjects, kinds, times)
    return stands


def _undo_carts(
    stands: npt.NDArray[np.bool_],
    subjects: npt.NDArray[np.integer],
    kinds: npt.NDArray[np.uint8],
    times: npt.NDArray[np.integer],
    arrivals: npt.NDArray[np.integer],
) -> None:
    """Write into stands which carts a removal undoes."""
    is_removal = kinds == REMOVAL
    places = np.flatnonzero(is_removal | (kinds == EventKind.CART))  # no other event undoes or is undone
    order = places[
        np.lexsort((arrivals[places], times[places], subjects[places]))
    ]  # stable, so places break ties
    last_removals = np.where(is_removal[order], np.arange(len(order)), -1)
    is_first = np.append(True, subjects[order][1:] != subjects[order][:-1])
    groups = np.cumsum(is_first) - 1
    last_of_group = np.maximum.reduceat(last_removals, np.flatnonzero(is_first))
    stands[order[np.arange(len(order)) < last_of_group[groups]]] = False


def _undo_purchases(
    stands: npt.NDArray[np.bool_],
    subjects: npt.NDArray[np.integer],
    kinds: npt.NDArray[np.uint8],
    times: npt.NDArray[np.integer],
) -> None:
    """Write into stands which purchases a return undoes, and which returns undo nothing."""
    is_return = kinds == RETURN
    are_paired = (is_return | (kinds == EventKind.PURCHASE)) & np.isin(subjects, subjects[is_return])
    places = np.flatnonzero(are_paired)
    order = places[np.lexsort((is_return[places], times[places], subjects[places]))]
    subject, bought = None, list[int]()
    for place in order.tolist():
        if subjects[place] != subject:
            subject, bought = subjects[place], []
        if not is_return[place]:
            bought.append(place)
        elif bought:
            stands[bought.pop()] = False
        else:
            stands[place] = False
