"""Write the report of a finished run: `quality.json` for machines, and a self-contained HTML page for people.

What the run measured goes in; serving figures are measured here. The page is made only from quality.json.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from rich.console import Console

from training.base.runs import Run
from training.evaluation.benchmark import SHIPPED, benchmark, machine
from training.evaluation.page.render import render
from training.evaluation.requirements import requirements_met, shipped_name
from training.evaluation.targets import promises_met, targets_met
from training.quality.schema import SCHEMA_VERSION, DataPortrait, Quality, ServingFigures
from training.quality.simulated import ExperimentsStudy, MonitoringStudy

Study = TypeVar("Study", ExperimentsStudy, MonitoringStudy)

RATIOS = {
    "size": "size_bytes",
    "latency": "latency_p50_ms",
    "model_memory": "model_memory_bytes",
    "peak_memory": "peak_memory_bytes",
}
TOP_SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)


def write_report(run: Run, out: Path, *, price_per_vcpu_hour: float, console: Console) -> list[Path]:
    """Measure serving figures, then write both files into `out` and return their paths.

    price_per_vcpu_hour: in US dollars. Raises RunMissing if the run is not finished.
    """
    evaluation = run.evaluation()
    serving = benchmark(run.timed(), price_per_vcpu_hour=price_per_vcpu_hour, console=console)
    quality = assemble(evaluation, serving)
    quality.run, quality.price_per_vcpu_hour_usd = run.folder.name, price_per_vcpu_hour
    quality.machine = machine()
    quality.experiments = simulated(out / "experiments.json", ExperimentsStudy)
    quality.monitoring = simulated(out / "monitoring.json", MonitoringStudy)
    out.mkdir(parents=True, exist_ok=True)
    json_path, html_path = out / "quality.json", out / "quality.html"
    json_path.write_text(quality.to_json() + "\n")
    html_path.write_text(render(quality))
    return [json_path, html_path]


def simulated(file: Path, study: type[Study]) -> Study | None:
    """Read what another command simulated and left in the report's folder; None if it did not run."""
    return msgspec.json.decode(file.read_bytes(), type=study) if file.exists() else None


def assemble(evaluation: Quality, serving: Mapping[str, ServingFigures]) -> Quality:
    """Join every figure of a report: what the run measured, what serving costs, and the verdicts on both."""
    quality = copy(evaluation)
    quality.schema_version = SCHEMA_VERSION
    quality.data = evaluation.data and summarised(evaluation.data)
    # A run's folder calls the compressed student shipped, but if members were tuned, nothing of the run ships.
    shipped = shipped_name(evaluation)
    quality.serving = {shipped if name == SHIPPED else name: row for name, row in serving.items()}
    quality.ratios = ratios(quality)
    quality.requirements = requirements_met(quality)
    quality.targets = targets_met(quality)
    quality.promises = promises_met(quality)
    return quality


def ratios(quality: Quality) -> dict[str, float]:
    """Return how many times less the shipped student needs than the ensemble, and the points of accuracy it costs.

    The points are those of the protocol where it costs most; they are negative if the student is better everywhere.
    """
    shipped = shipped_name(quality)
    teacher, student = (quality.serving.get(name) for name in ("ensemble", shipped))
    times = {
        name: getattr(teacher, figure) / getattr(student, figure)
        for name, figure in RATIOS.items()
        if teacher and student
    }
    lost = [
        100 * (part.models["ensemble"]["accuracy"] - part.models[shipped]["accuracy"])
        for part in quality.protocols.values()
        if {"ensemble", shipped} <= set(part.models)
    ]
    return times | ({"accuracy_points": max(lost)} if lost else {})


def summarised(data: DataPortrait) -> DataPortrait:
    """Replace the lists in the data's portrait, which are as long as there are people or items, by distributions.

    `history_lengths` (events of each person) become `people_by_history_length`; `item_counts` (events of each item)
    become `event_share_of_top_items`: the share of all events that the most popular share of items has.
    """
    lengths, shares = data.people_by_history_length, data.event_share_of_top_items
    if data.history_lengths:
        lengths = {str(length): n for length, n in sorted(Counter(data.history_lengths).items())}
    if data.item_counts:
        falling = np.sort(np.asarray(data.item_counts, np.float64))[::-1]
        shares = {
            str(share): float(falling[: max(round(share * len(falling)), 1)].sum() / falling.sum())
            for share in TOP_SHARES
        }
    return msgspec.structs.replace(
        data,
        history_lengths=None,
        item_counts=None,
        people_by_history_length=lengths,
        event_share_of_top_items=shares,
    )
