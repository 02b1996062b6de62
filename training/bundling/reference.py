"""Make what a bundle expects of live traffic: inputs, scores, and how far its models agree.

Reference traffic is made of the last events, those of the test slice, which the student has not seen: each event is
answered for just before it happened, with the history that a service would have had then. From it the services' own
inputs (`models.monitoring.inputs`) are taken, in the same bins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.history import EventKind, History
from models.index import AllowedItems
from models.items import Items
from models.known_items import OwnItems
from models.monitoring import inputs
from models.monitoring.disagreement import DisagreementReference, reference_of
from models.monitoring.histogram import Histogram, Numbers, bins
from models.monitoring.reference import CatalogueBins, Reference
from models.monitoring.scored_requests import ScoringModel, WatchedRequest, model_names, score_requests
from models.monitoring.slices import popularity_bounds
from models.monitoring.two_sample import chi_square
from models.packed_histories import Histories
from models.student import Student

RANKED = OwnItems("rank", EventKind.PURCHASE)

MAX_EVENTS = 40_000
MAX_ANSWERS = 10_000
"""The most answers, which are the latest without a gap, so that windows of them are as alike as live ones."""

MAX_SCORED = 1_000
"""The most requests that all models score, one per person."""

MAX_SCORES = 200_000_000
"""The most scores of one model; a large catalogue gets fewer requests."""

WINDOW = 200
"""Number of requests in the windows for which the disagreement threshold is made; larger windows vary less."""

WINDOW_SIZES = (125, 250, 500, 1_000, 2_000, 4_000, 8_000)
"""Sizes of the windows of reference traffic that are compared with the rest of it."""

MIN_WINDOWS, MIN_TAIL_WINDOWS = 4, 16
"""The fewest windows of a size to measure the statistic's mean, and its variance."""


@dataclass(frozen=True)
class Traffic:
    """Events in order of time, and what was known of the person just before each.

    people: (n,) rows. item_indices, times, kinds: (n,). places: (n,) events of the person before this one.
    """

    histories: Histories
    people: npt.NDArray[np.int64]
    item_indices: npt.NDArray[np.int32]
    times: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.uint8]
    places: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.times)

    def history_before(self, row: int) -> History:
        """Return what a service knew of the person just before the event."""
        history = self.histories[int(self.people[row])]
        place = int(self.places[row])
        return History(history.item_indices[:place], history.times[:place], history.kinds[:place])

    @staticmethod
    def since(histories: Histories, start: int, *, at_most: int = MAX_EVENTS) -> Traffic:
        """Return the last events that are not older than `start`, in Unix seconds."""
        n_events = np.diff(histories.offsets)
        people = np.repeat(np.arange(len(histories)), n_events)
        places = np.arange(len(people)) - histories.offsets[people]
        times = histories.times.astype(np.int64)
        order = np.argsort(times, kind="stable")
        order = order[times[order] >= start][-at_most:]
        return Traffic(
            histories,
            people[order],
            histories.item_indices[order],
            times[order],
            histories.kinds[order],
            places[order],
        )


def reference_start(histories: Histories, share: float) -> int:
    """Return the Unix seconds since which this share of the events happened."""
    return int(np.quantile(histories.times, 1 - share))


def build_reference(
    histories: Histories,
    items: Items,
    student: Student,
    models: Mapping[str, ScoringModel] | None,
    *,
    first_seen: npt.NDArray[np.int64],
    test_share: float,
    seed: int,
    own_items: OwnItems = RANKED,
) -> dict[str, Any]:
    """Build the content of `reference.json`.

    histories: everybody's events, including repeated ones. models: members, student and ensemble by name, None for no
    expectation of their agreement. first_seen: (n_items,) Unix seconds of each item's first event. test_share: the
    share of events that the student has not seen. own_items: what answers leave out.
    """
    start = reference_start(histories, test_share)
    traffic = Traffic.since(histories, start)
    categories = falling_categories(items, traffic.item_indices)
    catalogue = CatalogueBins(items, categories)
    found = input_histograms(
        traffic, catalogue, student, own_items, is_unknown=first_seen[traffic.item_indices] >= start
    )
    agreement = (
        None if models is None else _disagreement(traffic, catalogue, student, models, own_items, seed)
    )
    return Reference(found, categories, agreement).to_json()


def falling_categories(items: Items, item_indices: npt.NDArray[np.int32]) -> list[int]:
    """Return codes of segments by the number of these events in them, most first."""
    counts = np.bincount(items.segments[item_indices], minlength=int(items.segments.max(initial=0)) + 1)
    return np.argsort(-counts, kind="stable")[: inputs.MAX_CATEGORIES].tolist()


def input_histograms(
    traffic: Traffic,
    catalogue: CatalogueBins,
    student: Student,
    own_items: OwnItems,
    *,
    is_unknown: npt.NDArray[np.bool_],
) -> dict[str, Histogram]:
    """Return histograms by input. is_unknown: (n,) events of items that a service of that time would not know."""
    lengths, recencies = _person_inputs(traffic)
    answered = range(max(len(traffic) - MAX_ANSWERS, 0), len(traffic))
    histories = [traffic.history_before(row) for row in answered]
    top, spread = _answers(student, histories, catalogue.recommendable, own_items)
    of_items = catalogue.numbers(traffic.item_indices[~is_unknown])
    category_edges = range(inputs.MAX_CATEGORIES + 1)
    return {
        inputs.HISTORY_LENGTH: with_effects(lengths, inputs.HISTORY_LENGTH_EDGES),
        inputs.RECENCY_DAYS: with_effects(recencies[~np.isnan(recencies)], inputs.RECENCY_EDGES),
        inputs.ITEM_POPULARITY: with_effects(
            of_items[inputs.ITEM_POPULARITY], inputs.popularity_edges(len(catalogue.ranks))
        ),
        inputs.EVENT_KIND: with_effects(traffic.kinds.astype(np.int64), inputs.KIND_EDGES),
        inputs.UNKNOWN_ITEM: with_effects(is_unknown.astype(np.int64), inputs.UNKNOWN_EDGES),
        inputs.CATEGORY: with_effects(of_items[inputs.CATEGORY], category_edges),
        inputs.TOP_SCORE: with_effects(top, inputs.score_edges(top)),
        inputs.SCORE_SPREAD: with_effects(spread, inputs.score_edges(spread)),
    }


def with_effects(numbers: Numbers, edges: Sequence[float]) -> Histogram:
    """Count (n,) numbers, in order of time, and measure the two-sample test on windows of them against the rest.

    This is done by size of the window, as long as MIN_WINDOWS windows fit.

    The design effect is at least 1 and does not fall with the size. Tail degrees are the fewest of any size.
    """
    plain = Histogram.of(numbers, edges)
    placed, degrees = bins(numbers, plain.edges), list[float]()
    effects: dict[str, float] = {}
    for size in WINDOW_SIZES:
        ratios = _window_ratios(placed, len(plain.counts), size)
        if len(ratios) < MIN_WINDOWS:
            break
        mean, variance = float(ratios.mean()), float(ratios.var(ddof=1))
        effects[str(size)] = max(mean, *effects.values(), 1.0)
        if len(ratios) >= MIN_TAIL_WINDOWS and variance > 0:
            degrees.append(2 * mean**2 / variance)
    return Histogram(plain.edges, plain.counts, effects, min(degrees, default=None))


def _window_ratios(placed: npt.NDArray[np.int64], n_bins: int, size: int) -> npt.NDArray[np.float64]:
    """Return each window's statistic divided by its degrees of freedom; placed: (n,) bins."""
    n_windows = len(placed) // size
    if n_windows < MIN_WINDOWS:
        return np.zeros(0)
    total = np.bincount(placed, minlength=n_bins)
    windows = [np.bincount(own, minlength=n_bins) for own in np.split(placed[: n_windows * size], n_windows)]
    statistics = [chi_square(total - window, window) for window in windows]
    return np.array([statistic / degrees for statistic, degrees in statistics if degrees])


def _person_inputs(traffic: Traffic) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return known distinct items before each event, and days since the last one, NaN if there was none."""
    lengths = np.empty(len(traffic), np.int64)
    recencies = np.full(len(traffic), np.nan)
    for row in range(len(traffic)):
        history = traffic.history_before(row)
        lengths[row] = len(np.unique(history.item_indices))
        if len(history):
            recencies[row] = inputs.recency_days(traffic.times[row], history.times[-1])
    return lengths, recencies


def _answers(
    student: Student, histories: Sequence[History], allowed: AllowedItems | None, own_items: OwnItems
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return TOP_SCORE and SCORE_SPREAD of the answers; both empty for a catalogue of fewer than ten items."""
    found = []
    for start in range(0, len(histories), 256):
        chunk = histories[start : start + 256]
        left_out = list(map(own_items.left_out, chunk))
        ranked = student.recommend(chunk, inputs.TOP, blocked=left_out, allowed=allowed)
        found += [inputs.answer_scores(scores) for scores in ranked.scores if scores[-1] > -np.inf]
    known = np.array([each for each in found if each is not None], np.float64).reshape(-1, 2)
    return known[:, 0], known[:, 1]


def _disagreement(
    traffic: Traffic,
    catalogue: CatalogueBins,
    student: Student,
    models: Mapping[str, ScoringModel],
    own_items: OwnItems,
    seed: int,
) -> DisagreementReference | None:
    """Measure disagreement on one request per person, so that requests are independent."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(traffic))
    _, first = np.unique(traffic.people[rows], return_index=True)
    n_scored = min(MAX_SCORED, MAX_SCORES // len(catalogue.ranks))
    histories = [traffic.history_before(int(row)) for row in rows[np.sort(first)][:n_scored]]
    bounds = popularity_bounds(histories, catalogue.ranks)
    requests = watched(student, histories, catalogue.recommendable, own_items)
    scored = score_requests(models, requests, catalogue.ranks, catalogue.available, bounds)
    return reference_of(model_names(models), scored, bounds, n_window=WINDOW, seed=seed)


def watched(
    student: Student, histories: Sequence[History], allowed: AllowedItems | None, own_items: OwnItems
) -> list[WatchedRequest]:
    """Return requests as a service would have answered them; each one's position seeds the draw of its candidates.

    allowed: the items that may be answered, None for all.
    """
    left_out = list(map(own_items.left_out, histories))
    ranked = student.recommend(histories, inputs.TOP, blocked=left_out, allowed=allowed)
    return [
        WatchedRequest(history, served.astype(np.int64), seed, own)
        for seed, (history, served, own) in enumerate(
            zip(histories, ranked.item_indices, left_out, strict=True)
        )
    ]
