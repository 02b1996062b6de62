"""Which bounds the quality of a shop is held against.

    any shop             its own baselines: the ensemble against its members, the student against the ensemble and the
                         most popular items, what ships against what it was made from
    UCI Online Retail    figures that were promised for it, which a figure of another shop says nothing about

A report tells Online Retail by what is in the data (`is_online_retail`), not by a file's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from training.data.online_retail import is_online_retail
from training.evaluation.requirements import (
    Quality,
    Target,
    figure_at,
    shipped_name,
    tables_of_models,
    verdict,
)

HEADLINES = (("ndcg@10", "NDCG@10"), ("catalogue_ndcg@20", "NDCG@20"))
MIN_KEPT = 0.95
"""Of the ensemble's quality that the student of any shop should keep. On Online Retail it keeps 98 %."""
MAX_ACCURACY_LOSS = 2.0
"""Percentage points that the student of any shop may lose against its ensemble."""


def targets_met(quality: Quality) -> list[dict[str, Any]]:
    """Each bound of any shop whose figure was measured: against the shop's own baselines."""
    return _judged(quality, [*_of_any_shop(quality)])


def promises_met(quality: Quality) -> list[dict[str, Any]]:
    """Each figure promised for UCI Online Retail that was measured on it; nothing for any other shop."""
    if not is_online_retail(quality.get("data", {})):
        return []
    return _judged(quality, [*_of_online_retail(quality)])


def _judged(quality: Quality, targets: list[Target]) -> list[dict[str, Any]]:
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


def _of_any_shop(quality: Quality) -> Iterator[Target]:
    shipped = shipped_name(quality)
    for protocol, _ in tables_of_models(quality):
        yield from _against_baselines(protocol, shipped)
    for ratio, meaning in (
        ("size", "times smaller than the ensemble"),
        ("latency", "times faster than the ensemble, p50"),
        ("model_memory", "times less memory than the ensemble"),
    ):
        yield Target(meaning, "at least", 1.0, shipped, None, f"ratios/{ratio}")
    people = f"cold_start/people/models/{shipped}"
    for metric, words in HEADLINES:
        yield Target(
            f"lead over the most popular items in {words} after two events",
            "at least",
            0.0,
            shipped,
            None,
            f"{people}/2/{metric}",
            minus=f"cold_start/people/models/popular/2/{metric}",
        )
    if figure_at(quality, "data/n_items_with_text"):
        yield _lead_among_new_items("random", "chance")
    yield Target(
        "explanations that pass the removal test, beside those of another item",
        "above",
        0.0,
        shipped,
        None,
        "explanations/removal_pass_rate",
        minus="explanations/control_pass_rate",
    )


def _against_baselines(protocol: str, shipped: str) -> Iterator[Target]:
    models, intervals = f"protocols/{protocol}/models", f"intervals/{protocol}"
    for metric, words in HEADLINES:
        yield Target(
            f"lead over the best member in {words}, upper end",
            "at least",
            0.0,
            "ensemble",
            protocol,
            f"{intervals}/ensemble_minus_best_member/{metric}/1",
        )
        yield Target(
            f"lead over the most popular items in {words}, lower end",
            "above",
            0.0,
            shipped,
            protocol,
            f"{intervals}/{shipped}_minus_popular/{metric}/0",
        )
        yield _kept(protocol, shipped, metric, words, MIN_KEPT)
        yield Target(
            f"share of the ensemble's {words} kept on new people, upper end",
            "at least",
            MIN_KEPT,
            shipped,
            protocol,
            f"retention/{protocol}/new_people/{metric}/high",
        )
        yield Target(
            f"gain in {words} from distillation, upper end",
            "at least",
            0.0,
            "student",
            protocol,
            f"{intervals}/student_minus_student_without_distillation/{metric}/1",
        )
    yield _points_lost(
        f"{models}/ensemble/accuracy", f"{models}/{shipped}/accuracy", protocol, shipped, MAX_ACCURACY_LOSS
    )


def _of_online_retail(quality: Quality) -> Iterator[Target]:
    shipped = shipped_name(quality)
    for protocol, _ in tables_of_models(quality):
        yield from _promised(protocol, shipped)
    for ratio, meaning, bound in (
        ("size", "times smaller than the ensemble", 25.0),
        ("latency", "times faster than the ensemble, p50", 10.0),
        ("model_memory", "times less memory for the model", 18.0),
        ("peak_memory", "times less peak memory of the whole process", 18.0),
    ):
        yield Target(meaning, "at least", bound, shipped, None, f"ratios/{ratio}")
    yield from _of_cold_start(quality, shipped)
    yield Target(
        "share of explanations that pass the removal test",
        "at least",
        0.95,
        shipped,
        None,
        "explanations/removal_pass_rate",
    )


def _promised(protocol: str, shipped: str) -> Iterator[Target]:
    models, intervals = f"protocols/{protocol}/models", f"intervals/{protocol}"
    yield Target(
        "accuracy on balanced pairs", "at least", 0.85, shipped, protocol, f"{models}/{shipped}/accuracy"
    )
    for metric, words in HEADLINES:
        lead = f"{intervals}/ensemble_minus_best_member/{metric}/0"
        yield Target(
            f"lead over the best member in {words}, lower end", "above", 0.0, "ensemble", protocol, lead
        )
    if protocol == "leave_last_out":
        for metric, words, bound in (
            ("ndcg@10", "NDCG@10", 0.58),
            ("accuracy", "accuracy on balanced pairs", 0.86),
            ("auc", "AUC on balanced pairs", 0.93),
        ):
            yield Target(words, "at least", bound, "ensemble", protocol, f"{models}/ensemble/{metric}")
    for metric, words in HEADLINES:
        yield _kept(protocol, shipped, metric, words, 0.98)
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
    yield _points_lost(f"{models}/ensemble/accuracy", f"{models}/{shipped}/accuracy", protocol, shipped, 0.7)


def _of_cold_start(quality: Quality, shipped: str) -> Iterator[Target]:
    people = figure_at(quality, "cold_start/people/models") or {}
    student = shipped if shipped in people else "student"
    curve = f"cold_start/people/models/{student}"
    for metric, words in HEADLINES:
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
        yield _lead_among_new_items(baseline, words)


def _kept(protocol: str, shipped: str, metric: str, words: str, bound: float) -> Target:
    ours, theirs = (f"protocols/{protocol}/models/{model}/{metric}" for model in (shipped, "ensemble"))
    meaning = f"share of the ensemble's {words} kept"
    return Target(meaning, "at least", bound, shipped, protocol, ours, over=theirs)


def _points_lost(theirs: str, ours: str, protocol: str, shipped: str, bound: float) -> Target:
    meaning = "points of accuracy lost against the ensemble"
    return Target(meaning, "at most", bound, shipped, protocol, theirs, minus=ours, times=100.0)


def _lead_among_new_items(baseline: str, words: str) -> Target:
    return Target(
        f"lead over {words} in NDCG@10 among items known by their text alone, lower end",
        "above",
        0.0,
        "student_text",
        None,
        f"cold_start/items/differences/student_text_minus_{baseline}/ndcg@10/low",
    )
