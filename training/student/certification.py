"""Certification: of several versions of one student, ship the fastest that provably loses next to nothing.

Versions (pruned, quantized, or both) are run by the same code that serves them. Each answers the same questions as
the reference, the unpruned fp32 student, and is timed in rounds that take turns. The fastest version whose loss
interval stays within the bound ships; the reference itself always stays within it. All evidence goes into the
manifest.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass as settings_dataclass

from models.history import History
from models.student import Student, StudentFiles
from training.base.strict import STRICT
from training.data.split import Questions
from training.metrics.comparison import ratio_interval
from training.metrics.metrics import Doubles
from training.metrics.protocols import Candidates, measure

REFERENCE = "fp32"
"""The version with which all others are compared."""
CERTIFIED = ("ndcg@10", "catalogue_ndcg@20")
"""The metrics that may not be lost: ranking among sampled candidates, and in the whole catalogue."""
N_TIMED = 200
N_ROUNDS = 5


@settings_dataclass(config=STRICT, frozen=True)
class CertificationSettings:
    """What a faster version may cost, and how surely that must be known."""

    max_quality_loss: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Largest relative loss of NDCG that may ship, at the upper end of its 95 % interval; "
        "with fewer people the interval is wider and harder to pass.",
    )
    speed_tie: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Versions that are slower than the fastest by at most this share tie with it; the "
        "smallest of them ships.",
    )
    max_people: int = Field(
        default=4_000,
        ge=1,
        le=10**7,
        description="Maximum number of people measured, drawn by seed; raising it narrows the interval.",
    )


@dataclass(frozen=True)
class Version:
    """One version of the student.

    size_bytes: its size on disk. is_served: whether the service can run it as measured; if not, it never ships.
    """

    name: str
    files: StudentFiles
    size_bytes: int
    is_served: bool = True

    @staticmethod
    def of(name: str, files: StudentFiles) -> Version:
        """Make a version that is served as it is stored on disk."""
        return Version(name, files, files.size_bytes())


Evidence = dict[str, dict[str, float]]
"""Version -> figure -> value. Each metric of `CERTIFIED` has its mean, and `<metric>_loss`, `_loss_low` and
`_loss_high`, relative to the reference. Beside them: holds and is_served (1 or 0), n_people, size_bytes, and
latency_p50_ms if the version is served."""


class Certifier:
    """Asks versions of one student the same questions.

    questions: from outside of the test set. The student was taught by members that have seen validation events, so
    its figures there flatter it; but all versions are of this one student, so what one loses against another is a
    fair, paired difference.
    """

    def __init__(
        self,
        reference: StudentFiles,
        questions: Questions,
        candidates: Candidates,
        settings: CertificationSettings,
        *,
        seed: int,
    ) -> None:
        self._questions, self._candidates = _sampled(questions, candidates, settings.max_people, seed)
        self._settings, self._seed = settings, seed
        self._reference = self._figures_of_people(reference)

    def evidence(self, version: Version) -> dict[str, float]:
        """Measure quality, loss and size of one version; see `Evidence`. Latency is measured by `time_in_turns`."""
        row = {"size_bytes": float(version.size_bytes), "n_people": float(len(self._questions))}
        holds = True
        for figure, ours in self._figures_of_people(version.files).items():
            theirs = self._reference[figure]
            kept_low, kept_high = ratio_interval(ours, theirs, seed=self._seed)
            row |= {
                figure: float(ours.mean()),
                f"{figure}_loss": float(1.0 - ours.mean() / max(theirs.mean(), 1e-12)),
                f"{figure}_loss_low": 1.0 - kept_high,
                f"{figure}_loss_high": 1.0 - kept_low,
            }
            holds = holds and row[f"{figure}_loss_high"] <= self._settings.max_quality_loss
        return row | {"holds": float(holds), "is_served": float(version.is_served)}

    def time(self, versions: Sequence[Version]) -> dict[str, float]:
        """Measure the median milliseconds of one answer, by version."""
        students = {version.name: Student(version.files) for version in versions}
        return time_in_turns(students, self._questions.histories[:N_TIMED])

    def _figures_of_people(self, files: StudentFiles) -> dict[str, Doubles]:
        outcome = measure(Student(files).catalogue_scores, self._questions, self._candidates)
        of_people = outcome.of_people()
        return {figure: of_people[figure] for figure in CERTIFIED}


@dataclass(frozen=True)
class VersionChoice:
    """The version that ships, and the reason in one sentence."""

    name: str
    reason: str


def choose(evidence: Mapping[str, Mapping[str, float]], settings: CertificationSettings) -> VersionChoice:
    """Take the fastest version that holds and can be served; among those that tie with it, the smallest.

    The reference holds by definition, so something always ships.
    """
    fit = {
        name: row
        for name, row in evidence.items()
        if name == REFERENCE or (row["holds"] and row["is_served"])
    }
    fastest_ms = min(row["latency_p50_ms"] for row in fit.values())
    tied = {
        name: row
        for name, row in fit.items()
        if row["latency_p50_ms"] <= fastest_ms * (1 + settings.speed_tie)
    }
    chosen = min(tied, key=lambda name: (tied[name]["size_bytes"], tied[name]["latency_p50_ms"]))
    return VersionChoice(chosen, _reason(chosen, evidence, settings))


def time_in_turns(students: Mapping[str, Student], histories: Sequence[History]) -> dict[str, float]:
    """Measure the median milliseconds of one core's time for one whole answer: one person's ten best unseen items.

    Every round asks all students, so that a machine that is slow for a while is slow for all of them. The time in
    which another process had the core does not count: what ships must not depend on who else is at work.
    """
    rounds: dict[str, list[float]] = {name: [] for name in students}
    for _ in range(N_ROUNDS):
        for name, student in students.items():
            rounds[name] += [_timed_ms(student, history) for history in histories]
    return {name: float(np.median(times)) for name, times in rounds.items()}


def _timed_ms(student: Student, history: History) -> float:
    started = time.thread_time()  # a student runs on the thread that asks it
    student.recommend([history], 10, blocked=[history.item_indices])
    return (time.thread_time() - started) * 1e3


def _sampled(
    questions: Questions, candidates: Candidates, max_people: int, seed: int
) -> tuple[Questions, Candidates]:
    """Keep at most max_people of the people, drawn by seed, in their order."""
    if len(questions) <= max_people:
        return questions, candidates
    rows = np.sort(np.random.default_rng(seed).choice(len(questions), max_people, replace=False))
    targets, negatives = (
        [part[row] for row in rows] for part in (candidates.target_items, candidates.negatives)
    )
    return questions.take(rows), Candidates(targets, negatives)


def _reason(chosen: str, evidence: Mapping[str, Mapping[str, float]], settings: CertificationSettings) -> str:
    """Say in words what ships, what it costs, and which versions were faster but refused."""
    served = {name: row for name, row in evidence.items() if row["is_served"]}
    by_speed = sorted(served.items(), key=lambda each: each[1]["latency_p50_ms"])
    ours, reference = evidence[chosen], evidence[REFERENCE]
    if chosen == REFERENCE:
        words = f"{REFERENCE} ships unpruned: nothing that holds ({settings.max_quality_loss:.1%} allowed) is faster"
    else:
        words = (
            f"{chosen} ships: {reference['latency_p50_ms'] / ours['latency_p50_ms']:.2f} times as fast as "
            f"{REFERENCE}, {reference['size_bytes'] / ours['size_bytes']:.1f} times smaller, {_losses(ours)}, "
            f"{settings.max_quality_loss:.1%} allowed"
        )
    refused = [
        f"{name} ({_losses(row)})"
        for name, row in by_speed
        if row["latency_p50_ms"] < ours["latency_p50_ms"] and not row["holds"]
    ]
    return f"{words}. Faster, but refused: {'; '.join(refused)}" if refused else words


def _losses(row: Mapping[str, float]) -> str:
    return ", ".join(
        f"{figure} loses {row[f'{figure}_loss']:.2%} (95 % interval {row[f'{figure}_loss_low']:.2%} to "
        f"{row[f'{figure}_loss_high']:.2%})"
        for figure in CERTIFIED
    )
