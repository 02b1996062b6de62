"""Soft labels as tensors: histories are encoded once, and each batch is cut to its longest history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.history import EncodedHistories, LogOdds, encode_histories
from training.student.soft_labels import SoftLabels


class Batch(NamedTuple):
    """One batch of b examples. encoded: the student's inputs, (b, length) each; the rest is as in `SoftLabels`."""

    encoded: tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
    candidates: Tensor  # (b, n_candidates) int64
    logits: Tensor  # (b, n_candidates) float32
    next_items: Tensor  # (b, n_next) int64

    @property
    def is_own(self) -> Tensor:
        """Which candidates the student reads as own items, (b, n_candidates)."""
        rows = self.candidates + 1
        is_own = torch.zeros_like(rows, dtype=torch.bool)
        for own_rows in self.encoded[0].unbind(dim=1):  # all at once would take a hundred times the room
            is_own |= rows == own_rows.unsqueeze(1)
        return is_own


@dataclass(frozen=True)
class Examples:
    """All examples. lengths: (n_examples,) events of each, but at least 1, so that each batch has a column.

    A thousand examples take 0.9 MB: item rows are held as int32 and kinds as int8, half of their encoded size.
    """

    labels: SoftLabels
    encoded: EncodedHistories
    lengths: npt.NDArray[np.int64]

    @staticmethod
    def of(labels: SoftLabels, log_odds: LogOdds) -> Examples:
        """Encode the history of every example. log_odds: of repeats."""
        wide = encode_histories(labels.histories, log_odds=log_odds)
        lengths = np.maximum((wide.item_rows > 0).sum(axis=1), 1)
        encoded = EncodedHistories(
            wide.item_rows.astype(np.int32),
            wide.gap_log_days,
            wide.event_kinds.astype(np.int8),
            wide.log_counts,
            wide.repeat_log_odds,
        )
        return Examples(labels, encoded, lengths)

    def __len__(self) -> int:
        return len(self.labels)

    def mean_log_odds(self) -> float:
        """Return the mean log-odds of repeats of all events, 0 if there is none."""
        is_event = self.encoded.item_rows > 0
        return float(self.encoded.repeat_log_odds[is_event].mean()) if is_event.any() else 0.0

    def batch(self, rows: npt.NDArray[np.int64]) -> Batch:
        """Return the examples in these rows as a batch that is as wide as the longest of them."""
        length = int(self.lengths[rows].max())
        item_rows, gap_log_days, event_kinds, log_counts, odds = (
            part[rows, :length] for part in self.encoded
        )
        return Batch(
            (
                _tensor(item_rows, np.int64),
                _tensor(gap_log_days, np.float32),
                _tensor(event_kinds, np.int64),
                _tensor(log_counts, np.float32),
                _tensor(odds, np.float32),
            ),
            _tensor(self.labels.candidates[rows], np.int64),
            _tensor(self.labels.logits[rows], np.float32),
            _tensor(self.labels.next_items[rows], np.int64),
        )


def _tensor(array: npt.NDArray[np.generic], dtype: type[np.generic]) -> Tensor:
    return torch.from_numpy(array.astype(dtype))
