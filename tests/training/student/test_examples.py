"""Batches of soft labels are what encoding their histories alone would give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.history import History, encode_histories
from training.members.member import Floats
from training.student.examples import Examples
from training.student.soft_labels import SoftLabels


def negative_items(history: History, distinct: History) -> Floats:
    return -distinct.item_indices.astype(np.float32)


def test_batch_is_encoded_as_its_histories_alone_would_be(labels: SoftLabels) -> None:
    rows = np.array([5, 3, 700])
    batch = Examples.of(labels, negative_items).batch(rows)
    expected = encode_histories([labels.histories[row] for row in rows], log_odds=negative_items)
    for found, part in zip(batch.encoded, expected, strict=True):
        np.testing.assert_array_equal(found.numpy(), part, strict=True)


def test_batch_has_the_labels_of_its_rows(labels: SoftLabels) -> None:
    rows = np.array([9, 0])
    batch = Examples.of(labels, negative_items).batch(rows)
    np.testing.assert_array_equal(batch.candidates.numpy(), labels.candidates[rows])
    np.testing.assert_array_equal(batch.logits.numpy(), labels.logits[rows].astype(np.float32))
    np.testing.assert_array_equal(batch.next_items.numpy(), labels.next_items[rows])


def test_strangers_alone_have_one_column_of_padding(labels: SoftLabels) -> None:
    strangers = replace(labels, histories=[History.empty()] * len(labels))
    item_rows, *_ = Examples.of(strangers, negative_items).batch(np.array([0, 1])).encoded
    assert item_rows.tolist() == [[0], [0]]
