"""Put live traffic through the monitor's own windows and detectors, and record their alarms and times."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models.history import History
from models.monitoring import inputs
from models.monitoring.disagreement import Scored, judge
from models.monitoring.drift import DriftWindows
from models.monitoring.falls import FallDetector
from models.monitoring.scored_requests import ScoringModel, WatchedRequest, score_requests, scoring_models
from training.bundling.reference import Traffic, watched
from training.simulations.monitoring.world import Trained

WINDOW_EVENTS = 500
WINDOW_SECONDS = 43_200
WINDOW_SCORED = 200
ACCURACY = "click"
DISAGREEMENT = "disagreement"
AT_ONCE = 256


@dataclass
class Said:
    """The monitor's record of one future. n_windows: by input. alarms: (Unix seconds, input)."""

    n_windows: dict[str, int] = field(default_factory=dict)
    alarms: list[tuple[int, str]] = field(default_factory=list)

    def closed(self, name: str, moment: int, is_alarm: bool) -> None:
        """Record a closed window."""
        self.n_windows[name] = self.n_windows.get(name, 0) + 1
        if is_alarm:
            self.alarms.append((moment, name))

    def first_after(self, moment: int, name: str | None = None) -> int | None:
        """Return seconds from a moment to the first alarm, of one input or of any; None if there was none."""
        after = [at - moment for at, own in self.alarms if at >= moment and name in (None, own)]
        return min(after, default=None)


@dataclass(frozen=True)
class Answered:
    """Live requests with the student's answers; n requests, one per event.

    histories: of every request. top: (n, 10) items. scores: (n, 10). lengths, recencies: (n,), the latter NaN for a
    person without events.
    """

    histories: list[History]
    top: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    lengths: npt.NDArray[np.int64]
    recencies: npt.NDArray[np.float64]


def answer(trained: Trained, traffic: Traffic) -> Answered:
    """Ask the student just before every event."""
    histories = [traffic.history_before(row) for row in range(len(traffic))]
    parts = []
    for start in range(0, len(histories), AT_ONCE):
        chunk = histories[start : start + AT_ONCE]
        left_out = list(map(trained.own_items.left_out, chunk))
        parts.append(
            trained.student.recommend(
                chunk, inputs.TOP, blocked=left_out, allowed=trained.items.recommendable
            )
        )
    recencies = [
        inputs.recency_days(moment, history.times[-1]) if len(history) else np.nan
        for moment, history in zip(traffic.times, histories, strict=True)
    ]
    return Answered(
        histories,
        np.concatenate([part.item_indices for part in parts]).astype(np.int64),
        np.concatenate([part.scores for part in parts]),
        np.array([len(np.unique(history.item_indices)) for history in histories], np.int64),
        np.array(recencies, np.float64),
    )


def replay(trained: Trained, traffic: Traffic, answered: Answered, said: Said) -> None:
    """Replay drift of inputs and falls of accuracy; an answer is a hit if the event is of an item in it."""
    windows = DriftWindows(trained.reference.inputs, minimum=WINDOW_EVENTS, seconds=WINDOW_SECONDS)
    detector = FallDetector()
    hits = (answered.top == traffic.item_indices[:, None]).any(axis=1)
    for start in range(0, len(traffic), 50):
        rows = slice(start, start + 50)
        moment = int(traffic.times[rows][0])
        for name, numbers in _numbers(trained, traffic, answered, rows).items():
            windows.add(name, numbers, moment)
        for found in windows.close(moment):
            said.closed(found.name, moment, found.is_alarm)
        was_alarm = detector.is_alarm
        for hit in hits[rows]:
            detector.add(bool(hit), moment)
        said.closed(ACCURACY, moment, detector.is_alarm and not was_alarm)


def _numbers(
    trained: Trained, traffic: Traffic, answered: Answered, rows: slice
) -> dict[str, npt.NDArray[np.float64]]:
    items = traffic.item_indices[rows]
    known = items[items >= 0]
    scores = answered.scores[rows]
    numbers = {
        inputs.HISTORY_LENGTH: answered.lengths[rows],
        inputs.RECENCY_DAYS: answered.recencies[rows],
        inputs.EVENT_KIND: traffic.kinds[rows],
        inputs.UNKNOWN_ITEM: items < 0,
        inputs.TOP_SCORE: scores[:, 0],
        inputs.SCORE_SPREAD: scores[:, 0] - scores[:, -1],
        **trained.catalogue.numbers(known),
    }
    return {name: np.asarray(each, np.float64) for name, each in numbers.items()}


def score_live(
    trained: Trained,
    requests: list[WatchedRequest],
    damaged: dict[str, ScoringModel] | None = None,
) -> Scored:
    """Score requests by every model. damaged: replace the models of the same names."""
    reference = trained.reference.disagreement
    assert reference is not None
    models = {**scoring_models(trained.ensemble, trained.student), **(damaged or {})}
    catalogue = trained.catalogue
    return score_requests(models, requests, catalogue.ranks, catalogue.available, reference.popularity_bounds)


def sampled(
    trained: Trained, traffic: Traffic, answered: Answered, every: int
) -> tuple[list[int], list[WatchedRequest]]:
    """Return rows of every so many requests, and these requests as the monitor gets them."""
    rows = list(range(0, len(traffic), every))
    histories = [answered.histories[row] for row in rows]
    requests = watched(trained.student, histories, trained.items.recommendable, trained.own_items)
    return rows, [
        request._replace(seed=int(traffic.times[row])) for row, request in zip(rows, requests, strict=True)
    ]


def replay_scored(trained: Trained, scored: Scored, times: npt.NDArray[np.int64], said: Said) -> None:
    """Replay windows of disagreement, one after the other. times: (n,) of the requests."""
    reference = trained.reference.disagreement
    assert reference is not None
    for start in range(0, len(scored) - WINDOW_SCORED + 1, WINDOW_SCORED):
        rows = np.arange(start, start + WINDOW_SCORED)
        moved = judge(reference, scored.take(rows)).moved
        said.closed(DISAGREEMENT, int(times[rows[-1]]), bool(moved))
