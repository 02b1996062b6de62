"""A bundle with a student that was damaged on purpose, as a fault in training would: whole, verified, and wrong.

    python -m loadtest.alerts.damage STORE

Writes the current bundle again, with the student reading every item as another one, promotes it and prints its
version. Everything that a service verifies fits together: hashes, shapes and golden answers are the damaged student's
own. Only whoever asks the other models finds out.
"""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from models.bundle import Bundle, BundleContents, read_bundle, write_bundle
from models.golden import record_golden
from models.registry import Registry
from models.student import Student, StudentFiles

N_GOLDEN_PEOPLE = 8
GOLDEN_TEXTS = ("a blue lantern of steel",)
SEED = 0


def damaged(student: StudentFiles) -> StudentFiles:
    """Reads each item of a history as another one."""
    rng = np.random.default_rng(SEED)
    rows = np.concatenate([[0], 1 + rng.permutation(len(student.history_vectors) - 1)])  # row 0 is padding
    return replace(
        student, history_vectors=student.history_vectors[rows], history_scales=student.history_scales[rows]
    )


def contents_of(bundle: Bundle, student: StudentFiles) -> BundleContents:
    """The bundle to be written again, with this student."""
    running = Student(student, n_threads=1, max_events=bundle.manifest.student.max_events)
    people = bundle.people.histories
    histories = [people[row] for row in range(min(N_GOLDEN_PEOPLE, len(people)))]
    changed: dict[str, Any] = {
        "student": student,
        "student_entry": bundle.manifest.student,
        "training_entry": bundle.manifest.training,
        "golden": record_golden(running, bundle.text_encoder, histories, GOLDEN_TEXTS),
    }
    kept = {field.name for field in fields(BundleContents)} - set(changed)
    return BundleContents(**changed, **{name: getattr(bundle, name) for name in kept})


def main() -> None:
    """Damage, promote, print."""
    store = Path(sys.argv[1])
    registry = Registry(store)
    bundle = read_bundle(registry.path(registry.current()))
    path = write_bundle(store, contents_of(bundle, damaged(bundle.student_files)))
    registry.promote(path.name)
    print(path.name)


if __name__ == "__main__":
    main()
