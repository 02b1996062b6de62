"""Measure the serving figures of the ensemble and its students, each in its own process, and a request's cost."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import msgspec
from rich.console import Console

from training.base.progress import Stages
from training.base.runs import Run
from training.quality.schema import Machine, ProbedFigures, ServingFigures


class Load(NamedTuple):
    """The load on a model while it is timed."""

    n_requests: int
    n_batches: int


ENSEMBLE, SHIPPED = "ensemble", "student_shipped"
MODELS = {
    ENSEMBLE: Load(200, 40),
    "student": Load(2000, 400),
    "student_pruned": Load(2000, 400),
    SHIPPED: Load(2000, 400),
}
"""The models that are measured: the student as distilled (fp32), pruned (fp32), and as the bundle carries it."""
SECONDS_PER_HOUR = 3600.0
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def benchmark(run: Run, *, price_per_vcpu_hour: float, console: Console) -> dict[str, ServingFigures]:
    """Return figures by model. Cost is CPU seconds per request at the given price in US dollars, of model time alone;
    `make load` measures with HTTP."""
    serving = {}
    for model, load in MODELS.items():
        with Stages(console).stage(model, f"Timing {load.n_requests:,} requests of {model}"):
            serving[model] = benchmark_model(run, model, load, price_per_vcpu_hour=price_per_vcpu_hour)
    return serving


def benchmark_model(run: Run, model: str, load: Load, *, price_per_vcpu_hour: float) -> ServingFigures:
    """Measure one model in a fresh process that holds nothing else; see `serving_probe.probe`.

    cost_per_request_usd: cost of its CPU seconds at price_per_vcpu_hour, in US dollars.
    """
    command = [sys.executable, "-m", "training.evaluation.serving_probe", str(run.folder), model]
    finished = subprocess.run(
        [*command, *map(str, load)], stdout=subprocess.PIPE, check=True, env=os.environ | ONE_THREAD
    )
    figures = msgspec.json.decode(finished.stdout, type=ProbedFigures)
    cost = figures.cpu_seconds_per_request / SECONDS_PER_HOUR * price_per_vcpu_hour
    return ServingFigures(**msgspec.structs.asdict(figures), cost_per_request_usd=cost)


def machine() -> Machine:
    """Describe the machine on which the figures were measured."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return Machine(
        cpu=names[0] if names else platform.processor(),
        cores=str(os.cpu_count()),
        system=platform.platform(terse=True),
        python=platform.python_version(),
    )
