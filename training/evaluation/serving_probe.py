"""Measure the serving figures of one model in a process that holds nothing else.

`benchmark` starts it as `python -m training.evaluation.serving_probe RUN MODEL N_REQUESTS N_BATCHES`; it prints one
JSON object. A request takes one person's history and returns the ten best unseen items; a batch is sixteen requests
at once. Requests and batches run one at a time, on one thread.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from models.history import History
from training.base.runs import Run
from training.quality.schema import ProbedFigures

K = 10
BATCH_SIZE = 16
N_WARM_UP = 20
"""Number of requests, and of batches, that are answered before the clock starts."""

IDENTITY = (
    b'\x08\t:7\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02'
    b"\x08\x01b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\x11"
)
"""An ONNX graph that returns its input, y = x. It is given as bytes, because importing onnx would add to this
process's memory."""

Answer = Callable[[Sequence[History]], npt.NDArray[np.int32]]
"""A function from histories to the best unseen items, (n_people, K)."""


class Loaded(NamedTuple):
    """A model that is ready to answer, and the bytes on disk of the files that it answers from."""

    answer: Answer
    size_bytes: int


def probe(run: Run, model: str, n_requests: int, n_batches: int) -> ProbedFigures:
    """Measure wall latency in ms for one and for sixteen people, CPU seconds per request, throughput and bytes.

    peak_memory_bytes: the most memory of the whole process. model_memory_bytes: the part of that which came after the
    libraries that this model needs were imported, each runtime among them had answered something trivial
    (onnxruntime's first session takes 10 MB whatever it holds), and the histories of the requests were read. So it
    covers the model, what libraries allocate for it, and what an answer needs temporarily. Throughput is people per
    second in batches.
    """
    load = LOADERS.get(model, _student_loader)()
    histories = run.histories()
    started_bytes = resident_bytes()
    forget_peak()
    answer, size_bytes = load(run, model)
    single = _time(answer, _batches(histories, 1, N_WARM_UP + n_requests))
    batched = _time(answer, _batches(histories, BATCH_SIZE, N_WARM_UP + n_batches))
    peak_bytes = peak_resident_bytes()
    return ProbedFigures(
        latency_p50_ms=float(np.percentile(single.wall_ms, 50)),
        latency_p99_ms=float(np.percentile(single.wall_ms, 99)),
        latency_batch16_p50_ms=float(np.percentile(batched.wall_ms, 50)),
        latency_batch16_p99_ms=float(np.percentile(batched.wall_ms, 99)),
        throughput_per_second=BATCH_SIZE * len(batched.wall_ms) / (sum(batched.wall_ms) / 1e3),
        cpu_seconds_per_request=single.cpu_seconds / n_requests,
        size_bytes=size_bytes,
        peak_memory_bytes=peak_bytes,
        model_memory_bytes=peak_bytes - started_bytes,
    )


def resident_bytes() -> int:
    """Return the bytes that this process holds in memory now."""
    return _status_bytes("VmRSS")


def peak_resident_bytes() -> int:
    """Return the most bytes that this process held since it started, or since `forget_peak`.

    getrusage's ru_maxrss is not used, because a child starts with its parent's value: a small model measured from a
    large process would look as large.
    """
    return _status_bytes("VmHWM")


def forget_peak() -> None:
    """Reset the peak to what is resident now, so that a burst during imports does not count as the model's."""
    Path("/proc/self/clear_refs").write_text("5")


def _status_bytes(field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None, f"{field} is in every Linux status"
    return int(found[1]) * 1024


class _Times(NamedTuple):
    wall_ms: list[float]
    cpu_seconds: float


def _time(answer: Answer, batches: Sequence[Sequence[History]]) -> _Times:
    """Answer all batches, and time those after the first `N_WARM_UP`."""
    for batch in batches[:N_WARM_UP]:
        answer(batch)
    wall_ms = []
    cpu_started = time.process_time()
    for batch in batches[N_WARM_UP:]:
        started = time.perf_counter()
        answer(batch)
        wall_ms.append((time.perf_counter() - started) * 1e3)
    return _Times(wall_ms, time.process_time() - cpu_started)


def _batches(histories: Sequence[History], size: int, n_batches: int) -> list[list[History]]:
    """Make batches of people in turn, starting again from the first after the last."""
    return [
        [histories[(batch * size + place) % len(histories)] for place in range(size)]
        for batch in range(n_batches)
    ]


def _student_loader() -> Callable[[Run, str], Loaded]:
    """Import and start what a student needs: numpy and onnxruntime."""
    from models.student import Student
    from training.student.files import load_student

    _start_onnxruntime()

    def load(run: Run, model: str) -> Loaded:
        files = load_student(run.student(model))
        student = Student(files)

        def answer(histories: Sequence[History]) -> npt.NDArray[np.int32]:
            seen = [history.item_indices for history in histories]
            return student.recommend(histories, K, blocked=seen).item_indices

        return Loaded(answer, files.size_bytes())

    return load


def _ensemble_loader() -> Callable[[Run, str], Loaded]:
    """Import and start what the ensemble needs: the libraries of all members and strategies."""
    import torch

    from training.ensemble.ensemble import Ensemble
    from training.metrics.metrics import top_items

    _start_onnxruntime()
    torch.nn.functional.linear(torch.ones(2, 2), torch.ones(2, 2))

    def load(run: Run, model: str) -> Loaded:
        ensemble = Ensemble.load(run.ensemble)
        size_bytes = sum(file.stat().st_size for file in run.ensemble.rglob("*") if file.is_file())
        return Loaded(lambda histories: top_items(ensemble.score(histories), K), size_bytes)

    return load


def _start_onnxruntime() -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(IDENTITY, providers=["CPUExecutionProvider"])
    session.run(None, {"x": np.zeros(1, np.float32)})


LOADERS = {"ensemble": _ensemble_loader}
"""Loaders of the models that are not students."""


if __name__ == "__main__":
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    folder, name, n_single, n_of_batches = sys.argv[1:]
    measured = probe(Run.open(Path(folder)), name, int(n_single), int(n_of_batches))
    sys.stdout.buffer.write(msgspec.json.encode(measured))
