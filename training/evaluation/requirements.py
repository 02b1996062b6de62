"""What was asked for, beside what was reached: the service's requirements, and the targets of the whole recipe.

The figures of a report go in, verdicts come out. Nothing is estimated here: a figure that was not measured has no
verdict, and a bound that was missed is said to be missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    "accuracy": (0.85, "at least"),
    "latency_p99_ms": (50.0, "under"),
    "cost_per_request_usd": (0.001, "under"),
}
"""What the service promises: accuracy on balanced pairs, milliseconds, US dollars."""
MEANINGS = {
    "accuracy": "accuracy on balanced pairs",
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
        return next(key for key in reversed(self.path.split("/")) if key not in ("0", "low", "value"))

    def reached(self, quality: Quality) -> float | None:
        """The figure in a report; None where it, or what it is compared with, was not measured."""
        value = figure_at(quality, self.path)
        base, taken = figure_at(quality, self.over), figure_at(quality, self.minus)
        if value is None or (self.over and not base) or (self.minus and taken is None):
            return None
        return float(((value - (taken or 0.0)) / (base or 1.0)) * self.times)


def requirements_met(quality: Quality) -> list[dict[str, Any]]:
    """Each requirement of the service, for the shipped student; accuracy once a protocol."""
    shipped = shipped_name(quality)
    rows = []
    for figure, (bound, words) in REQUIREMENTS.items():
        for protocol, table in [*tables_of_models(quality), (None, quality.get("serving", {}))]:
            reached = table.get(shipped, {}).get(figure)
            if reached is not None:
                rows.append(
                    verdict(figure, MEANINGS[figure], words, bound, reached, model=shipped, protocol=protocol)
                )
    return rows


def targets_met(quality: Quality) -> list[dict[str, Any]]:
    """Each target whose figure was measured. The absolute ones were set for UCI Online Retail."""
    shipped = shipped_name(quality)
    targets = [
        *(target for protocol, _ in tables_of_models(quality) for target in _of_quality(protocol, shipped)),
        *_of_costs(shipped),
        *_of_cold_start(quality),
        *_of_explanations(shipped),
    ]
    return [
        verdict(
            target.figure,
            target.meaning,
            target.words,
            target.bound,
            reached,
            model=target.model,
            protocol=target.protocol,
        )
        for target in targets
        if (reached := target.reached(quality)) is not None
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


def _of_quality(protocol: str, shipped: str) -> Iterator[Target]:
    models, intervals = f"protocols/{protocol}/models", f"intervals/{protocol}"
    for metric, words in (("ndcg@10", "NDCG@10"), ("catalogue_ndcg@20", "NDCG@20")):
        gain = f"{intervals}/ensemble_minus_best_member/{metric}/0"
        yield Target(
            f"lead over the best member in {words}, lower end", "above", 0.0, "ensemble", protocol, gain
        )
    if protocol == "leave_last_out":
        for metric, words, bound in (
            ("ndcg@10", "NDCG@10", 0.58),
            ("accuracy", "accuracy on balanced pairs", 0.86),
            ("auc", "AUC on balanced pairs", 0.93),
        ):
            yield Target(words, "at least", bound, "ensemble", protocol, f"{models}/ensemble/{metric}")
    for metric, words in (("ndcg@10", "NDCG@10"), ("catalogue_ndcg@20", "NDCG@20")):
        ours, theirs = f"{models}/{shipped}/{metric}", f"{models}/ensemble/{metric}"
        yield Target(
            f"share of the ensemble's {words} kept", "at least", 0.98, shipped, protocol, ours, over=theirs
        )
        strangers = f"retention/{protocol}/new_people/{metric}/value"
        yield Target(
            f"share of the ensemble's {words} kept on new people",
            "at least",
            0.97,
            shipped,
            protocol,
            strangers,
        )
        gain = f"{intervals}/student_minus_student_without_distillation/{metric}/0"
        yield Target(f"gain in {words} from distillation, lower end", "above", 0.0, "student", protocol, gain)
    yield Target(
        "points of accuracy lost against the ensemble",
        "at most",
        0.7,
        shipped,
        protocol,
        f"{models}/ensemble/accuracy",
        minus=f"{models}/{shipped}/accuracy",
        times=100.0,
    )


def _of_costs(shipped: str) -> Iterator[Target]:
    for ratio, meaning, bound in (
        ("size", "times smaller than the ensemble", 25.0),
        ("latency", "times faster than the ensemble, p50", 10.0),
        ("model_memory", "times less memory for the model", 18.0),
        ("peak_memory", "times less peak memory of the whole process", 18.0),
    ):
        yield Target(meaning, "at least", bound, shipped, None, f"ratios/{ratio}")


def _of_cold_start(quality: Quality) -> Iterator[Target]:
    people = figure_at(quality, "cold_start/people/models") or {}
    student = shipped_name(quality) if shipped_name(quality) in people else "student"
    curve, leads = f"cold_start/people/models/{student}", "cold_start/items/differences"
    for metric, words in (("ndcg@10", "NDCG@10"), ("catalogue_ndcg@20", "NDCG@20")):
        yield Target(
            f"{words} after two events, share of that after twenty",
            "at least",
            0.6,
            student,
            None,
            f"{curve}/2/{metric}",
            over=f"{curve}/20/{metric}",
        )
    for baseline, words in (("popular", "popularity"), ("random", "chance")):
        yield Target(
            f"lead over {words} in NDCG@10 among items known by their text alone, lower end",
            "above",
            0.0,
            "student_text",
            None,
            f"{leads}/student_text_minus_{baseline}/ndcg@10/low",
        )


def _of_explanations(shipped: str) -> Iterator[Target]:
    yield Target(
        "share of explanations that pass the removal test",
        "at least",
        0.95,
        shipped,
        None,
        "explanations/removal_pass_rate",
    )
