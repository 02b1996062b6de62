"""Invent which items go together: the co-occurrence term's table, in int8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.cooccurrence import N_OWN_DECAYS, Cooccurrence, index_dtype
from models.history import N_KIND_CODES
from training.base.callback import Progress
from training.generator.catalogue import Ints
from training.scale.appended import AppendedArrays
from training.scale.people import REACH_POWER
from training.scale.shop import ScaleCatalogue, ScaleSettings
from training.student.tower import STARTING_DECAYS

ITEMS_AT_ONCE = 16_384

COMPANION_SHARE = 0.3
"""Share of neighbours in the cluster of the item's companion; the others are in the item's own category."""

STRONGEST_LOGITS = 1.0
"""Median logit of an item's strongest neighbour; it varies log-normally over items."""
STRONGEST_SPREAD = 0.8

OWN_SPREAD = 1.0
"""Standard deviation of what an event adds to its own item."""

WEIGHT_DECAY = 38.0
"""Weights fall exponentially, by 1/e per this many of 128 neighbours: the median is a tenth of the strongest."""


def invent_neighbours(
    catalogue: ScaleCatalogue, settings: ScaleSettings, n_neighbours: int, folder: Path, progress: Progress
) -> Cooccurrence:
    """Draw neighbours by popularity within an item's category and its companion's cluster, into files of `folder`.

    A neighbour that is drawn twice counts once, and the item itself does not count: the weight is 0.
    """
    n_items, rng = len(catalogue), settings.rng(3)
    items_dtype = index_dtype(n_items)
    arrays = AppendedArrays(folder, {"neighbour_items": items_dtype, "neighbour_weights": np.int8})
    padding = np.zeros(n_neighbours, np.int8)
    with arrays:
        arrays.append(neighbour_items=padding, neighbour_weights=padding)
        for start in range(0, n_items, ITEMS_AT_ONCE):
            rows = catalogue.rows[start : start + ITEMS_AT_ONCE]
            items = np.sort(_draw(catalogue, rows, n_neighbours, rng), axis=1)
            weights = np.exp(
                rng.standard_exponential(items.shape, np.float32) * -(n_neighbours / WEIGHT_DECAY)
            )
            is_again = np.diff(items, axis=1, prepend=-1) == 0
            weights[is_again | (items == np.arange(start, start + len(rows))[:, None])] = 0
            arrays.append(neighbour_items=items, neighbour_weights=np.rint(127 * weights))
            progress((start + len(rows)) / n_items, f"{start + len(rows):,} items")
    scales = STRONGEST_LOGITS / 127 * rng.lognormal(0, STRONGEST_SPREAD, n_items + 1)
    shape = (n_items + 1, n_neighbours)
    return Cooccurrence(
        neighbour_items=arrays.mapped("neighbour_items").reshape(shape),
        neighbour_weights=arrays.mapped("neighbour_weights").reshape(shape),
        neighbour_scales=scales.astype(np.float32),
        event_decays=np.pad(np.array(STARTING_DECAYS, np.float32), (0, N_KIND_CODES)),
        own_weights=rng.normal(0, OWN_SPREAD, n_items + 1).astype(np.float32),
        own_decays=np.zeros(N_OWN_DECAYS, np.float32),
    )


def _draw(
    catalogue: ScaleCatalogue, rows: Ints, n_neighbours: int, rng: np.random.Generator
) -> npt.NDArray[np.int32]:
    """Draw neighbours of catalogue rows as item indices, (n_rows, n_neighbours)."""
    invented = catalogue.invented
    styles = rng.integers(0, invented.n_styles, (len(rows), n_neighbours))
    clusters = (invented.clusters[rows] // invented.n_styles * invented.n_styles)[:, None] + styles
    n_companions = round(COMPANION_SHARE * n_neighbours)
    clusters[:, :n_companions] = invented.clusters[invented.companions[rows]][:, None]
    reach = ((invented.cluster_sizes + 1.0) ** (1 / REACH_POWER)).astype(np.float32)
    places = (1 + rng.random(clusters.shape, np.float32) * (reach[clusters] - 1)) ** REACH_POWER
    ranks = np.minimum(places.astype(np.int64) - 1, invented.cluster_sizes[clusters] - 1)
    neighbours: npt.NDArray[np.int32] = catalogue.item_indices[
        invented.cluster_starts[clusters] + ranks
    ].astype(np.int32)
    return neighbours
