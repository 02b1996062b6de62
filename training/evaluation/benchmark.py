"""Serving figures of the ensemble and both students, each in its own process, and what a request costs."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from training.progress import Stages
from training.runs import Run

MODELS = {"ensemble": 200, "student": 2000, "student_int8": 2000}
"""Models and how many requests each is timed over."""
SECONDS_PER_HOUR = 3600.0
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def benchmark(run: Run, *, price_per_vcpu_hour: float, console: Console) -> dict[str, dict[str, float]]:
    """Model -> figure -> value. Cost is CPU seconds a request at the given price in US dollars; model time alone,
    without HTTP, which `make load` measures."""
    serving = {}
    for model, n_requests in MODELS.items():
        with Stages(console).stage(model, f"Timing {n_requests:,} requests of {model}"):
            command = [sys.executable, "-m", "training.evaluation.serving_probe"]
            finished = subprocess.run(
                [*command, str(run.folder), model, str(n_requests)],
                capture_output=True,
                check=True,
                env=os.environ | ONE_THREAD,
            )
        figures = json.loads(finished.stdout)
        figures["cost_per_request_usd"] = (
            figures["cpu_seconds_per_request"] / SECONDS_PER_HOUR * price_per_vcpu_hour
        )
        serving[model] = figures
    return serving


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": str(os.cpu_count()),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
    }
