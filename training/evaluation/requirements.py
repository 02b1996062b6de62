"""The requirements that the service meets for any shop, and how a figure of a report is judged by a bound.

The figures of a report go in; verdicts come out. Nothing is estimated here: a figure that was not measured has no
verdict, and a missed bound is reported as missed. `targets` has the bounds on a shop's quality.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from training.quality.figures import Interval, headline
from training.quality.schema import Quality, Verdict, Words

HOLDS: dict[Words, Callable[[float, float], bool]] = {
    "at least": lambda reached, bound: reached >= bound,
    "above": lambda reached, bound: reached > bound,
    "at most": lambda reached, bound: reached <= bound,
    "under": lambda reached, bound: reached < bound,
}
REQUIREMENTS: dict[str, tuple[float, Words]] = {
    "latency_p99_ms": (50.0, "under"),
    "cost_per_request_usd": (0.001, "under"),
}
"""The bounds that the service promises any shop, in milliseconds and US dollars."""
MEANINGS = {
    "latency_p99_ms": "p99 latency of one answer, ms",
    "cost_per_request_usd": "cost of one answer, US dollars",
}
COMPRESSED = ("student_shipped", "student_tuned")
"""The possible names of the compressed student; a run has one of them."""


@dataclass(frozen=True)
class Target:
    """A bound on one figure. reached: None if it, or what it is compared with, was not measured."""

    figure: str
    meaning: str
    words: Words
    bound: float
    reached: float | None
    model: str
    protocol: str | None = None


def requirements_met(quality: Quality) -> list[Verdict]:
    """Judge each requirement of the service, for the compressed student."""
    shipped = shipped_name(quality)
    measured = quality.serving.get(shipped)
    if measured is None:
        return []
    return judged(
        Target(figure, MEANINGS[figure], words, bound, getattr(measured, figure), shipped)
        for figure, (bound, words) in REQUIREMENTS.items()
    )


def judged(targets: Iterable[Target]) -> list[Verdict]:
    """Return a verdict on each target whose figure was measured."""
    return [
        Verdict(
            figure=each.figure,
            meaning=each.meaning,
            bound=each.bound,
            words=each.words,
            reached=each.reached,
            met=HOLDS[each.words](each.reached, each.bound),
            model=each.model,
            protocol=each.protocol,
        )
        for each in targets
        if each.reached is not None
    ]


def shipped_name(quality: Quality) -> str:
    """Name the compressed student as the tables do: as shipped, or of tuned members; else the one distilled."""
    measured = {name for part in quality.protocols.values() for name in part.models}
    return next((name for name in COMPRESSED if name in measured), "student")


def metric_of(quality: Quality, protocol: str, model: str, metric: str) -> float | None:
    """Return a model's metric on the test, None if it was not measured."""
    part = quality.protocols.get(protocol)
    return part.models.get(model, {}).get(metric) if part else None


def interval_of(quality: Quality, protocol: str, models: str, metric: str) -> Interval | None:
    """Return the interval of a difference or ratio of two models, None if it was not measured."""
    return quality.intervals.get(protocol, {}).get(models, {}).get(metric)


def knowing(quality: Quality, n_items: int, model: str, metric: str) -> float | None:
    """Return a model's headline metric when n_items of a new person are known, None if it was not measured."""
    people = quality.cold_start.people if quality.cold_start else None
    point = people.models.get(model, {}).get(str(n_items)) if people else None
    return headline(point, metric) if point else None
