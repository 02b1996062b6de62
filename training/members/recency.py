"""Recency: the newest item of a history counts 1, less the more items and visits came after it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

from models.history import VISIT_GAP_SECONDS, History


def recency_matrix(
    histories: Sequence[History], n_items: int, half_life: float, *, visit_decay: float = 1.0
) -> sparse.csr_matrix:
    """Each person's distinct items, weighted 0.5 ** (age / half_life) * visit_decay ** (visits since).

    age: how many distinct items the person touched later. half_life: in items, > 0; inf weights all alike.
    visit_decay: in [0, 1]; 0 keeps the last visit alone. Returns (n_people, n_items) float32 with rows in the order
    of `histories`.
    """
    distinct = [history.distinct() for history in histories]
    lengths = np.array([len(history) for history in distinct], np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    columns = np.concatenate([np.zeros(0, np.int32), *(history.item_indices for history in distinct)])
    ages = np.repeat(offsets[1:], lengths) - 1 - np.arange(offsets[-1])
    weights = np.exp2(-ages / half_life).astype(np.float32)
    if visit_decay < 1.0:
        last_visits = np.concatenate(
            [np.zeros(0, np.int64), *(visit_numbers(each)[-1:] for each in distinct)]
        )
        numbers = np.concatenate([np.zeros(0, np.int64), *map(visit_numbers, distinct)])
        visits_since = np.repeat(last_visits, lengths[lengths > 0]) - numbers
        weights *= np.float32(visit_decay) ** visits_since
    return sparse.csr_matrix((weights, columns, offsets), shape=(len(distinct), n_items))


def visit_numbers(history: History) -> npt.NDArray[np.int64]:
    """Which visit each event belongs to, from 0; (n_events,)."""
    return np.cumsum(np.diff(history.times, prepend=history.times[:1]) > VISIT_GAP_SECONDS)


def visit_matrix(histories: Sequence[History], n_items: int) -> sparse.csr_matrix:
    """Ones for the items of each visit; (n_visits, n_items) float32, all people's visits below one another."""
    rows, columns, n_visits = [np.zeros(0, np.int64)], [np.zeros(0, np.int32)], 0
    for history in histories:
        if len(history):
            numbers = visit_numbers(history)
            rows.append(n_visits + numbers)
            columns.append(history.item_indices)
            n_visits += int(numbers[-1]) + 1
    row, column = np.concatenate(rows), np.concatenate(columns)
    counted = sparse.csr_matrix((np.ones(len(row), np.float32), (row, column)), shape=(n_visits, n_items))
    counted.data[:] = 1.0
    return counted
