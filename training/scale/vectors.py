"""Invent item vectors with the geometry of a trained student's, so that an index over them is as hard to search.

This table compares a million drawn vectors with those of two trained students (Online Retail, 3,657 items, with
histories that walk along its neighbours; the generator's shop, 1,000 items):

    |                                          | Online Retail | generated     | drawn         |
    | ---------------------------------------- | ------------- | ------------- | ------------- |
    | length of a vector, 10, 50 and 90 %      | 1.3, 1.7, 2.3 | 1.2, 1.3, 1.5 | 1.4, 1.6, 1.8 |
    | length of the mean vector                | 1.05          | 0.84          | 1.07          |
    | variance in 1, 8 and 32 directions       | .13, .40, .77 | .10, .52, .88 | .11, .46, .82 |
    | cosine of the nearest and 100th of 3,657 | .87, .66      |               | .80, .65      |
    | length of a user vector                  | 6.4           | 6.0           | 6.5           |
    | cosine of two people                     | .94           | .62           | .76           |
    | spread of a person's products            | 1.7           | 1.2           | 1.4           |

A vector is the sum of a level, along one direction that all share and popular items have less of, and a taste:
centres of category and cluster, attributes, and noise, over directions of falling weight. Nothing was learned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.index import quantize_rows
from training.generator.catalogue import TASTE_DIMENSIONS, Floats, Ints, InventedCatalogue
from training.scale.people import REACH_POWER
from training.scale.shop import ScaleSettings

ROWS_AT_ONCE = 65_536

LEVEL, LEVEL_SPREAD = 1.05, 0.2
"""The level along the shared direction, which lowers an item's scores: its mean, and its decrease per standard
deviation of log popularity."""

CATEGORY, CLUSTER, ATTRIBUTES, NOISE = 0.55, 0.65, 0.60, 0.60
"""Lengths of the parts of a taste."""

SPECTRUM_POWER = -0.35
"""Exponent of the j-th direction's length: the first of 64 has 5 % of the variance, half of them have 77 %."""

HISTORY_SHARE = 0.9
"""A history vector is the taste times this factor, without the level."""


@dataclass(frozen=True)
class ScaleVectors:
    """Item vectors and history vectors in int8, and the level's direction (n_factors,), which a user vector needs.

    Both tables are (n_items, n_factors) with scales (n_items,), without a row of padding.
    """

    item_vectors: npt.NDArray[np.int8]
    item_scales: Floats
    history_vectors: npt.NDArray[np.int8]
    history_scales: Floats
    level: Floats

    def in_order(self, rows: Ints) -> ScaleVectors:
        """Return these rows in this order."""
        return ScaleVectors(
            self.item_vectors[rows],
            self.item_scales[rows],
            self.history_vectors[rows],
            self.history_scales[rows],
            self.level,
        )


def invent_vectors(invented: InventedCatalogue, settings: ScaleSettings, n_factors: int) -> ScaleVectors:
    """Draw all vectors by catalogue row, some rows at a time."""
    rng, n_items = settings.rng(2), len(invented)
    basis = np.linalg.qr(rng.standard_normal((n_factors, n_factors)))[0].T.astype(np.float32)
    tastes, levels = _Tastes(invented, basis[1:], rng), _levels(invented)
    vectors = ScaleVectors(
        np.empty((n_items, n_factors), np.int8),
        np.empty(n_items, np.float32),
        np.empty((n_items, n_factors), np.int8),
        np.empty(n_items, np.float32),
        basis[0],
    )
    for start in range(0, n_items, ROWS_AT_ONCE):
        rows = slice(start, min(start + ROWS_AT_ONCE, n_items))
        taste = tastes.draw(rows, rng)
        answers = levels[rows, None] * basis[0] + taste
        vectors.item_vectors[rows], vectors.item_scales[rows] = quantize_rows(answers)
        vectors.history_vectors[rows], vectors.history_scales[rows] = quantize_rows(taste * HISTORY_SHARE)
    return vectors


class _Tastes:
    """Draws tastes of catalogue rows. directions: (n_factors - 1, n_factors), orthonormal, the strongest first."""

    def __init__(self, invented: InventedCatalogue, directions: Floats, rng: np.random.Generator) -> None:
        self._invented = invented
        lengths = np.arange(1, len(directions) + 1, dtype=np.float32) ** SPECTRUM_POWER
        self._directions = directions * (lengths / np.linalg.norm(lengths))[:, None]
        n_categories = len(invented.category_vectors)
        centres = CATEGORY * np.repeat(self._some(n_categories, rng), invented.n_styles, axis=0)
        self._centres = centres + CLUSTER * self._some(len(centres), rng)  # (n_clusters, n_factors)
        self._attributes = ATTRIBUTES * self._some(TASTE_DIMENSIONS, rng)

    def draw(self, rows: slice, rng: np.random.Generator) -> Floats:
        """Draw the tastes of some rows, (n_rows, n_factors)."""
        n_rows = rows.stop - rows.start
        taste = self._centres[self._invented.clusters[rows]] + NOISE * self._some(n_rows, rng)
        drawn: Floats = taste + self._invented.vectors[rows] @ self._attributes
        return drawn

    def _some(self, count: int, rng: np.random.Generator) -> Floats:
        """Draw vectors of about unit length along the directions, (count, n_factors)."""
        return rng.standard_normal((count, len(self._directions)), dtype=np.float32) @ self._directions


def _levels(invented: InventedCatalogue) -> Floats:
    """Return by catalogue row, (n_items,), the expected log popularity, standardised, on the scale of `LEVEL`."""
    sizes = invented.cluster_sizes.astype(np.float64)
    ranks = np.arange(len(invented)) - invented.cluster_starts[invented.clusters]
    weights = invented.category_log_weights[np.arange(len(sizes)) // invented.n_styles]
    log_popularity = (
        weights[invented.clusters]
        - (1 - 1 / REACH_POWER) * np.log1p(ranks)
        - np.log(sizes[invented.clusters]) / REACH_POWER
    )
    standard = (log_popularity - log_popularity.mean()) / max(float(log_popularity.std()), 1e-9)
    return (LEVEL - LEVEL_SPREAD * standard).astype(np.float32)
