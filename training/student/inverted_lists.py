"""Build an inverted index for a catalogue too large to score exhaustively, and choose how many lists to probe.

Item vectors are clustered by k-means (faiss); an item lies in the list of its nearest centroid, and a search probes
the lists whose centroids have the largest dot product with the user vector. Several numbers of lists are tried: for
each, the fewest probes are found that reach the wanted recall on held-out people, and the cheapest index is taken.
Recall is of the whole score, including what events add, with the items a person already has masked as in an answer.

faiss is needed only here, not in the service, which searches the same lists by `models/scan.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from models.bundles.bundle import BundleContents
from models.bundles.manifest import IndexEntry
from models.history import History
from models.index import AllowedItems, eight_bits, inverted_index
from models.student import Floats, Student, StudentFiles
from training.student.item_order import contents_in_order, history_in_order, places_of, student_in_order

K = 100
"""Recall is measured against the exact top 100."""
SIZES = (1.0, 2.0)
"""Numbers of lists that are tried, as multiples of the square root of the number of items."""
N_ITERATIONS = 10
ROWS_AT_ONCE = 65_536

Indices = npt.NDArray[np.int32]


class IndexSettings(BaseModel):
    """When a catalogue gets lists, and how good a search in them must be."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    exact_up_to: int = Field(
        default=200_000,
        ge=1,
        le=10**9,
        description="Catalogue size up to which a search scores every item; beyond it, a search uses inverted lists.",
    )
    min_recall: float = Field(
        default=0.98, gt=0, le=1, description="Recall@100 that a search of the lists must reach."
    )
    n_people: int = Field(
        default=500,
        ge=10,
        le=100_000,
        description="Number of held-out people on whom the number of lists is chosen.",
    )
    sample_per_list: int = Field(
        default=64,
        ge=39,
        le=1000,
        description="Items per list on which the centroids are fitted, drawn by seed from a larger catalogue.",
    )


class Lists(NamedTuple):
    """Clustered items. centroids: (n_lists, n_factors). list_of: (n_items,) int32, the list each item lies in."""

    centroids: Floats
    list_of: Indices


@dataclass(frozen=True)
class Inverted:
    """A student whose items are sorted by list, with its inverted index.

    order: (n_items,) the item that moves to each place. files: the student in that order, with its index.
    entry: what the manifest says of the index. tried: by number of lists, the fewest probes that reach the recall
    and the rows that such a search reads.
    """

    order: Indices
    files: StudentFiles
    entry: IndexEntry
    tried: dict[int, tuple[int, float]]


def with_lists(
    contents: BundleContents, histories: Sequence[History], settings: IndexSettings, seed: int
) -> BundleContents:
    """Give the bundle an inverted index and sort its items by list; a small catalogue is returned as it is.

    histories: of held-out people, on whom the number of probes is chosen.
    """
    if len(contents.items) <= settings.exact_up_to:
        return contents
    held_back, available = histories[: settings.n_people], contents.items.available
    inverted = invert(contents.student, held_back, available, settings, seed)
    ordered = contents_in_order(contents, inverted.order, inverted.files)
    entry = msgspec.structs.replace(contents.student_entry, index=inverted.entry)
    return replace(ordered, student_entry=entry)


def invert(
    files: StudentFiles,
    histories: Sequence[History],
    available: npt.NDArray[np.bool_],
    settings: IndexSettings,
    seed: int,
) -> Inverted:
    """Cluster the items, choose the number of lists and of probes, and sort the student's items by list.

    histories: of held-out people. available: (n_items,), which items may be answered, in the order of `files`.
    """
    n_items = len(files.item_vectors)
    best: Inverted | None = None
    tried: dict[int, tuple[int, float]] = {}
    for size in SIZES:
        n_lists = int(size * n_items**0.5)
        candidate = _in_lists(files, cluster(_vectors(files), n_lists, settings.sample_per_list, seed))
        curve = recall_curve(candidate.files, candidate.order, histories, available, settings.min_recall)
        chosen = min(curve, key=lambda n_probes: (curve[n_probes] < settings.min_recall, n_probes))
        tried[n_lists] = (chosen, n_lists + chosen * n_items / n_lists)
        if best is None or tried[n_lists][1] < tried[best.entry.n_lists][1]:
            best = _chosen(candidate, n_lists, chosen, curve)
    assert best is not None, "some number of lists was tried"
    return Inverted(best.order, best.files, best.entry, tried)


def cluster(vectors: Floats, n_lists: int, sample_per_list: int, seed: int) -> Lists:
    """Cluster item vectors (n_items, n_factors) by k-means with Euclidean distance."""
    import faiss  # loads its own OpenMP, which only this needs

    kmeans = faiss.Kmeans(
        vectors.shape[1],
        n_lists,
        niter=N_ITERATIONS,
        seed=seed,
        max_points_per_centroid=sample_per_list,
        min_points_per_centroid=1,
    )
    kmeans.train(np.ascontiguousarray(vectors))
    nearest = [
        kmeans.index.search(np.ascontiguousarray(vectors[start : start + ROWS_AT_ONCE]), 1)[1][:, 0]
        for start in range(0, len(vectors), ROWS_AT_ONCE)
    ]
    return Lists(np.asarray(kmeans.centroids, np.float32), np.concatenate(nearest).astype(np.int32))


def recall_curve(
    files: StudentFiles,
    order: Indices,
    histories: Sequence[History],
    available: npt.NDArray[np.bool_],
    min_recall: float,
) -> dict[int, float]:
    """Measure recall@100 by number of probes: double it until the recall is reached, then bisect to the fewest.

    files: sorted by list. order: as in `Inverted`; histories and available are in the order before sorting.
    """
    student, n_lists = Student(files), files.index.n_lists
    places = places_of(order)
    moved = [history_in_order(history, places) for history in histories]
    seen = [each.item_indices for each in moved]
    allowed = (
        None
        if available.all()
        else AllowedItems.of(np.flatnonzero(available[order]).astype(np.int32), len(order))
    )
    exact = student.recommend(moved, K, blocked=seen, allowed=allowed, n_probes=n_lists).item_indices

    def recall(n_probes: int) -> float:
        found = student.recommend(moved, K, blocked=seen, allowed=allowed, n_probes=n_probes).item_indices
        hits = [np.isin(one, other[other >= 0]).sum() for one, other in zip(found, exact, strict=True)]
        return float(np.sum(hits) / max(1, np.count_nonzero(exact >= 0)))

    curve, reached = {}, 1
    while True:
        curve[reached] = recall(reached)
        if curve[reached] >= min_recall or reached == n_lists:
            break
        reached = min(2 * reached, n_lists)
    below = reached // 2
    while reached - below > max(1, reached // 16):  # to within a sixteenth of the fewest
        middle = (below + reached) // 2
        curve[middle] = recall(middle)
        below, reached = (below, middle) if curve[middle] >= min_recall else (middle, reached)
    return dict(sorted(curve.items()))


def _in_lists(files: StudentFiles, lists: Lists) -> Inverted:
    n_lists = len(lists.centroids)
    order = np.argsort(lists.list_of, kind="stable").astype(np.int32)
    offsets = np.searchsorted(lists.list_of[order], np.arange(n_lists + 1)).astype(np.int32)
    ordered = student_in_order(files, order)
    index = inverted_index(
        *eight_bits(ordered.item_vectors, ordered.item_scales), offsets, lists.centroids, n_probes=n_lists
    )
    return Inverted(order, replace(ordered, index=index), IndexEntry("inverted", n_lists, n_lists), {})


def _chosen(candidate: Inverted, n_lists: int, n_probes: int, curve: dict[int, float]) -> Inverted:
    named = {str(probes): round(recall, 4) for probes, recall in curve.items()}
    entry = IndexEntry("inverted", n_lists, n_probes, named[str(n_probes)], named)
    index = replace(candidate.files.index, n_probes=n_probes)
    return Inverted(candidate.order, replace(candidate.files, index=index), entry, {})


def _vectors(files: StudentFiles) -> Floats:
    return np.asarray(files.item_vectors * files.item_scales[:, None], np.float32)
