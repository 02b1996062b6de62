"""What the service promises whatever the shop, and how a figure of a report is judged by a bound.

The figures of a report go in, verdicts come out. Nothing is estimated here: a figure that was not measured has no
verdict, and a bound that was missed is said to be missed. Which bounds a shop's quality has is in `targets`.
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
"""What the service promises any shop: milliseconds, US dollars."""
MEANINGS = {
    "latency_p99_ms": "p99 latency of one answer, ms",
    "cost_per_request_usd": "cost of one answer, US dollars",
}
COMPRESSED = ("student_shipped", "student_tuned")
"""What the compressed student is called: in a run there is one of them."""


@dataclass(frozen=True)
class Target:
    """A bound on one figure. reached: None where it, or what it is compared with, was not measured."""

    figure: str
    meaning: str
    words: Words
    bound: float
    reached: float | None
    model: str
    protocol: str | None = None


def requirements_met(quality: Quality) -> list[Verdict]:
    """Each requirement of the service, for the compressed student."""
    shipped = shipped_name(quality)
    measured = quality.serving.get(shipped)
    if measured is None:
        return []
    return judged(
        Target(figure, MEANINGS[figure], words, bound, getattr(measured, figure), shipped)
        for figure, (bound, words) in REQUIREMENTS.items()
    )


def judged(targets: Iterable[Target]) -> list[Verdict]:
    """A verdict on each target whose figure was measured."""
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
    """The compressed student, by its name in the tables: as shipped, or of tuned members; else the one taught."""
    measured = {name for part in quality.protocols.values() for name in part.models}
    return next((name for name in COMPRESSED if name in measured), "student")


def metric_of(quality: Quality, protocol: str, model: str, metric: str) -> float | None:
    """A model's metric on the test, None where it was not measured."""
    part = quality.protocols.get(protocol)
    return part.models.get(model, {}).get(metric) if part else None


def interval_of(quality: Quality, protocol: str, models: str, metric: str) -> Interval | None:
    """The interval of a difference or ratio of two models, None where it was not measured."""
    return quality.intervals.get(protocol, {}).get(models, {}).get(metric)


def knowing(quality: Quality, n_items: int, model: str, metric: str) -> float | None:
    """A model's headline metric when so many items of a new person are known, None where it was not measured."""
    people = quality.cold_start.people if quality.cold_start else None
    point = people.models.get(model, {}).get(str(n_items)) if people else None
    return headline(point, metric) if point else None
