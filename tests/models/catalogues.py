"""Random catalogues and people for the kernel, and what numpy says the answer is."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from models.cooccurrence import LAST_VISIT_LOG_DAYS, N_DECAYS, N_OWN_DECAYS, Cooccurrence, index_dtype
from models.history import N_KIND_CODES, EncodedHistory, EventKind, pad_histories
from models.index import CatalogueIndex, flat_index, inverted_index, quantize_rows
from models.scan import Ranked, Scan, ScanQuery

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int32]
Scores = npt.NDArray[np.float64]

TOLERANCE = 2e-5
"""Of a score, relative and absolute: sums of float32 in another order."""


def indices(*items: int) -> Indices:
    return np.array(items, np.int32)


NO_EVENTS = EncodedHistory(
    indices(),
    np.zeros(0, np.float32),
    np.zeros(0, np.uint8),
    np.zeros(0, np.float32),
    np.zeros(0, np.float32),
)


@dataclass(frozen=True)
class Catalogue:
    """What a `Scan` is made of. item_vectors: (n_items, n_factors) int8, of the index's scales, or float32."""

    index: CatalogueIndex
    item_vectors: npt.NDArray[Any]
    cooccurrence: Cooccurrence

    @property
    def n_items(self) -> int:
        return len(self.item_vectors)

    def scan(self) -> Scan:
        return Scan(self.index, self.item_vectors, self.cooccurrence)

    def flat(self) -> Catalogue:
        """The same without its lists."""
        index = dataclasses.replace(
            self.index,
            list_offsets=np.zeros(1, np.int32),
            centroid_blocks=self.index.centroid_blocks[:0],
            centroid_scales=self.index.centroid_scales[:0],
            n_probes=0,
        )
        return dataclasses.replace(self, index=index)


def normal(rng: np.random.Generator, *shape: int) -> Floats:
    return rng.normal(size=shape).astype(np.float32)


def random_term(
    rng: np.random.Generator,
    n_items: int,
    n_neighbours: int,
    *,
    is_wide: bool = False,
    is_float: bool = False,
) -> Cooccurrence:
    """Each item speaks for and against some others, of which a few come up twice."""
    shape = (n_items + 1, n_neighbours)
    weights = normal(rng, *shape) * (rng.random(shape) < 0.8)
    weights[0] = 0
    stored, scales = (weights, np.ones(n_items + 1, np.float32)) if is_float else quantize_rows(weights)
    return Cooccurrence(
        neighbour_items=rng.integers(0, n_items, shape).astype(np.int32 if is_wide else index_dtype(n_items)),
        neighbour_weights=stored,
        neighbour_scales=scales,
        event_decays=np.array([0.7, 0.1, 0.4, 0.3, *rng.normal(size=N_KIND_CODES)], np.float32),
        own_weights=normal(rng, n_items + 1),
        own_decays=normal(rng, N_OWN_DECAYS),
    )


def random_catalogue(
    seed: int,
    n_items: int = 300,
    n_factors: int = 16,
    n_neighbours: int = 3,
    *,
    is_wide: bool = False,
    is_float: bool = False,
    n_lists: int = 0,
    n_probes: int = 1,
) -> Catalogue:
    """Random vectors, in lists around their means; some lists are empty, most edges cut a block."""
    rng = np.random.default_rng(seed)
    item_vectors = normal(rng, n_items, n_factors)
    quantized, scales = quantize_rows(item_vectors)
    index = flat_index(quantized, scales)
    if n_lists:
        edges = np.sort(rng.integers(0, n_items + 1, n_lists - 1))
        offsets = np.concatenate([[0], edges, [n_items]]).astype(np.int32)
        centroids = normal(rng, n_lists, n_factors)
        for row, (first, end) in enumerate(pairwise(offsets)):
            if end > first:
                centroids[row] = item_vectors[first:end].mean(axis=0)
        index = inverted_index(quantized, scales, offsets, centroids, n_probes)
    term = random_term(rng, n_items, n_neighbours, is_wide=is_wide, is_float=is_float)
    return Catalogue(index, item_vectors if is_float else quantized, term)


def random_people(seed: int, catalogue: Catalogue, n_people: int, n_events: int = 20) -> list[ScanQuery]:
    """People with events at random ages, who have seen some items and exclude others."""
    rng = np.random.default_rng(seed)
    n_items, n_factors = catalogue.item_vectors.shape
    people = []
    for _ in range(n_people):
        own = rng.choice(n_items, rng.integers(0, min(n_items, n_events) + 1), replace=False).astype(np.int32)
        gaps = np.sort(rng.choice([0, LAST_VISIT_LOG_DAYS, 1, 3.5], len(own))).astype(np.float32)
        kinds = rng.choice(list(EventKind), len(own)).astype(np.uint8)
        counts = np.log(rng.integers(1, 9, len(own))).astype(np.float32)
        events = EncodedHistory(own + np.int32(1), gaps, kinds, counts, normal(rng, len(own)))
        excluded = rng.integers(0, n_items, rng.integers(0, 6)).astype(np.int32)
        people.append(ScanQuery(normal(rng, n_factors), events, own[::2], excluded))
    return people


def masked_items(asked: ScanQuery) -> Indices:
    """What the question says may not appear."""
    return np.concatenate([asked.seen, asked.excluded])


def expected_scores(
    catalogue: Catalogue, asked: Sequence[ScanQuery], allowed: Indices | None = None
) -> Scores:
    """Every score in float64, -inf where a mask is; (n_people, n_items)."""
    vectors = catalogue.item_vectors.astype(np.float64)
    if catalogue.item_vectors.dtype == np.int8:
        vectors *= catalogue.index.block_scales[: len(vectors), None]
    scores = np.stack([each.vector for each in asked]).astype(np.float64) @ vectors.T
    boosts = catalogue.cooccurrence.boosts(pad_histories([each.events for each in asked]))
    np.add.at(scores, (np.arange(len(asked))[:, None], boosts.item_indices), boosts.values.astype(np.float64))
    for row, each in enumerate(asked):
        scores[row, masked_items(each)] = -np.inf
    if allowed is not None:
        scores[:, np.setdiff1d(np.arange(len(vectors)), allowed)] = -np.inf
    return scores


def assert_best(ranked: Ranked, scores: Scores, k: int) -> None:
    """ranked holds the best k of scores (n_people, n_items), as it promises."""
    assert ranked.item_indices.shape == ranked.scores.shape == (len(scores), k)
    assert [str(ranked.item_indices.dtype), str(ranked.scores.dtype)] == ["int32", "float32"]
    for items, found, expected in zip(ranked.item_indices, ranked.scores, scores, strict=True):
        n_found = min(k, int(np.isfinite(expected).sum()))
        assert items[n_found:].tolist() == [-1] * (k - n_found)
        assert np.isneginf(found[n_found:]).all()
        items, found = items[:n_found], found[:n_found]
        assert len(set(items.tolist())) == n_found
        best = -np.sort(-expected)[:n_found]
        np.testing.assert_allclose(found, expected[items], rtol=TOLERANCE, atol=TOLERANCE)
        np.testing.assert_allclose(found, best, rtol=TOLERANCE, atol=TOLERANCE)
        is_in_order = (found[1:] < found[:-1]) | ((found[1:] == found[:-1]) & (items[1:] > items[:-1]))
        assert is_in_order.all()


def assert_equal(one: Ranked, other: Ranked) -> None:
    """To the last bit."""
    np.testing.assert_array_equal(one.item_indices, other.item_indices)
    np.testing.assert_array_equal(one.scores.view(np.uint32), other.scores.view(np.uint32))


def rows_of(ranked: Ranked, rows: slice) -> Ranked:
    return Ranked(ranked.item_indices[rows], ranked.scores[rows])


def with_vectors(item_vectors: Floats, term: Cooccurrence | None = None) -> Catalogue:
    """A flat catalogue of these vectors, in float; nothing goes with anything if there is no term."""
    nothing = random_term(np.random.default_rng(0), len(item_vectors), 0)
    return Catalogue(
        flat_index(*quantize_rows(item_vectors)), item_vectors, nothing if term is None else term
    )


def term_of(n_items: int, says: dict[int, dict[int, float]]) -> Cooccurrence:
    """says: per item, what it adds to which others; events do not fade."""
    width = max(map(len, says.values()))
    items, weights = np.zeros((n_items + 1, width), np.uint16), np.zeros((n_items + 1, width), np.float32)
    for item, neighbours in says.items():
        items[item + 1, : len(neighbours)] = list(neighbours)
        weights[item + 1, : len(neighbours)] = list(neighbours.values())
    ones, nothing = np.ones(n_items + 1, np.float32), np.zeros(n_items + 1, np.float32)
    decays, own_decays = np.zeros(N_DECAYS, np.float32), np.zeros(N_OWN_DECAYS, np.float32)
    return Cooccurrence(items, weights, ones, decays, nothing, own_decays)


def events_of(*items: int) -> EncodedHistory:
    nothing = np.zeros(len(items), np.float32)
    return EncodedHistory(
        indices(*items) + np.int32(1),
        nothing,
        np.full(len(items), EventKind.PURCHASE, np.uint8),
        nothing,
        nothing,
    )


def in_lists(catalogue: Catalogue, n_lists: int, n_probes: int) -> Catalogue:
    """The same catalogue by lists of one size, each around the mean of its items; 0 lists leave it flat."""
    if not n_lists:
        return catalogue
    item_vectors = catalogue.item_vectors
    offsets = np.linspace(0, len(item_vectors), n_lists + 1).astype(np.int32)
    centroids = np.stack([item_vectors[first:end].mean(axis=0) for first, end in pairwise(offsets)])
    index = inverted_index(*quantize_rows(item_vectors), offsets, centroids, n_probes)
    return dataclasses.replace(catalogue, index=index)
