"""The bounds by which the quality of a shop is judged.

    any shop             its own baselines: the ensemble against its members, the student against the ensemble and the
                         most popular items, what ships against what it was made from
    UCI Online Retail    figures that were promised for it, which do not apply to the figures of another shop

A report recognises Online Retail by the content of its data (`is_online_retail`), not by a file's name.
"""

from __future__ import annotations

from collections.abc import Iterator

from training.data.online_retail import is_online_retail
from training.evaluation.requirements import (
    Target,
    interval_of,
    judged,
    knowing,
    metric_of,
    shipped_name,
)
from training.quality.schema import Explanations, Quality, Verdict

HEADLINES = (("ndcg@10", "NDCG@10"), ("catalogue_ndcg@20", "NDCG@20"))
MIN_KEPT = 0.95
"""Share of the ensemble's quality that the student of any shop should keep. On Online Retail it keeps 98 %."""
MAX_ACCURACY_LOSS = 2.0
"""The most percentage points of accuracy that the student of any shop may lose against its ensemble."""


def targets_met(quality: Quality) -> list[Verdict]:
    """Judge each bound that applies to any shop and whose figure was measured, against the shop's own baselines."""
    return judged(_of_any_shop(quality))


def promises_met(quality: Quality) -> list[Verdict]:
    """Judge each figure promised for UCI Online Retail that was measured on it; [] for any other shop."""
    if quality.data is None or not is_online_retail(quality.data):
        return []
    return judged(_of_online_retail(quality))


def _of_any_shop(quality: Quality) -> Iterator[Target]:
    shipped = shipped_name(quality)
    for protocol in quality.protocols:
        yield from _against_baselines(quality, protocol, shipped)
    for ratio, meaning in (
        ("size", "times smaller than the ensemble"),
        ("latency", "times faster than the ensemble, p50"),
        ("model_memory", "times less memory than the ensemble"),
    ):
        yield Target(ratio, meaning, "at least", 1.0, quality.ratios.get(ratio), shipped)
    for metric, words in HEADLINES:
        yield Target(
            metric,
            f"lead over the most popular items in {words} after two events",
            "at least",
            0.0,
            _minus(knowing(quality, 2, shipped, metric), knowing(quality, 2, "popular", metric)),
            shipped,
        )
    if quality.data and quality.data.n_items_with_text:
        yield _lead_among_new_items(quality, "random", "chance")
    explanations = quality.explanations or Explanations()
    yield Target(
        "removal_pass_rate",
        "explanations that pass the removal test, beside those of another item",
        "above",
        0.0,
        _minus(explanations.removal_pass_rate, explanations.control_pass_rate),
        shipped,
    )


def _against_baselines(quality: Quality, protocol: str, shipped: str) -> Iterator[Target]:
    for metric, words in HEADLINES:
        yield Target(
            metric,
            f"lead over the best member in {words}, upper end",
            "at least",
            0.0,
            _upper(quality, protocol, "ensemble_minus_best_member", metric),
            "ensemble",
            protocol,
        )
        yield Target(
            metric,
            f"lead over the most popular items in {words}, lower end",
            "above",
            0.0,
            _lower(quality, protocol, f"{shipped}_minus_popular", metric),
            shipped,
            protocol,
        )
        yield _kept(quality, protocol, shipped, (metric, words), MIN_KEPT)
        of_new_people = quality.retention.get(protocol, {}).get("new_people", {}).get(metric)
        yield Target(
            metric,
            f"share of the ensemble's {words} kept on new people, upper end",
            "at least",
            MIN_KEPT,
            of_new_people.high if of_new_people else None,
            shipped,
            protocol,
        )
        yield Target(
            metric,
            f"gain in {words} from distillation, upper end",
            "at least",
            0.0,
            _upper(quality, protocol, "student_minus_student_without_distillation", metric),
            "student",
            protocol,
        )
    yield _points_lost(quality, protocol, shipped, MAX_ACCURACY_LOSS)


def _of_online_retail(quality: Quality) -> Iterator[Target]:
    shipped = shipped_name(quality)
    for protocol in quality.protocols:
        yield from _promised(quality, protocol, shipped)
    for ratio, meaning, bound in (
        ("size", "times smaller than the ensemble", 25.0),
        ("latency", "times faster than the ensemble, p50", 10.0),
        ("model_memory", "times less memory for the model", 18.0),
        ("peak_memory", "times less peak memory of the whole process", 18.0),
    ):
        yield Target(ratio, meaning, "at least", bound, quality.ratios.get(ratio), shipped)
    yield from _of_cold_start(quality, shipped)
    yield Target(
        "removal_pass_rate",
        "share of explanations that pass the removal test",
        "at least",
        0.95,
        quality.explanations.removal_pass_rate if quality.explanations else None,
        shipped,
    )


def _promised(quality: Quality, protocol: str, shipped: str) -> Iterator[Target]:
    accuracy = metric_of(quality, protocol, shipped, "accuracy")
    yield Target("accuracy", "accuracy on balanced pairs", "at least", 0.85, accuracy, shipped, protocol)
    for metric, words in HEADLINES:
        lead = _lower(quality, protocol, "ensemble_minus_best_member", metric)
        meaning = f"lead over the best member in {words}, lower end"
        yield Target(metric, meaning, "above", 0.0, lead, "ensemble", protocol)
    if protocol == "leave_last_out":
        for metric, words, bound in (
            ("ndcg@10", "NDCG@10", 0.58),
            ("accuracy", "accuracy on balanced pairs", 0.86),
            ("auc", "AUC on balanced pairs", 0.93),
        ):
            reached = metric_of(quality, protocol, "ensemble", metric)
            yield Target(metric, words, "at least", bound, reached, "ensemble", protocol)
    for metric, words in HEADLINES:
        yield _kept(quality, protocol, shipped, (metric, words), 0.98)
        of_new_people = quality.retention.get(protocol, {}).get("new_people", {}).get(metric)
        yield Target(
            metric,
            f"share of the ensemble's {words} kept on new people",
            "at least",
            0.97,
            of_new_people.value if of_new_people else None,
            shipped,
            protocol,
        )
        gain = _lower(quality, protocol, "student_minus_student_without_distillation", metric)
        meaning = f"gain in {words} from distillation, lower end"
        yield Target(metric, meaning, "above", 0.0, gain, "student", protocol)
    yield _points_lost(quality, protocol, shipped, 0.7)


def _of_cold_start(quality: Quality, shipped: str) -> Iterator[Target]:
    student = shipped if knowing(quality, 2, shipped, "ndcg@10") is not None else "student"
    for metric, words in HEADLINES:
        yield Target(
            metric,
            f"{words} after two events, share of that after twenty",
            "at least",
            0.6,
            _over(knowing(quality, 2, student, metric), knowing(quality, 20, student, metric)),
            student,
        )
    for baseline, words in (("popular", "popularity"), ("random", "chance")):
        yield _lead_among_new_items(quality, baseline, words)


def _kept(quality: Quality, protocol: str, shipped: str, metric: tuple[str, str], bound: float) -> Target:
    """Make the target for the share of a metric that the student keeps. metric: its name, and the words for it."""
    name, words = metric
    ours, theirs = (metric_of(quality, protocol, model, name) for model in (shipped, "ensemble"))
    meaning = f"share of the ensemble's {words} kept"
    return Target(name, meaning, "at least", bound, _over(ours, theirs), shipped, protocol)


def _points_lost(quality: Quality, protocol: str, shipped: str, bound: float) -> Target:
    theirs, ours = (metric_of(quality, protocol, model, "accuracy") for model in ("ensemble", shipped))
    lost = _minus(theirs, ours)
    points = None if lost is None else lost * 100.0
    meaning = "points of accuracy lost against the ensemble"
    return Target("accuracy", meaning, "at most", bound, points, shipped, protocol)


def _lead_among_new_items(quality: Quality, baseline: str, words: str) -> Target:
    items = quality.cold_start.items if quality.cold_start else None
    lead = items.differences.get(f"student_text_minus_{baseline}", {}).get("ndcg@10") if items else None
    meaning = f"lead over {words} in NDCG@10 among items known by their text alone, lower end"
    return Target("ndcg@10", meaning, "above", 0.0, lead.low if lead else None, "student_text")


def _lower(quality: Quality, protocol: str, models: str, metric: str) -> float | None:
    found = interval_of(quality, protocol, models, metric)
    return found[0] if found else None


def _upper(quality: Quality, protocol: str, models: str, metric: str) -> float | None:
    found = interval_of(quality, protocol, models, metric)
    return found[1] if found else None


def _minus(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or theirs is None else ours - theirs


def _over(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or not theirs else ours / theirs
