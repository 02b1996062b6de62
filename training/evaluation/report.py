"""The report: `quality.json` for machines, a self-contained HTML page for people, from one finished run."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from rich.console import Console

from training.evaluation import plots
from training.evaluation.benchmark import benchmark, machine
from training.evaluation.protocols import PROTOCOL
from training.runs import Run

SCHEMA_VERSION = 1
REQUIREMENTS = {
    "accuracy": (0.85, "at least"),
    "latency_p99_ms": (50.0, "under"),
    "cost_per_request_usd": (0.001, "under"),
}
"""What the service promises: accuracy on balanced pairs, milliseconds, US dollars."""


def write_report(run: Run, out: Path, *, price_per_vcpu_hour: float, console: Console) -> list[Path]:
    """Measure serving figures, then write both files into `out` and return their paths.

    price_per_vcpu_hour: US dollars. Raises RunMissing where the run is not finished.
    """
    evaluation = run.evaluation()
    serving = benchmark(run, price_per_vcpu_hour=price_per_vcpu_hour, console=console)
    quality = {
        "schema_version": SCHEMA_VERSION,
        "run": run.folder.name,
        "bundle": evaluation["bundle"],
        "protocols": evaluation["protocols"],
        "intervals": evaluation["intervals"],
        "serving": serving,
        "requirements": requirements_met(evaluation, serving),
        "compression": evaluation["compression"],
        "data": {key: value for key, value in evaluation["data"].items() if key != "history_lengths"},
        "split": evaluation["split"],
        "seed": evaluation["settings"]["seed"],
        "stages": evaluation["stages"],
        "price_per_vcpu_hour_usd": price_per_vcpu_hour,
        "machine": machine(),
    }
    out.mkdir(parents=True, exist_ok=True)
    json_path, html_path = out / "quality.json", out / "quality.html"
    json_path.write_text(json.dumps(quality, indent=1) + "\n")
    html_path.write_text(render(quality, evaluation))
    return [json_path, html_path]


def requirements_met(evaluation: dict[str, Any], serving: dict[str, Any]) -> list[dict[str, Any]]:
    """Each requirement beside what the shipped student reached."""
    shipped = shipped_name(evaluation)
    reached = {**evaluation["protocols"][PROTOCOL]["models"][shipped], **serving[shipped]}
    return [
        {
            "figure": figure,
            "bound": bound,
            "words": words,
            "reached": reached[figure],
            "met": reached[figure] >= bound if words == "at least" else reached[figure] < bound,
            "model": shipped,
        }
        for figure, (bound, words) in REQUIREMENTS.items()
    ]


def shipped_name(evaluation: dict[str, Any]) -> str:
    """Which student the bundle carries, by its name in the tables."""
    return "student_int8" if evaluation["compression"]["precision"] == "int8" else "student"


def render(quality: dict[str, Any], evaluation: dict[str, Any]) -> str:
    """The page. Everything is inline; it needs no network and no script."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"bytes": _bytes, "day": _day, "usd": _usd}
    template = environment.from_string(files("training.evaluation").joinpath("report.html.j2").read_text())
    return template.render(
        quality=quality, evaluation=evaluation, plots=_plots(quality, evaluation), protocol=PROTOCOL
    )


def _plots(quality: dict[str, Any], evaluation: dict[str, Any]) -> dict[str, Markup]:
    models = quality["protocols"][PROTOCOL]["models"]
    ours = {"ensemble", "student", "student_int8"}
    ndcg = {name: values["ndcg@10"] for name, values in models.items()}
    catalogue = {name: values["catalogue_ndcg@20"] for name, values in models.items()}
    gains = {
        name.replace("_minus_", " − "): part["catalogue_ndcg@20"]
        for name, part in quality["intervals"][PROTOCOL].items()
        if "_minus_" in name
    }
    drawn = {
        "ndcg": plots.bars(ndcg, "NDCG@10 among 99 sampled negatives", highlighted=ours),
        "catalogue": plots.bars(catalogue, "NDCG@20 over the whole catalogue", highlighted=ours),
        "gains": plots.intervals(gains, "gain in NDCG@20 over the whole catalogue, 95 % interval"),
        "trade_off": plots.trade_off(quality["serving"], catalogue, "NDCG@20, whole catalogue"),
        "weights": plots.weights(evaluation["feature_weights"], "weight of the standardised feature"),
        "history_lengths": plots.history_lengths(evaluation["data"]["history_lengths"]),
    }
    return {name: Markup(svg) for name, svg in drawn.items()}


def _bytes(value: float) -> str:
    return f"{value / 1e6:,.1f} MB" if value >= 1e6 else f"{value / 1e3:,.1f} kB"


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _usd(value: float) -> str:
    return f"${value:.9f}".rstrip("0")
