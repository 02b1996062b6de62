"""The vectors to begin with already say what a dot product can."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.support.teachers import BLOCKS, N_ITEMS
from training.student.soft_labels import SoftLabels
from training.student.warm_start import starting_vectors


def cosines(labels: SoftLabels, n_factors: int = 8) -> np.ndarray:
    vectors = starting_vectors(labels, N_ITEMS, n_factors, np.random.default_rng(0))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(unit @ unit.T)


def test_items_of_a_block_start_close_together(labels: SoftLabels) -> None:
    found = cosines(labels)
    same = (BLOCKS[:, None] == BLOCKS) & ~np.eye(N_ITEMS, dtype=bool)
    assert found[same].mean() > 0.5 > found[BLOCKS[:, None] != BLOCKS].mean() + 0.3


def test_level_of_a_person_does_not_matter(labels: SoftLabels) -> None:
    shift = np.random.default_rng(0).integers(-3, 4, (len(labels), 1)).astype(np.float16)
    shifted = replace(labels, logits=labels.logits + shift)
    np.testing.assert_allclose(cosines(shifted), cosines(labels), atol=0.02)


def test_more_factors_than_there_is_to_say_stay_zero(labels: SoftLabels) -> None:
    vectors = starting_vectors(labels, N_ITEMS, N_ITEMS + 4, np.random.default_rng(0))
    assert vectors.shape == (N_ITEMS, N_ITEMS + 4)
    assert not vectors[:, N_ITEMS:].any()
    assert np.isfinite(vectors).all()
