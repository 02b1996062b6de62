"""Find out whether a shop's people take items again, which decides what a list does with their own items.

Milk comes back, and films do not: where nothing does, a list that asks for worth alone wastes places on what a person
has, and models that are asked about it learn less of what is new.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from models.history import EventKind
from models.known_items import ShopsRule
from models.members.recency import visit_numbers_of_all
from models.packed_histories import Histories
from training.data.dataset import people_of_events
from training.data.split import Split, only_new_items

MIN_SHARE_AGAIN: Final = 0.01
"""The share of later targets that were taken before, below which nothing comes back."""
MIN_LATER: Final = 200
"""The fewest targets in later visits to tell by; with fewer, own items stay candidates."""


def share_taken_again(histories: Histories, target: EventKind) -> float | None:
    """Return the share of targets that the person had taken in an earlier visit, of those after each first visit.

    An item counts once a visit. None if there are fewer than `MIN_LATER`.
    """
    is_target = histories.kinds == target
    people, items = people_of_events(histories)[is_target], histories.item_indices[is_target].astype(np.int64)
    pairs = people * (int(items.max(initial=0)) + 1) + items
    order = np.argsort(pairs, kind="stable")  # the visits of a pair stay in their order
    pairs, people, visits = pairs[order], people[order], visit_numbers_of_all(histories)[is_target][order]
    is_same_pair = np.append(False, pairs[1:] == pairs[:-1])
    is_counted = ~is_same_pair | np.append(False, visits[1:] > visits[:-1])
    first_visits = np.full(len(histories), np.iinfo(np.int64).max)
    np.minimum.at(first_visits, people, visits)
    n_later = int((is_counted & (visits > first_visits[people])).sum())
    return int((is_counted & is_same_pair).sum()) / n_later if n_later >= MIN_LATER else None


def rule_of(split: Split) -> ShopsRule:
    """Choose what lists do with own items, by what models learn from."""
    share = share_taken_again(split.past_and_validation.histories, split.dataset.target)
    return "rank" if share is None or share >= MIN_SHARE_AGAIN else "leave_out_bought"


def asking_as_lists_answer(split: Split, rule: ShopsRule) -> Split:
    """Ask about what lists under this rule can answer."""
    if rule == "rank":
        return split
    validation, test = (only_new_items(each, rule) for each in (split.validation, split.test))
    return replace(split, validation=validation, test=test)
