"""Histograms of an invented shop for drift detection to compare live traffic with, as in training/bundling.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from models.student import Student
from training.scale.people import ScalePeople

N_ASKED = 500
"""People whose best score is asked for."""
N_RANK_EDGES = 12


def reference_histograms(student: Student, people: ScalePeople) -> dict[str, Any]:
    """Edges and counts by name. Events are counted by item already, so nobody's history is read but N_ASKED."""
    histories, n_items = people.histories, len(people.n_touched)
    rows = np.linspace(0, len(histories) - 1, min(N_ASKED, len(histories))).astype(int)
    asked = [histories[row] for row in rows]
    best = student.recommend(asked, 1, blocked=[history.item_indices for history in asked]).scores[:, 0]
    by_rank = np.sort(people.n_touched)[::-1]
    return {
        "history_length": _histogram(np.diff(histories.offsets), [0, 1, 2, 3, 5, 10, 20, 50, 100, 1_000]),
        "event_kind": _histogram(np.concatenate([each.kinds for each in asked]), list(range(6))),
        "item_popularity_rank": _histogram(
            np.arange(n_items), [0, *np.geomspace(1, n_items, N_RANK_EDGES).round()], by_rank
        ),
        "top_score": _histogram(best, np.quantile(best, np.linspace(0, 1, 11)).tolist()),
    }


def _histogram(
    values: npt.NDArray[Any], edges: list[float], weights: npt.NDArray[Any] | None = None
) -> dict[str, list[float]]:
    edges = sorted({float(edge) for edge in edges})
    counts, _ = np.histogram(values, edges if len(edges) > 1 else [edges[0], edges[0] + 1], weights=weights)
    return {"edges": edges, "counts": counts.tolist()}
