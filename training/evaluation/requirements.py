"""What the service promises whatever the shop, and how a figure of a report is judged by a bound.

The figures of a report go in, verdicts come out. Nothing is estimated here: a figure that was not measured has no
verdict, and a bound that was missed is said to be missed. Which bounds a shop's quality has is in `targets`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Quality = dict[str, Any]
"""The figures of a report, as in quality.json."""
Words = Literal["at least", "above", "at most", "under"]

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
    """A bound on one figure, or on its ratio to or difference from another.

    path, over, minus: where figures are in a report, keys joined by "/"; a number is a position in a list.
    times: factor that brings the figure to the unit of `bound`.
    """

    meaning: str
    words: Words
    bound: float
    model: str
    protocol: str | None
    path: str
    over: str = ""
    minus: str = ""
    times: float = 1.0

    @property
    def figure(self) -> str:
        """The figure's own key, without which end of its interval is meant."""
        return next(
            key for key in reversed(self.path.split("/")) if key not in ("0", "1", "low", "high", "value")
        )

    def reached(self, quality: Quality) -> float | None:
        """The figure in a report; None where it, or what it is compared with, was not measured."""
        value = figure_at(quality, self.path)
        base, taken = figure_at(quality, self.over), figure_at(quality, self.minus)
        if value is None or (self.over and not base) or (self.minus and taken is None):
            return None
        return float(((value - (taken or 0.0)) / (base or 1.0)) * self.times)


def requirements_met(quality: Quality) -> list[dict[str, Any]]:
    """Each requirement of the service, for the compressed student."""
    shipped = shipped_name(quality)
    measured = quality.get("serving", {}).get(shipped, {})
    return [
        verdict(figure, MEANINGS[figure], words, bound, measured[figure], model=shipped, protocol=None)
        for figure, (bound, words) in REQUIREMENTS.items()
        if measured.get(figure) is not None
    ]


def verdict(
    figure: str,
    meaning: str,
    words: Words,
    bound: float,
    reached: float,
    *,
    model: str,
    protocol: str | None,
) -> dict[str, Any]:
    """One row of a report's `requirements` or `targets`."""
    return {
        "figure": figure,
        "meaning": meaning,
        "bound": bound,
        "words": words,
        "reached": reached,
        "met": HOLDS[words](reached, bound),
        "model": model,
        "protocol": protocol,
    }


def shipped_name(quality: Quality) -> str:
    """The compressed student, by its name in the tables: as shipped, or of tuned members; else the one taught."""
    measured = {name for _, table in tables_of_models(quality) for name in table}
    return next((name for name in COMPRESSED if name in measured), "student")


def tables_of_models(quality: Quality) -> list[tuple[str, dict[str, dict[str, float]]]]:
    """Protocol and its models' metrics, in the order measured."""
    return [(name, part["models"]) for name, part in quality.get("protocols", {}).items()]


def figure_at(quality: Quality, path: str) -> Any | None:
    """What is at a path, None where there is nothing."""
    found: Any = quality
    for key in path.split("/"):
        try:
            found = found[int(key)] if isinstance(found, list) else found[key]
        except (KeyError, IndexError, TypeError):
            return None
    return found
