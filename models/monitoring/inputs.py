"""The inputs that are monitored for drift, and their bins: training counts the past, the monitor the present."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from models.history import SECONDS_PER_DAY, EventKind
from models.monitoring.histogram import Numbers

HISTORY_LENGTH: Final = "history_length"
RECENCY_DAYS: Final = "recency_days"
ITEM_POPULARITY: Final = "item_popularity_rank"
EVENT_KIND: Final = "event_kind"
UNKNOWN_ITEM: Final = "unknown_item_share"
CATEGORY: Final = "category"
TOP_SCORE: Final = "top_score"
SCORE_SPREAD: Final = "score_spread"

WORDS = {
    HISTORY_LENGTH: "distinct items that a request's person has touched",
    RECENCY_DAYS: "days between a request and the last event before it",
    ITEM_POPULARITY: "popularity rank, 0 for the best known, of items that events are of",
    EVENT_KIND: "kinds of events",
    UNKNOWN_ITEM: "events of items that the bundle does not know",
    CATEGORY: "categories of items that events are of",
    TOP_SCORE: "the student's score of the best item of an answer",
    SCORE_SPREAD: "how far the tenth item's score lies below the best one's",
}
"""Each input in words."""

HISTORY_LENGTH_EDGES = (0, 1, 2, 3, 5, 10, 20, 50, 100, 1_000)
RECENCY_EDGES = (0, 0.001, 0.04, 0.5, 1, 3, 7, 14, 30, 90, 365)
"""Edges in days: within a minute and a half, within an hour, the same visit, the same day, and so on."""

KIND_EDGES = tuple(range(len(EventKind) + 1))
UNKNOWN_EDGES = (0, 1, 2)
MAX_CATEGORIES = 20
"""The number of bins of categories: the rarest categories share the last one."""

N_SCORE_BINS = 10
N_RANK_BINS = 10
TOP = 10
"""How many items of an answer are counted."""


def popularity_edges(n_items: int) -> list[float]:
    """Return edges of ranks, each bin wider than the one before by the same factor."""
    return [0.0, *np.geomspace(1, max(n_items, 2), N_RANK_BINS).round().tolist()]


def popularity_ranks(popularity: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Rank items, (n_items,), 0 for the most popular one."""
    ranks = np.empty(len(popularity), np.int64)
    ranks[np.argsort(-popularity, kind="stable")] = np.arange(len(popularity))
    return ranks


def score_edges(scores: Numbers) -> list[float]:
    """Return edges of bins that hold the same number of these scores each; ten at most."""
    if not len(scores):
        return [0.0, 1.0]
    return np.unique(np.quantile(scores, np.linspace(0, 1, N_SCORE_BINS + 1))).tolist()


def recency_days(moment: float, last_event: float) -> float:
    """Return the days between two Unix times in seconds; an event dated in the future counts as now."""
    return max(moment - last_event, 0.0) / SECONDS_PER_DAY


def answer_scores(scores: npt.NDArray[np.float32] | list[float]) -> tuple[float, float] | None:
    """Return TOP_SCORE and SCORE_SPREAD of an answer, whose scores fall; None if it has fewer than TOP items."""
    if len(scores) < TOP:
        return None
    return float(scores[0]), float(scores[0] - scores[TOP - 1])
