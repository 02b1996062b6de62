"""A run's folder: the files that one training run leaves for its report.

    evaluation.json                 what was evaluated, measured     ensemble/      members and strategy
    student*/                       the student's versions           histories.*    people to time with
An evaluation of several protocols has a folder like this for each. `runs/latest` names the newest finished run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from models.history import History
from models.packed_histories import Histories
from training.base.errors import RunMissing
from training.quality.schema import Quality

DEFAULT_RUNS = Path("runs")
LATEST = "latest"
EVALUATION = "evaluation.json"
PROTOCOLS = ("next_basket", "leave_last_out", "published")
"""The protocols in the order of reports; the first is the headline."""


@dataclass(frozen=True)
class Run:
    """One run's folder."""

    folder: Path

    @staticmethod
    def create(runs: Path) -> Run:
        """Make a new folder, named by the time in UTC."""
        folder = runs / datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
        folder.mkdir(parents=True)
        return Run(folder)

    @staticmethod
    def open(folder: Path) -> Run:
        """Open a finished run; the folder may be `runs/latest`. Raises RunMissing."""
        if folder.name == LATEST and folder.is_file():
            folder = folder.parent / folder.read_text().strip()
        if not (folder / EVALUATION).is_file():
            raise RunMissing(f"no finished training run at {folder}; train first: make train DATA=…")
        return Run(folder)

    @property
    def ensemble(self) -> Path:
        """Folder of the fitted ensemble."""
        return self.folder / "ensemble"

    def student(self, name: str) -> Path:
        """Folder of one version: "student" (fp32, as distilled), "student_pruned" or "student_shipped"."""
        return self.folder / name

    def part(self, name: str) -> Run:
        """Make a run within this one, for one protocol of an evaluation."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return Run(folder)

    def keep_histories(self, histories: list[History]) -> None:
        """Write the histories with which serving is timed."""
        for name, array in Histories.from_list(histories).arrays("histories").items():
            np.save(self.folder / f"{name}.npy", array)

    def write(self, evaluation: Quality) -> None:
        """Write the figures measured."""
        (self.folder / EVALUATION).write_text(evaluation.to_json())

    def finish(self, evaluation: Quality) -> None:
        """Write the figures measured, and make this run the latest."""
        self.write(evaluation)
        pointer = self.folder.parent / f".{LATEST}"
        pointer.write_text(self.folder.name)
        pointer.replace(self.folder.parent / LATEST)

    def timed(self) -> Run:
        """Return the run whose models are timed: this one or, for an evaluation, its headline protocol."""
        parts = [self.folder / name for name in PROTOCOLS if (self.folder / name / "ensemble").is_dir()]
        return Run(parts[0]) if parts and not self.ensemble.is_dir() else self

    def evaluation(self) -> Quality:
        """Read the figures measured. Raises RunMissing if another release wrote them in another form."""
        file = self.folder / EVALUATION
        try:
            return Quality.from_json(file.read_text())
        except msgspec.ValidationError as error:
            raise RunMissing(
                f"{file} is not of this release ({error}); train again: make train DATA=…"
            ) from error

    def histories(self) -> list[History]:
        """Read the histories with which serving is timed."""
        names = [f"histories.{part}" for part in ("offsets", "item_indices", "times", "kinds")]
        arrays = {name: np.load(self.folder / f"{name}.npy") for name in names}
        return list(Histories.from_arrays(arrays, "histories"))
