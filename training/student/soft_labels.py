"""Soft labels: the ensemble's logits of candidate lists, written to disk once and read in every epoch.

An example is a history cut by `subhistories`. Its candidates are the ensemble's top items, the person's own items and
uniform ones.
Labels are written chunk by chunk, so memory does not grow with the number of examples. A run that was interrupted
resumes where it stopped, if everything that its labels depend on is unchanged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass as settings_dataclass

from models.history import EventKind, History
from models.packed_histories import Histories
from training.base.callback import Progress
from training.base.strict import STRICT
from training.members.member import Floats
from training.student.subhistories import cut_examples

CHUNK = 128
"""Number of examples labelled together; an interrupted run loses at most these."""
N_PROBES = 8
"""Number of examples whose labels identify the ensemble when a run resumes."""
PROGRESS = "progress.json"


class Teacher(Protocol):
    """Anything that can label examples, as `Ensemble` can."""

    def score_candidates(
        self, histories: list[History], n_top: int, n_uniform: int, rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.int32], Floats]:
        """Return the candidates of each history and their logits, both (n_people, n_candidates).

        The n_top best items come first, then own items, then n_uniform drawn from all; -inf where there is none.
        """
        ...


@settings_dataclass(config=STRICT, frozen=True)
class LabelSettings:
    """How many examples are labelled, and how many candidates of each."""

    n_copies: int = Field(
        default=6, ge=0, le=100, description="Sub-histories per person, in addition to the whole history."
    )
    n_top: int = Field(
        default=256,
        ge=0,
        le=10_000,
        description="Candidates from the top of the ensemble's ranking; 0 draws all candidates uniformly.",
    )
    n_uniform: int = Field(
        default=256, ge=0, le=10_000, description="Candidates drawn uniformly; 0 uses only the top."
    )
    max_examples: int = Field(
        default=60_000,
        ge=100,
        le=10**8,
        description="Maximum number of examples; beyond it, people are sampled.",
    )

    @model_validator(mode="after")
    def _some_candidates(self) -> Self:
        if not self.n_top + self.n_uniform:
            raise ValueError("n_top and n_uniform are both 0: nothing would be labelled; raise one")
        return self


@dataclass(frozen=True)
class SoftLabels:
    """Examples and the ensemble's logits of their candidates.

    histories: (n_examples) rows. next_items: what the person of each example took next, (n_examples, n_next) int32,
    padded with -1. candidates: (n_examples, n_candidates) int32. logits: float16, of the same shape; -inf where there
    is no candidate.
    """

    histories: list[History]
    next_items: npt.NDArray[np.int32]
    candidates: npt.NDArray[np.int32]
    logits: npt.NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.histories)


def label_examples(
    teacher: Teacher,
    histories: Histories,
    settings: LabelSettings,
    folder: Path,
    *,
    seed: int,
    progress: Progress,
    target: EventKind = EventKind.PURCHASE,
) -> SoftLabels:
    """Cut examples out of everybody's history and let the teacher score their candidates.

    target: the kind of event that counts as taken next.
    Labels found in the folder are kept if an interrupted run with the same seed, settings, histories and teacher
    left them; those of any other run are overwritten.
    """
    examples, next_items = cut_examples(
        histories, settings.n_copies, settings.max_examples, np.random.default_rng(seed), target=target
    )
    probed = _label(teacher, examples[:N_PROBES], settings, seed, 0)
    fingerprint = _fingerprint(examples, *probed)
    folder.mkdir(parents=True, exist_ok=True)
    n_done = _read_progress(folder, fingerprint)
    candidates, logits = _open_arrays(folder, (len(examples), probed[0].shape[1]), is_new=not n_done)
    for start in range(n_done, len(examples), CHUNK):
        chunk = examples[start : start + CHUNK]
        done = start + len(chunk)
        candidates[start:done], logits[start:done] = _label(teacher, chunk, settings, seed, start)
        candidates.flush()
        logits.flush()
        _write_progress(folder, fingerprint, done)
        progress(done / len(examples), f"{done:,} of {len(examples):,} histories")
    return SoftLabels(examples, next_items, candidates, logits)


def _label(
    teacher: Teacher, histories: list[History], settings: LabelSettings, seed: int, start: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float16]]:
    """Label one chunk. start: its first example, which seeds the chunk, so that a resumed run draws the same."""
    rng = np.random.default_rng([seed, start])
    candidates, logits = teacher.score_candidates(histories, settings.n_top, settings.n_uniform, rng)
    return candidates, logits.astype(np.float16)


def _open_arrays(
    folder: Path, shape: tuple[int, int], *, is_new: bool
) -> tuple[np.memmap[tuple[int, ...], np.dtype[np.int32]], np.memmap[tuple[int, ...], np.dtype[np.float16]]]:
    mode = "w+" if is_new else "r+"
    return (
        np.lib.format.open_memmap(folder / "candidates.npy", mode, np.int32, shape),
        np.lib.format.open_memmap(folder / "logits.npy", mode, np.float16, shape),
    )


def _fingerprint(
    examples: list[History], candidates: npt.NDArray[np.int32], logits: npt.NDArray[np.float16]
) -> str:
    """Hash all that labels depend on; the labels of the first examples stand for seed, settings and teacher."""
    digest = sha256()
    for array in (*Histories.from_list(examples).arrays("examples").values(), candidates, logits):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _read_progress(folder: Path, fingerprint: str) -> int:
    """Count the examples already labelled; 0 if there are no labels or they are another run's."""
    try:
        found = json.loads((folder / PROGRESS).read_bytes())
        return int(found["n_done"]) if found["fingerprint"] == fingerprint else 0
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return 0


def _write_progress(folder: Path, fingerprint: str, n_done: int) -> None:
    temporary = folder / f"{PROGRESS}.new"
    temporary.write_text(json.dumps({"fingerprint": fingerprint, "n_done": n_done}))
    temporary.rename(folder / PROGRESS)  # atomic: an interrupted run leaves the old file or the new one
