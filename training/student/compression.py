"""The compression step: prune the student along a curve of sparsity, quantize each point, and choose what ships.

A distilled student goes in. Each point of the curve prunes the student of the point before a little further and
teaches it again; points that hold are also quantized. `certification` measures every version on questions outside of
the test set and chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from models.history import History
from models.student import StudentFiles
from training.base.callback import Progress
from training.data.split import Questions
from training.metrics.protocols import Candidates
from training.student.certification import (
    REFERENCE,
    CertificationSettings,
    Certifier,
    Evidence,
    Version,
    choose,
)
from training.student.export import export_student
from training.student.pruning import PruningSettings, Widths, curve_of_widths, prune
from training.student.quantization import quantized_versions
from training.student.tower import StudentModel

N_CALIBRATED = 512
"""Number of histories from which static quantization takes its ranges."""
N_CHECKED = 64
"""Number of histories on which every export is compared with torch."""

Recover = Callable[[StudentModel], StudentModel]
"""Teach a pruned student again, and return it."""


@dataclass(frozen=True)
class CompressedStudent:
    """What the compression step leaves.

    versions: "student" is unpruned and in fp32. "student_pruned" is in fp32 too: the pruned student that the shipped
    one was made from; if that is unpruned, the narrowest that holds; if none does, the unpruned. "student_shipped" is
    what ships.
    shipped: the shipped version's name in the evidence. reason: why it ships, a sentence.
    evidence: see `certification.Evidence`; each version has its sparsity, n_heads, n_hidden and n_neighbours too. The
    pruning curve consists of the fp32 versions, wide to narrow.
    """

    versions: dict[str, StudentFiles]
    shipped: str
    reason: str
    evidence: Evidence

    @property
    def precision(self) -> str:
        """Precision of the shipped student, "fp32" or "int8"."""
        return self.versions["student_shipped"].precision


def compress_student(
    model: StudentModel,
    recover: Recover,
    examples: Sequence[History],
    judge_on: tuple[Questions, Candidates],
    pruning: PruningSettings,
    certification: CertificationSettings,
    *,
    seed: int,
    progress: Progress,
) -> CompressedStudent:
    """Prune, quantize, measure and choose.

    examples: histories that the student was taught on; they measure importance and calibrate activations.
    judge_on: questions outside of the test set with their candidates; `Certifier` says who has seen them.
    """
    whole = Widths.of(model.settings)
    first = export_student(model, _spread(examples, N_CHECKED))
    judge = Certifier(first["fp32"], *judge_on, certification, seed=seed)
    calibrate_on = _spread(examples, N_CALIBRATED)
    measured = _Measured(judge, {}, {})
    measured.add_point("", first, calibrate_on, _describe(0.0, whole))
    points = curve_of_widths(whole, pruning)
    for n_done, point in enumerate(points):
        progress(n_done / len(points), f"{point.sparsity:.0%} of heads and units pruned")
        pruned = prune(model, point.widths, _spread(examples, pruning.n_examples), seed=seed)
        model = recover(pruned)
        exports = export_student(model, _spread(examples, N_CHECKED))
        name = f"pruned_{100 * point.sparsity:.0f}_"
        measured.add_point(name, exports, calibrate_on, _describe(point.sparsity, point.widths))
    return measured.chosen(certification)


@dataclass(frozen=True)
class _Measured:
    """Versions and their evidence by name, in the order they are made; the reference comes first."""

    judge: Certifier
    versions: dict[str, Version]
    evidence: Evidence

    def add_point(
        self,
        prefix: str,
        exports: dict[str, StudentFiles],
        calibrate_on: Sequence[History],
        description: dict[str, float],
    ) -> None:
        """Measure one student in fp32 and, only if it holds, in fewer bits, which could only lose more."""
        fp32 = Version.of(f"{prefix}{REFERENCE}", exports["fp32"])
        self._add(fp32, description)
        if self.evidence[fp32.name]["holds"]:
            for version in quantized_versions(exports, calibrate_on, prefix=prefix):
                self._add(version, description)

    def chosen(self, settings: CertificationSettings) -> CompressedStudent:
        """Time every version that can be served, in turns, and let certification choose."""
        served = [version for version in self.versions.values() if version.is_served]
        for name, latency_ms in self.judge.time(served).items():
            self.evidence[name]["latency_p50_ms"] = latency_ms
        choice = choose(self.evidence, settings)
        versions = {
            "student": self.versions[REFERENCE].files,
            "student_pruned": self.versions[self._pruned(choice.name)].files,
            "student_shipped": self.versions[choice.name].files,
        }
        return CompressedStudent(versions, choice.name, choice.reason, self.evidence)

    def _add(self, version: Version, description: dict[str, float]) -> None:
        self.versions[version.name] = version
        self.evidence[version.name] = self.judge.evidence(version) | description

    def _pruned(self, shipped: str) -> str:
        """Name the fp32 version of the shipped student's point or, if unpruned, of the sparsest point that holds."""
        sparsity = self.evidence[shipped]["sparsity"]
        curve = {name: row for name, row in self.evidence.items() if name.endswith(REFERENCE)}
        if sparsity:
            return next(name for name, row in curve.items() if row["sparsity"] == sparsity)
        return max(
            (name for name, row in curve.items() if row["holds"]), key=lambda name: curve[name]["sparsity"]
        )


def _describe(sparsity: float, widths: Widths) -> dict[str, float]:
    return {"sparsity": sparsity} | {name: float(n) for name, n in widths._asdict().items()}


def _spread(histories: Sequence[History], n_kept: int) -> list[History]:
    """Keep at most n_kept histories, spread evenly over the whole list."""
    rows = np.unique(np.linspace(0, len(histories) - 1, min(n_kept, len(histories))).astype(int))
    return [histories[row] for row in rows]
