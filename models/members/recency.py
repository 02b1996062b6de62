"""Recency weights: the newest item of a history counts most, others less the more items and visits came after them.

What was done with an item counts, too: its weight is multiplied by that of its kind of event, the evidence.

Everything here works on all events at once, packed as in `Histories`: 25,000 people with a million events took 10
times as long one by one, with a Python object each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.history import N_KIND_CODES, STRENGTHS, VISIT_GAP_SECONDS, History
from models.packed_histories import Histories

Floats = npt.NDArray[np.float32]

ALIKE = np.ones(N_KIND_CODES, np.float32)
"""The evidence of a shop whose kinds of events all say as much."""
ALIKE.setflags(write=False)

EVENTS_AT_ONCE = 1_000_000
"""How many events are sorted together; a million take 60 MB meanwhile."""


@dataclass(frozen=True)
class RecencyWeights:
    """offsets: (n_people + 1,) int64. item_indices: (n,) int32, each item of a person once. weights: (n,) float32."""

    offsets: npt.NDArray[np.int64]
    item_indices: npt.NDArray[np.int32]
    weights: Floats

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def of(self, row: int) -> tuple[npt.NDArray[np.int32], Floats]:
        """Return one person's items and their weights."""
        span = slice(self.offsets[row], self.offsets[row + 1])
        return self.item_indices[span], self.weights[span]


def recency_weights(
    histories: Histories | Sequence[History],
    half_life: float,
    *,
    visit_decay: float = 1.0,
    evidence: Floats = ALIKE,
) -> RecencyWeights:
    """Weigh each person's distinct items: evidence * 0.5 ** (age / half_life) * visit_decay ** (visits since).

    evidence: (N_KIND_CODES,) float32, from -1 to 1, the weight of each kind of event; events of kinds that weigh 0
    are not read. age: how many distinct items the person touched later, each as much as its kind weighs. half_life:
    in items, > 0; inf weighs all alike. visit_decay: in [0, 1]; 0 keeps the last visit alone.
    """
    distinct = distinct_histories(with_evidence(packed(histories), evidence))
    lengths, ends = np.diff(distinct.offsets), distinct.offsets[1:]
    of_kinds = evidence[distinct.kinds]
    until = np.cumsum(np.abs(of_kinds), dtype=np.float64)  # exact where all weigh 1
    ages = np.repeat(np.append(0.0, until)[ends], lengths) - until
    weights = np.exp2(ages.astype(np.float32) / np.float32(-half_life)) * of_kinds
    if visit_decay < 1.0:
        numbers = visit_numbers_of_all(distinct)
        last_numbers = numbers[ends[lengths > 0] - 1]
        weights *= np.float32(visit_decay) ** (np.repeat(last_numbers, lengths[lengths > 0]) - numbers)
    return RecencyWeights(distinct.offsets, distinct.item_indices, weights)


def with_evidence(histories: Histories, evidence: Floats) -> Histories:
    """Leave out the events of kinds that weigh 0; everybody keeps their row."""
    if evidence.all():
        return histories
    return histories.kept(evidence[histories.kinds] != 0.0)


def visit_numbers(history: History) -> npt.NDArray[np.int64]:
    """Number the visit of each event, from 0; (n_events,)."""
    return np.cumsum(np.diff(history.times, prepend=history.times[:1]) > VISIT_GAP_SECONDS)


def visit_numbers_of_all(histories: Histories) -> npt.NDArray[np.int64]:
    """Number everybody's visits, one person's after another's; (n_events,) rising from 0."""
    begins = np.diff(histories.times, prepend=histories.times[:1]) > VISIT_GAP_SECONDS
    first_events = histories.offsets[:-1][np.diff(histories.offsets) > 0]
    begins[first_events] = True
    return np.cumsum(begins) - 1


def distinct_histories(histories: Histories) -> Histories:
    """Apply `History.distinct` to everybody: each item once, at the latest event of its strongest kind."""
    n_events = len(histories.item_indices)
    keep = np.zeros(n_events, np.bool_)
    first_person = 0
    while first_person < len(histories):
        begin = histories.offsets[first_person]
        after = int(np.searchsorted(histories.offsets, begin + EVENTS_AT_ONCE, side="right")) - 1
        after = max(after, first_person + 1)  # one person with more events is processed whole
        keep[begin : histories.offsets[after]] = _is_latest(histories, first_person, after)
        first_person = after
    return histories if keep.all() else histories.kept(keep)


def packed(histories: Histories | Sequence[History]) -> Histories:
    """Pack histories into one set of arrays."""
    return histories if isinstance(histories, Histories) else Histories.from_list(histories)


def _is_latest(histories: Histories, first: int, after: int) -> npt.NDArray[np.bool_]:
    """Tell for people from `first` to before `after` which event stands for its item; (n_events,)."""
    offsets = histories.offsets[first : after + 1]
    items = histories.item_indices[offsets[0] : offsets[-1]]
    people = np.repeat(np.arange(after - first, dtype=np.int64), np.diff(offsets))
    keys = people * (int(items.max(initial=0)) + 1) + items
    strengths = STRENGTHS[histories.kinds[offsets[0] : offsets[-1]]]
    if len(strengths) and strengths.min() == strengths.max():
        order = np.argsort(keys, kind="stable")  # events of one person and item side by side, the latest last
    else:
        order = np.argsort(keys * len(STRENGTHS) + strengths, kind="stable")
    is_last = np.ones(len(keys), np.bool_)
    is_last[:-1] = keys[order[1:]] != keys[order[:-1]]
    is_latest = np.empty(len(keys), np.bool_)
    is_latest[order] = is_last
    return is_latest
