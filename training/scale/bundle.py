"""Make a bundle of a million items and ten million people in minutes and bounded memory, to measure speed.

These parts are invented: the catalogue and its texts (by the generator), item vectors (`vectors`), neighbours,
histories, and the student, whose weights were set by hand or are random (`student`). Sizes, precision, formats and
the recording of golden requests are those of a trained bundle, and the manifest says where it came from.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from shutil import rmtree
from typing import Any

import numpy as np
from rich.console import Console

from models.bundles.bundle import WRITING_LOCK, BundleContents, write_bundle
from models.bundles.golden import record_golden
from models.bundles.locks import lock
from models.bundles.manifest import IndexEntry, SharesEntry, StudentEntry, TrainingEntry
from models.history import MAX_EVENTS, History
from models.packed_histories import ColdHistories, Histories
from models.student import Student, StudentFiles
from models.text import TextEncoder
from training.base.progress import Stages
from training.bundling.contents import LIBRARIES, N_GOLDEN, N_GOLDEN_TEXTS
from training.recipe.settings import EARNING
from training.scale.ids import numbered_ids
from training.scale.neighbours import invent_neighbours
from training.scale.people import ScalePeople, hold_back, invent_people
from training.scale.reference import invent_reference
from training.scale.shop import ScaleCatalogue, ScaleSettings, invent_catalogue
from training.scale.student import encode_texts, invent_member_shares, invent_tower, student_files
from training.scale.vectors import invent_vectors
from training.student.inverted_lists import IndexSettings, invert
from training.student.tower import TowerSettings

N_TEXT_COMPONENTS = 64
N_TEXTS = 5_000
"""Number of items on whose texts the text encoder is fitted."""
TOWER, INDEX = TowerSettings(), IndexSettings()
"""The defaults of training: the sizes of a student that ships, and when its catalogue gets an inverted index."""

REASON = "invented, to measure speed at scale: nothing was learned, and nothing is told of quality"


def write_scale_bundle(settings: ScaleSettings, store: Path, console: Console) -> Path:
    """Invent a shop and its student and write them as a bundle; returns its folder.

    Large arrays are kept in a folder of the store until the bundle is written, so meanwhile twice the disk is needed.
    """
    store.mkdir(parents=True, exist_ok=True)
    stages, folder = Stages(console), store / f".writing-{token_hex(6)}"
    with lock(store / WRITING_LOCK, is_shared=True):
        folder.mkdir()
        try:
            contents = invent_contents(settings, folder, stages)
            with stages.stage("write", "Writing and checking the bundle"):
                return write_bundle(store, contents)
        finally:
            rmtree(folder, ignore_errors=True)


def invent_contents(settings: ScaleSettings, folder: Path, stages: Stages) -> BundleContents:
    """Invent all contents of the bundle; large ones are mapped from files in `folder`."""
    with stages.stage("catalogue", f"Inventing {settings.n_items:,} items"):
        catalogue = invent_catalogue(settings, N_TEXTS)
        vectors = invent_vectors(catalogue.invented, settings, TOWER.n_factors)
    with stages.stage("neighbours", "Inventing who goes with whom") as progress:
        cooccurrence = invent_neighbours(
            catalogue, settings.of_the_student, TOWER.n_neighbours, folder, progress
        )
    with stages.stage("student", "Setting up the student"):
        tower = invent_tower(vectors.level, settings.of_the_student, TOWER)
        text_encoder = encode_texts(catalogue, settings, N_TEXT_COMPONENTS)
        student = student_files(
            tower, vectors.in_order(catalogue.rows), cooccurrence, catalogue, text_encoder
        )
    catalogue, student, index = _with_lists(settings, catalogue, student, stages)
    with stages.stage("people", f"Inventing {settings.n_people:,} people") as progress:
        people = invent_people(catalogue, settings, folder, progress)
    with stages.stage("ids", "Ids, golden requests, references"):
        return _contents(settings, catalogue, people, student, text_encoder, index)


def _with_lists(
    settings: ScaleSettings, catalogue: ScaleCatalogue, student: StudentFiles, stages: Stages
) -> tuple[ScaleCatalogue, StudentFiles, IndexEntry]:
    """Sort a large catalogue by list, as training does; histories refer to the new order, so they are made later."""
    if settings.n_items <= INDEX.exact_up_to:
        return catalogue, student, IndexEntry()
    with stages.stage("index", "Finding lists, and how many to look into"):
        held_back = hold_back(catalogue, settings, INDEX.n_people)
        everything = np.ones(settings.n_items, np.bool_)
        inverted = invert(student, held_back, everything, INDEX, settings.seed % 2**31)
    return catalogue.in_order(inverted.order), inverted.files, inverted.entry


def _contents(
    settings: ScaleSettings,
    catalogue: ScaleCatalogue,
    people: ScalePeople,
    student: StudentFiles,
    text_encoder: TextEncoder,
    index: IndexEntry,
) -> BundleContents:
    running = Student(student)
    shares = invent_member_shares(EARNING, settings.n_items, TOWER.n_factors, settings)
    texts = [catalogue.texts[row] for row in _spread(len(catalogue.texts), N_GOLDEN_TEXTS)]
    items = catalogue.items(people.popularity)
    return BundleContents(
        items=items,
        people=ColdHistories(numbered_ids("u", 8, np.arange(settings.n_people)), people.histories),
        student=student,
        member_shares=shares,
        text_encoder=text_encoder,
        golden=record_golden(
            running, text_encoder, _golden_histories(people.histories), texts, items.recommendable
        ),
        reference=invent_reference(running, items, people, settings.seed % 2**31),
        student_entry=StudentEntry(
            "int8", TOWER.n_factors, MAX_EVENTS, REASON, {}, SharesEntry(shares.members, {}, 0.0), index
        ),
        training_entry=TrainingEntry(
            source=f"invented: {settings.n_items:,} items, {settings.n_people:,} people; the student is not trained",
            seed=settings.seed,
            settings=_figures(settings, people.histories),
            libraries={name: version(name) for name in LIBRARIES},
            metrics={},
        ),
    )


def _golden_histories(histories: Histories) -> list[History]:
    """Return an empty history, and people's histories spread over the vocabulary."""
    rows = _spread(len(histories), N_GOLDEN - 1)
    return [History.empty(), *(histories[row].last(MAX_EVENTS) for row in rows)]


def _spread(n_rows: int, n_wanted: int) -> list[int]:
    rows: list[int] = np.unique(np.linspace(0, n_rows - 1, n_wanted).astype(int)).tolist()
    return rows


def _figures(settings: ScaleSettings, histories: Histories) -> dict[str, Any]:
    """Return the settings, and the lengths of the histories."""
    lengths = np.diff(histories.offsets)
    return settings.as_values() | {
        "mean_events_per_person": round(float(lengths.mean()), 2),
        "max_events_per_person": int(lengths.max()),
    }
