"""Starting item vectors: an SVD of the ensemble's scores, the best that a dot product of this rank can express."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from training.members.member import Floats
from training.student.soft_labels import SoftLabels

MAX_EXAMPLES = 4_000
"""The most examples whose labels go into the SVD."""


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
