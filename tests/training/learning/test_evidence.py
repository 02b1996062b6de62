"""A shop like one whose visitors look at anything and buy by taste: what views say is found out, not guessed."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from models.history import EventKind
from training.base.progress import Stages
from training.data.dataset import Dataset, index_shop
from training.data.shop import ITEM_SCHEMA, DropReport, assemble_shop
from training.data.split import split_by_time
from training.learning.evidence import with_tuned_evidence
from training.members.ease import EASE
from training.metrics.protocols import draw_candidates, measure
from training.recipe.settings import TrainingSettings

DAY = 86_400
N_KINDS, N_ITEMS = 4, 80


def shop(view_of: str) -> Dataset:
    """People buy items of one kind, three days apart. Before each purchase they view four others: of any kind, or of
    their own."""
    rng = np.random.default_rng(0)
    rows = []
    for person in range(160):
        own = np.arange(person % N_KINDS, N_ITEMS, N_KINDS)
        start = int(rng.integers(0, 30)) * DAY
        for visit, item in enumerate(rng.choice(own, 6, replace=False)):
            moment = start + visit * 3 * DAY
            viewed = rng.choice(np.arange(N_ITEMS) if view_of == "anything" else own, 4, replace=False)
            rows += [
                (f"u{person}", f"i{seen}", moment + n, int(EventKind.VIEW)) for n, seen in enumerate(viewed)
            ]
            rows.append((f"u{person}", f"i{item}", moment + 60, int(EventKind.PURCHASE)))
    table = pl.DataFrame(rows, schema=["user_id", "item_id", "time", "kind"], orient="row")
    table = table.with_columns(pl.col("kind").cast(pl.UInt8), value=pl.lit(1.0, pl.Float32))
    report = DropReport(table.height, table.height)
    return index_shop(
        assemble_shop("views", table, pl.DataFrame(schema=ITEM_SCHEMA), report, "made for a test")
    )


def stages() -> Stages:
    return Stages(Console(file=io.StringIO()))


@pytest.mark.parametrize(("view_of", "low", "high"), [("anything", 0.0, 0.1), ("taste", 0.1, 1.0)])
def test_views_weigh_what_they_say(view_of: str, low: float, high: float) -> None:
    split = split_by_time(shop(view_of), validation_share=0.2, test_share=0.2)
    tuned, figures = with_tuned_evidence(split, TrainingSettings(), stages())
    assert figures.target == "purchase"
    assert low <= figures.weights["view"] <= high
    tried = {float(weight): quality for weight, quality in figures.tried["view"].items()}
    assert tried[figures.weights["view"]] == max(tried.values())
    for past in (tuned.past, tuned.past_and_validation):
        assert past.evidence.weights[EventKind.VIEW] == pytest.approx(figures.weights["view"])
        assert past.evidence.weights[EventKind.PURCHASE] == 1.0


def test_noise_that_was_found_out_costs_nothing() -> None:
    split = split_by_time(shop("anything"), validation_share=0.2, test_share=0.2)
    tuned, _ = with_tuned_evidence(split, TrainingSettings(), stages())
    candidates = draw_candidates(split.test, N_ITEMS, seed=0)
    is_bought = split.past.histories.kinds == EventKind.PURCHASE
    assert is_bought.mean() == pytest.approx(0.2, abs=0.01)

    def hits(weight: float | None) -> float:
        evidence = tuned.past.evidence
        if weight is not None:
            weights = evidence.weights.copy()
            weights[EventKind.VIEW] = weight
            evidence = replace(evidence, weights=weights)
        member = EASE(l2=20.0).fit(replace(tuned.past, evidence=evidence), seed=0)
        return float(measure(member.score, split.test, candidates).ndcg.mean())

    assert hits(None) >= hits(0.0) - 0.02
    assert hits(None) > hits(1.0) + 0.05


def test_where_there_are_only_targets_nothing_is_searched() -> None:
    dataset = shop("anything")
    is_bought = dataset.histories.kinds == EventKind.PURCHASE
    n_kept = np.concatenate([[0], np.cumsum(is_bought)])
    bought = replace(
        dataset.histories,
        offsets=n_kept[dataset.histories.offsets],
        item_indices=dataset.histories.item_indices[is_bought],
        times=dataset.histories.times[is_bought],
        kinds=dataset.histories.kinds[is_bought],
    )
    split = split_by_time(replace(dataset, histories=bought), validation_share=0.2, test_share=0.2)
    tuned, figures = with_tuned_evidence(split, TrainingSettings(), stages())
    assert (figures.weights, figures.tried) == ({}, {})
    assert tuned.past.has_targets_alone
