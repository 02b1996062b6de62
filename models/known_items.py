"""What a list does with a person's own items: one rule, by which models are measured and taught, and answers made."""

from __future__ import annotations

from typing import Literal, NamedTuple, assert_never

import numpy as np
import numpy.typing as npt

from models.history import EventKind, History

KnownItemsRule = Literal["rank", "leave_out_bought", "leave_out_touched"]
"""rank: own items are candidates like all others. leave_out_bought: without what the person bought, or whatever the
target is, and what they disliked or sent back. leave_out_touched: without all items that they have an event with."""

ShopsRule = Literal["rank", "leave_out_bought"]
"""The rules that a bundle may have for requests that name none."""


class OwnItems(NamedTuple):
    """A rule and what it is about. target: an `EventKind`."""

    rule: KnownItemsRule
    target: int

    def left_out(self, history: History) -> npt.NDArray[np.int32]:
        """Return the own items that are no answers; see `left_out_items`."""
        return left_out_items(history, self.rule, self.target)


def left_out_items(history: History, rule: KnownItemsRule, target: int) -> npt.NDArray[np.int32]:
    """Return the own items that a rule leaves out, each once, rising; (n_left_out,). target: an `EventKind`."""
    match rule:
        case "rank":
            return history.item_indices[:0]
        case "leave_out_bought":
            return settled_items(history, target)
        case "leave_out_touched":
            return np.unique(history.item_indices)
        case _:
            assert_never(rule)


def settled_items(history: History, target: int) -> npt.NDArray[np.int32]:
    """Return the items that a person is done with if nothing comes back: with a target event, or a dislike."""
    is_settled = (history.kinds == target) | (history.kinds == EventKind.DISLIKE)
    return np.unique(history.item_indices[is_settled])
