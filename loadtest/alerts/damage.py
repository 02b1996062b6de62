"""Write a bundle whose student was damaged on purpose, as a fault in training would: whole, verified, and wrong.

    python -m loadtest.alerts.damage STORE

It writes the current bundle again, with the student reading every item as another one, promotes it and prints its
version. Everything that a service verifies is consistent: hashes, shapes and golden answers are the damaged student's
own. Only a comparison with the other models shows the damage.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.bundles.bundle import Bundle, BundleContents, VariantsContents, read_bundle, write_bundle
from models.bundles.files import read_json
from models.bundles.golden import record_golden
from models.bundles.registry import Registry
from models.bundles.variants import GOLDEN_FILE, VariantsGolden
from models.student import Student, StudentFiles

N_GOLDEN_PEOPLE = 8
GOLDEN_TEXTS = ("a blue lantern of steel",)
SEED = 0


def damaged(student: StudentFiles) -> StudentFiles:
    """Return a student that reads each item of a history as another one, in its vectors and in its neighbours."""
    rng = np.random.default_rng(SEED)
    rows = np.concatenate([[0], 1 + rng.permutation(len(student.history_vectors) - 1)])  # row 0 is padding
    goes_with = student.cooccurrence
    return replace(
        student,
        history_vectors=student.history_vectors[rows],
        history_scales=student.history_scales[rows],
        cooccurrence=replace(
            goes_with,
            neighbour_items=goes_with.neighbour_items[rows],
            neighbour_weights=goes_with.neighbour_weights[rows],
            neighbour_scales=goes_with.neighbour_scales[rows],
            own_weights=goes_with.own_weights[rows],
        ),
    )


def contents_of(bundle: Bundle, student: StudentFiles) -> BundleContents:
    """Return the contents of the bundle with this student."""
    running = Student(student, n_threads=1, max_events=bundle.manifest.student.max_events)
    people = bundle.people.histories
    histories = [people[row] for row in range(min(N_GOLDEN_PEOPLE, len(people)))]
    return BundleContents(
        items=bundle.items,
        people=bundle.people,
        student=student,
        member_shares=bundle.member_shares,
        text_encoder=bundle.text_encoder,
        golden=record_golden(
            running, bundle.text_encoder, histories, GOLDEN_TEXTS, bundle.items.recommendable
        ),
        reference=bundle.reference,
        student_entry=bundle.manifest.student,
        training_entry=bundle.manifest.training,
        variants=variants_of(bundle),
    )


def variants_of(bundle: Bundle) -> VariantsContents | None:
    """Return the ensemble and its members unchanged; None for a bundle with only a student."""
    entry = bundle.manifest.variants
    if entry is None:
        return None
    golden = read_json(bundle.path / GOLDEN_FILE, VariantsGolden)
    return VariantsContents(bundle.load_variants(), golden, entry)


def main() -> None:
    """Damage the current bundle, promote the copy and print its version."""
    store = Path(sys.argv[1])
    registry = Registry(store)
    bundle = read_bundle(registry.path(registry.current()))
    path = write_bundle(store, contents_of(bundle, damaged(bundle.student_files)))
    registry.promote(path.name)
    print(path.name)


if __name__ == "__main__":
    main()
