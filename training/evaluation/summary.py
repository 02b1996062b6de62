"""Format the quality tables for a terminal."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table

from training.evaluation.words import METRICS, OURS, model_words, protocol_words
from training.quality.figures import Metrics
from training.quality.schema import Quality

SHOWN = ("accuracy", "auc", "hr@10", "ndcg@10", "catalogue_recall@20", "catalogue_ndcg@20", "coverage")
"""The metrics that fit a terminal; the report has all of them."""


def quality_table(evaluation: Quality) -> Group:
    """Format models by metrics on the test slice, one table per protocol, from a run's evaluation."""
    beside = evaluation.recipe.beside if evaluation.recipe else []
    return Group(*(_table(protocol, part.models, beside) for protocol, part in evaluation.protocols.items()))


def _table(protocol: str, models: dict[str, Metrics], beside: list[str]) -> Table:
    measured = [
        metric
        for metric in METRICS
        if metric.name in SHOWN and any(metric.name in values for values in models.values())
    ]
    table = Table(title=f"{protocol_words(protocol)}, test slice")
    table.add_column("\nmodel", no_wrap=True)
    for metric in measured:
        table.add_column(f"{metric.group.split()[0]}\n{metric.title}", justify="right", no_wrap=True)
    for name, values in models.items():
        shown = (f"{values[metric.name]:.3f}" if metric.name in values else "" for metric in measured)
        table.add_row(
            model_words(name, is_beside=name in beside), *shown, style="bold" if name in OURS else None
        )
    return table
