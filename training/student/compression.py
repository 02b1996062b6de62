"""The compression step: students along a curve of sparsity, each in several precisions, and the one that ships.

A distilled student goes in. Each point of the curve prunes the one before it a little further and teaches it again;
the points that hold are quantized too. `certification` measures every version on questions outside of test and
chooses.
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
"""Histories that the ranges of static quantization are taken from."""
N_CHECKED = 64
"""Histories that every export is compared with torch on."""

Recover = Callable[[StudentModel], StudentModel]
"""Teach a pruned student again, and return it."""


@dataclass(frozen=True)
class CompressedStudent:
    """What the step leaves.

    versions: "student", unpruned and fp32; "student_pruned", fp32 too, the pruned student that the shipped one was
    made of, or else the narrowest that holds, or else the unpruned; "student_shipped".
    shipped: the shipped version's name in the evidence. reason: why it ships, a sentence.
    evidence: see `certification.Evidence`; beside that a version's sparsity, n_heads, n_hidden and n_neighbours. The
    curve is its fp32 versions, wide to narrow.
    """

    versions: dict[str, StudentFiles]
    shipped: str
    reason: str
    evidence: Evidence

    @property
    def precision(self) -> str:
        """Of the shipped student, "fp32" or "int8"."""
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
    """Prune, quantize, measure, choose.

    examples: histories it was taught on; they show which parts matter and calibrate activations.
    judge_on: questions outside of test, and what is asked about each; see `Certifier` on who has seen them.
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
    """Versions and their evidence, by name, as they come up; the reference is the first."""

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
        """Measure one student in fp32 and, if it holds, in fewer bits too: those could only lose more."""
        fp32 = Version.of(f"{prefix}{REFERENCE}", exports["fp32"])
        self._add(fp32, description)
        if self.evidence[fp32.name]["holds"]:
            for version in quantized_versions(exports, calibrate_on, prefix=prefix):
                self._add(version, description)

    def chosen(self, settings: CertificationSettings) -> CompressedStudent:
        """Time everything that can be served, in turns, and let the gate choose."""
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
        """The fp32 version of the shipped student's point, or else of the sparsest point that holds."""
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
    """At most n_kept of them, evenly over the whole list."""
    rows = np.unique(np.linspace(0, len(histories) - 1, min(n_kept, len(histories))).astype(int))
    return [histories[row] for row in rows]
