"""`python -m training shadow`: send the same requests to the bundle in service and to another, side by side.

Nothing is promoted and nobody is shown anything; it measures how different the answers are, how fast, and how empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from models.bundles.bundle import Bundle, read_bundle
from models.bundles.registry import Registry
from models.bundles.variants import STUDENT
from training.base.errors import NothingToReplay
from training.experiments.logged import LoggedHistory, read_log
from training.experiments.rankers import Ranker, Rankers

ATTRIBUTION_SECONDS = 1800
N_WARM_UP = 20


@dataclass(frozen=True)
class Side:
    """One bundle's results.

    empty: share of answers without an item. short: share with fewer items than requested. *_ms: one request at a
    time, without the service around it. unknown_items: share of the histories' events whose item the bundle does not
    know.
    """

    version: str
    empty: float
    short: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    unknown_items: float


@dataclass(frozen=True)
class Shadow:
    """The comparison of two bundles' answers.

    overlap: mean share of a list's items that the other list has too. same_first: share of answers with the same
    first item. same_list: share of answers that are equal.
    """

    n_requests: int
    source: str
    limit: int
    overlap: float
    same_first: float
    same_list: float
    in_service: Side
    shadow: Side

    def record(self) -> dict[str, Any]:
        """Return the comparison for JSON."""
        return asdict(self)


def shadow_run(
    version: str, *, store: Path, log: Path | None, n_requests: int, limit: int, seed: int
) -> Shadow:
    """Replay logged requests or, without a log, histories of people from the bundle in service.

    Raises NothingToReplay if the log has no history, and RegistryError for a version that does not exist.
    """
    registry = Registry(store)
    bundles = [read_bundle(registry.path(each)) for each in (registry.current(), version)]
    if log is None:
        requests, source = _of_people(bundles[0], n_requests, seed), f"people of {bundles[0].version}"
    else:
        requests, source = _logged(log, store, n_requests), str(log)
    lists, seconds = _ask_both([Ranker(bundle, STUDENT) for bundle in bundles], requests, limit)
    sides = [
        _side(bundle, requests, answers, taken, limit)
        for bundle, answers, taken in zip(bundles, lists, seconds, strict=True)
    ]
    pairs = list(zip(*lists, strict=True))
    return Shadow(
        len(requests),
        source,
        limit,
        overlap=_mean([_overlap(one, other) for one, other in pairs]),
        same_first=_mean([one[:1] == other[:1] for one, other in pairs]),
        same_list=_mean([one == other for one, other in pairs]),
        in_service=sides[0],
        shadow=sides[1],
    )


def _of_people(bundle: Bundle, n_requests: int, seed: int) -> list[LoggedHistory]:
    histories, id_of = bundle.people.histories, bundle.items.vocabulary.id_of
    rows = np.flatnonzero(np.diff(histories.offsets) > 0)
    if not len(rows):
        raise NothingToReplay(f"bundle {bundle.version} knows nobody; name a log: --log data/events")
    drawn = np.random.default_rng(seed).permutation(rows)[:n_requests]
    return [
        LoggedHistory(
            [id_of(item_index) for item_index in history.item_indices.tolist()],
            history.times.tolist(),
            history.kinds.tolist(),
        )
        for history in (histories[row] for row in drawn.tolist())
    ]


def _logged(log: Path, store: Path, n_requests: int) -> list[LoggedHistory]:
    """Return the histories of the newest requests whose history is known."""
    read, rankers = read_log(log, outcome="click", window_seconds=ATTRIBUTION_SECONDS), Rankers(store)
    found: list[LoggedHistory] = []
    for answer in reversed(read.answers):
        if len(found) == n_requests:
            break
        history = rankers.history(answer, read.events_of.get(answer.user_id or "", ()))
        if history is not None:
            found.append(history)
    if not found:
        raise NothingToReplay(
            f"of {len(read.answers):,} logged answers in {log} none has a history that is known; raise "
            "STILLROOM_SAMPLED_SHARE, or leave --log out"
        )
    return found


def _ask_both(
    rankers: Sequence[Ranker], requests: Sequence[LoggedHistory], limit: int
) -> tuple[list[list[list[str]]], list[list[float]]]:
    """Return item ids and seconds by ranker and request. Rankers take turns, so that both meet the same machine."""
    lists: list[list[list[str]]] = [[] for _ in rankers]
    seconds: list[list[float]] = [[] for _ in rankers]
    for ranker in rankers:
        for request in requests[:N_WARM_UP]:
            ranker.rank([request], [limit])
    for request in requests:
        for ranker, answers, taken in zip(rankers, lists, seconds, strict=True):
            started_at = perf_counter()
            [answer] = ranker.rank([request], [limit])
            taken.append(perf_counter() - started_at)
            answers.append(answer)
    return lists, seconds


def _side(
    bundle: Bundle,
    requests: Sequence[LoggedHistory],
    answers: Sequence[list[str]],
    seconds: Sequence[float],
    limit: int,
) -> Side:
    find = bundle.items.vocabulary.find
    are_unknown = [find(item_id) is None for request in requests for item_id in request.item_ids]
    p50, p95, p99 = (1000 * np.quantile(seconds, [0.5, 0.95, 0.99])).tolist()
    return Side(
        bundle.version,
        empty=_mean([not answer for answer in answers]),
        short=_mean([len(answer) < limit for answer in answers]),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        unknown_items=_mean(are_unknown),
    )


def _overlap(one: list[str], other: list[str]) -> float:
    return len(set(one) & set(other)) / max(len(one), len(other), 1)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
