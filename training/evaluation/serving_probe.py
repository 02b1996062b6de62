"""Serving figures of one model, measured in a process that holds nothing else.

Started by `benchmark` as `python -m training.evaluation.serving_probe RUN MODEL N`; prints one JSON object.
A request is one person's history in, the ten best unseen items out, one at a time on one thread.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.history import History
from models.student import Student
from training.runs import Run

K = 10
N_WARM_UP = 20

Answer = Callable[[History], npt.NDArray[np.int32]]


def probe(run: Run, model: str, n_requests: int) -> dict[str, float]:
    """Latency in ms (wall), CPU seconds a request, size on disk and this process's peak memory in bytes."""
    answer, size_bytes = _ensemble(run) if model == "ensemble" else _student(run, model)
    histories = run.histories()
    asked = [histories[position % len(histories)] for position in range(N_WARM_UP + n_requests)]
    for history in asked[:N_WARM_UP]:
        answer(history)
    times = []
    cpu_started = time.process_time()
    for history in asked[N_WARM_UP:]:
        started = time.perf_counter()
        answer(history)
        times.append((time.perf_counter() - started) * 1e3)
    cpu_seconds = (time.process_time() - cpu_started) / n_requests
    return {
        "latency_p50_ms": float(np.percentile(times, 50)),
        "latency_p99_ms": float(np.percentile(times, 99)),
        "cpu_seconds_per_request": cpu_seconds,
        "size_bytes": size_bytes,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _student(run: Run, model: str) -> tuple[Answer, int]:
    from training.student.files import load_student

    files = load_student(run.student("int8" if model == "student_int8" else "fp32"))
    student = Student(files)

    def answer(history: History) -> npt.NDArray[np.int32]:
        return student.top_k(student.user_vectors([history]), K, blocked=[history.item_indices]).item_indices[
            0
        ]

    return answer, files.size_bytes()


def _ensemble(run: Run) -> tuple[Answer, int]:
    from training.ensemble.ensemble import Ensemble
    from training.evaluation.metrics import top_items

    ensemble = Ensemble.load(run.ensemble)
    size_bytes = sum(file.stat().st_size for file in run.ensemble.iterdir())
    return lambda history: top_items(ensemble.score([history]), K)[0], size_bytes


if __name__ == "__main__":
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    folder, name, n = sys.argv[1:]
    json.dump(probe(Run.open(Path(folder)), name, int(n)), sys.stdout)
