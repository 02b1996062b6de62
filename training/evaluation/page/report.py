"""The report: `quality.json` for machines, a self-contained HTML page for people, from one finished run.

What a run measured goes in; serving figures are measured here. The page is made from quality.json and nothing else.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from training.base.runs import Run
from training.evaluation.benchmark import SHIPPED, benchmark, machine
from training.evaluation.page.render import render
from training.evaluation.requirements import (
    REQUIREMENTS,
    Quality,
    requirements_met,
    shipped_name,
    tables_of_models,
)
from training.evaluation.targets import promises_met, targets_met

__all__ = ["REQUIREMENTS", "SCHEMA_VERSION", "write_report"]

SCHEMA_VERSION = 1
SIMULATED = ("experiments", "monitoring")
"""Files of the report's folder that other commands write and the page draws."""

RATIOS = {
    "size": "size_bytes",
    "latency": "latency_p50_ms",
    "model_memory": "model_memory_bytes",
    "peak_memory": "peak_memory_bytes",
}
TOP_SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)


def write_report(run: Run, out: Path, *, price_per_vcpu_hour: float, console: Console) -> list[Path]:
    """Measure serving figures, then write both files into `out` and return their paths.

    price_per_vcpu_hour: US dollars. Raises RunMissing where the run is not finished.
    """
    evaluation = run.evaluation()
    serving = benchmark(run.timed(), price_per_vcpu_hour=price_per_vcpu_hour, console=console)
    quality = assemble(evaluation, serving) | {
        "run": run.folder.name,
        "price_per_vcpu_hour_usd": price_per_vcpu_hour,
        "machine": machine(),
        **simulated(out),
    }
    out.mkdir(parents=True, exist_ok=True)
    json_path, html_path = out / "quality.json", out / "quality.html"
    json_path.write_text(json.dumps(quality, indent=1) + "\n")
    html_path.write_text(render(quality))
    return [json_path, html_path]


def simulated(out: Path) -> dict[str, Any]:
    """What was simulated beside the run and lies in the report's folder, by its part of the report."""
    files = {name: out / f"{name}.json" for name in SIMULATED}
    return {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}


def assemble(evaluation: dict[str, Any], serving: dict[str, dict[str, float]]) -> Quality:
    """Every figure of a report: what the run measured, what serving costs, and the verdicts on both.

    Parts that the run did not measure are absent here too.
    """
    quality: Quality = {
        "schema_version": SCHEMA_VERSION,
        **evaluation,
        "data": summarised(evaluation.get("data", {})),
        "seed": evaluation.get("seed", evaluation.get("settings", {}).get("seed")),
        "serving": serving,
    }
    # A run's folder knows the compressed student as shipped; where members were tuned, nothing of the run ships.
    quality["serving"] = {
        shipped_name(quality) if name == SHIPPED else name: row for name, row in serving.items()
    }
    quality["ratios"] = ratios(quality)
    return quality | {
        "requirements": requirements_met(quality),
        "targets": targets_met(quality),
        "promises": promises_met(quality),
    }


def ratios(quality: Quality) -> dict[str, float]:
    """How many times less the shipped student needs than the ensemble, and the points of accuracy it costs.

    The points are those of the protocol where it costs most; negative where the student is better everywhere.
    """
    shipped = shipped_name(quality)
    teacher, student = (quality["serving"].get(name, {}) for name in ("ensemble", shipped))
    times = {
        name: teacher[figure] / student[figure]
        for name, figure in RATIOS.items()
        if teacher.get(figure) and student.get(figure)
    }
    lost = [
        100 * (models["ensemble"]["accuracy"] - models[shipped]["accuracy"])
        for _, models in tables_of_models(quality)
        if {"ensemble", shipped} <= set(models)
    ]
    return times | ({"accuracy_points": max(lost)} if lost else {})


def summarised(data: dict[str, Any]) -> dict[str, Any]:
    """The data's portrait with distributions in place of lists as long as the shop has people or items.

    `history_lengths`, events of each person, become `people_by_history_length`; `item_counts`, events of each item,
    become `event_share_of_top_items`: the share of all events that the most popular share of items has.
    """
    portrait = {key: value for key, value in data.items() if key not in ("history_lengths", "item_counts")}
    if lengths := data.get("history_lengths"):
        counted = sorted(Counter(lengths).items())
        portrait["people_by_history_length"] = {str(length): n for length, n in counted}
    if counts := data.get("item_counts"):
        falling = np.sort(np.asarray(counts, np.float64))[::-1]
        portrait["event_share_of_top_items"] = {
            str(share): float(falling[: max(round(share * len(falling)), 1)].sum() / falling.sum())
            for share in TOP_SHARES
        }
    return portrait
