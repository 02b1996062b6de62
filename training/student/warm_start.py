"""Starting item vectors: an SVD of the ensemble's scores, the best that a dot product of this rank can express."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from training.members.member import Floats
from training.student.soft_labels import SoftLabels

MAX_EXAMPLES = 4_000
"""The most examples whose labels go into the SVD."""


MAX_ROWS_OF_OWN = 2_000
"""The most examples over which `own_advantage` is averaged."""


def starting_vectors(labels: SoftLabels, n_items: int, n_factors: int, rng: np.random.Generator) -> Floats:
    """Compute item vectors (n_items, n_factors) from soft labels; a non-candidate counts as the person's mean."""
    rows = np.sort(rng.permutation(len(labels))[:MAX_EXAMPLES])
    scores = _centred(labels, rows, n_items)
    rank = min(n_factors, *scores.shape)
    _, spectrum, items = randomized_svd(scores, rank, random_state=int(rng.integers(2**31)))
    vectors = np.zeros((n_items, n_factors), np.float32)
    # Items get the square root of each singular value, scaled to one person of average length among this many.
    vectors[:, :rank] = items.T * np.sqrt(spectrum / np.sqrt(len(rows))) * np.sqrt(n_items / 100.0)
    return vectors


def _centred(labels: SoftLabels, rows: np.ndarray, n_items: int) -> sparse.csr_matrix:
    """Return logits minus the person's mean, each candidate once, without seen ones; (n_rows, n_items)."""
    logits = labels.logits[rows].astype(np.float32)
    is_unseen = np.isfinite(logits)
    unseen = np.where(is_unseen, logits, 0)
    mean = unseen.sum(axis=1, keepdims=True) / np.maximum(is_unseen.sum(axis=1, keepdims=True), 1)
    person = np.broadcast_to(np.arange(len(rows))[:, None], logits.shape)[is_unseen]
    columns = labels.candidates[rows][is_unseen]
    _, first = np.unique(person.astype(np.int64) * n_items + columns, return_index=True)
    values = (unseen - mean)[is_unseen]
    return sparse.csr_matrix(
        (values[first], (person[first], columns[first])), shape=(len(rows), n_items), dtype=np.float32
    )


def own_advantage(labels: SoftLabels) -> float:
    """Return how much higher the teacher's logits of own items are than those of others, on average; 0 if unknown.

    It is what the student's own part starts from: how far own items stand apart is much the same for all people, and
    learning it step by step would take the first epochs.
    """
    rows = np.unique(np.linspace(0, len(labels) - 1, min(MAX_ROWS_OF_OWN, len(labels))).astype(int))
    logits = labels.logits[rows].astype(np.float64)
    is_candidate = np.isfinite(logits)
    is_own = np.stack([np.isin(labels.candidates[row], labels.histories[row].item_indices) for row in rows])
    own, others = logits[is_candidate & is_own], logits[is_candidate & ~is_own]
    return float(own.mean() - others.mean()) if len(own) and len(others) else 0.0
