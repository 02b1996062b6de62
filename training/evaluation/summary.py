"""The quality table for a terminal."""

from __future__ import annotations

from typing import Any

from rich.table import Table


def quality_table(evaluation: dict[str, Any]) -> Table:
    """Models by metrics on the test slice, from a run's evaluation."""
    (protocol, part), *_ = evaluation["protocols"].items()
    models: dict[str, dict[str, float]] = part["models"]
    metrics = list(next(iter(models.values())))
    table = Table("model", *metrics, title=f"{protocol}, test slice")
    for name, values in models.items():
        style = "bold" if name in ("ensemble", "student", "student_int8") else None
        table.add_row(name, *(f"{values[metric]:.3f}" for metric in metrics), style=style)
    return table
