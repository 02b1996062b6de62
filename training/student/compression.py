"""fp32 or int8: decided by measured ranking quality and measured speed, never assumed.

int8 ships only if the upper end of the interval of its quality loss stays within the bound and it answers at
least as fast here; a small tower on one processor is often slower in int8. The evidence goes into the manifest.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.history import History
from models.student import Student, StudentFiles
from training.data.split import Questions
from training.evaluation.metrics import bootstrap_interval
from training.evaluation.protocols import Candidates, ScoreFunction, measure
from training.members.member import Floats
from training.settings import CompressionSettings

N_TIMED = 200
N_ROUNDS = 5


@dataclass(frozen=True)
class PrecisionChoice:
    """What ships and why. evidence: per precision, measured figures (latency in ms, sizes in bytes)."""

    precision: str
    reason: str
    evidence: dict[str, dict[str, float]]


def choose_precision(
    exports: dict[str, StudentFiles],
    questions: Questions,
    candidates: Candidates,
    settings: CompressionSettings,
    *,
    seed: int,
) -> PrecisionChoice:
    """Measure both on questions outside the test slice and choose."""
    students = {precision: Student(files) for precision, files in exports.items()}
    outcomes = {
        name: measure(student_scores(student), questions, candidates) for name, student in students.items()
    }
    latency = time_alternating(students, questions.histories[:N_TIMED])
    evidence = {
        name: {
            "catalogue_ndcg@20": float(outcomes[name].catalogue_ndcg.mean()),
            "ndcg@10": float(outcomes[name].ndcg.mean()),
            "latency_p50_ms": latency[name],
            "size_bytes": float(exports[name].size_bytes()),
        }
        for name in students
    }
    fp32 = outcomes["fp32"].catalogue_ndcg
    loss = (fp32 - outcomes["int8"].catalogue_ndcg) / max(fp32.mean(), 1e-9)
    low, high = bootstrap_interval(loss, seed=seed)
    speedup = latency["fp32"] / latency["int8"]
    evidence["int8"] |= {"relative_loss_low": low, "relative_loss_high": high, "speedup": speedup}
    measured = (
        f"int8 loses {loss.mean():.2%} of NDCG@20 (95 % interval {low:.2%} to {high:.2%}, "
        f"{settings.max_quality_loss:.2%} allowed) and answers {speedup:.2f} times as fast "
        f"({settings.min_speedup:.2f} needed)"
    )
    if high <= settings.max_quality_loss and speedup >= settings.min_speedup:
        return PrecisionChoice("int8", f"int8 ships: {measured}", evidence)
    return PrecisionChoice("fp32", f"fp32 is kept: {measured}", evidence)


def student_scores(student: Student) -> ScoreFunction:
    """The served graphs as a scoring function of histories."""

    def score(histories: Sequence[History]) -> Floats:
        return student.catalogue_scores(student.user_vectors(histories))

    return score


def time_alternating(students: dict[str, Student], histories: Sequence[History]) -> dict[str, float]:
    """Median milliseconds of one whole answer (tower and top 10), rounds interleaved between the students."""
    rounds: dict[str, list[float]] = {name: [] for name in students}
    for _ in range(N_ROUNDS):
        for name, student in students.items():
            rounds[name] += [_timed(student, history) for history in histories]
    return {name: float(np.median(times)) for name, times in rounds.items()}


def _timed(student: Student, history: History) -> float:
    started = time.perf_counter()
    student.top_k(student.user_vectors([history]), 10, blocked=[history.item_indices])
    return (time.perf_counter() - started) * 1e3
