"""A small student, taught once by a teacher whose every logit is known."""

from __future__ import annotations

import numpy as np
import pytest

from models.history import Event, History
from models.packed_histories import Histories
from models.text import TextEncoder
from tests.support.blocks import block_dataset
from tests.support.teachers import N_ITEMS, BlockTeacher, item_items
from training.base.callback import no_progress
from training.members.member import Floats
from training.student.distill import DistillSettings, distil
from training.student.neighbours import strongest_neighbours
from training.student.soft_labels import LabelSettings, SoftLabels, label_examples
from training.student.text_vectors import fit_text_encoder
from training.student.tower import StudentModel, TowerSettings

TOWER = TowerSettings(n_factors=8, n_heads=2, n_hidden=16, n_neighbours=4)
TAUGHT = DistillSettings(n_epochs=20, batch_size=64, learning_rate=1e-2)


def people(n_people: int, *, seed: int) -> list[History]:
    """Person p takes 2 to 8 items of block p % 4, hours to days apart, and sometimes one of another block."""
    rng = np.random.default_rng(seed)
    histories = []
    for person in range(n_people):
        items = rng.permutation(np.arange(person % 4, N_ITEMS, 4))[: rng.integers(2, 9)]
        if person % 3 == 0:
            items[0] = (items[0] + 1) % N_ITEMS
        times = 1_600_000_000 + np.cumsum(rng.integers(3_600, 400_000, len(items)))
        histories.append(History.from_events(map(Event, items.tolist(), times.tolist())))
    return histories


@pytest.fixture(scope="package")
def labels(tmp_path_factory: pytest.TempPathFactory) -> SoftLabels:
    settings = LabelSettings(n_copies=3, n_top=20, n_uniform=20)
    folder = tmp_path_factory.mktemp("labels")
    histories = Histories.from_list(people(200, seed=0))
    return label_examples(BlockTeacher(), histories, settings, folder, seed=0, progress=no_progress)


@pytest.fixture(scope="package")
def text_encoder() -> TextEncoder:
    return fit_text_encoder(block_dataset().catalogue.texts, 8, n_features=100, seed=0)


@pytest.fixture(scope="package")
def text_vectors(text_encoder: TextEncoder) -> Floats:
    return text_encoder.encode(block_dataset().catalogue.texts[:N_ITEMS])


@pytest.fixture(scope="package")
def model(labels: SoftLabels, text_vectors: Floats) -> StudentModel:
    neighbours = strongest_neighbours(item_items(), TOWER.n_neighbours)
    return distil(labels, text_vectors, neighbours, TOWER, TAUGHT, seed=0, progress=no_progress)
