"""Students with a known answer, without teaching: random weights, and questions whose truth they rank first."""

from __future__ import annotations

import numpy as np
import torch

from models.history import Event, EventKind, History
from tests.support.repeats import a_repeat_model
from training.data.split import Questions
from training.student.neighbours import Neighbours
from training.student.tower import StudentModel, TowerSettings

N_ITEMS = 80
N_TRUE = 3


def random_student(
    *, n_heads: int = 4, n_hidden: int = 16, n_neighbours: int = 8, seed: int = 0
) -> StudentModel:
    """A student whose every part says something: scores of a person spread over a few logits."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    settings = TowerSettings(n_factors=8, n_heads=n_heads, n_hidden=n_hidden, n_neighbours=n_neighbours)
    model = StudentModel(torch.randn(N_ITEMS, 5), settings, a_repeat_model(N_ITEMS))
    with torch.no_grad():
        for items in (model.history_items, model.answer_items):
            items.identity.copy_(torch.randn_like(items.identity))
        for layer in (model.user_tower.content, model.user_tower.hidden, model.user_tower.output):
            layer.weight.mul_(2.0)
    drawn = rng.permuted(np.tile(np.arange(N_ITEMS, dtype=np.int32), (N_ITEMS, 1)), axis=1)[:, :n_neighbours]
    weights = rng.uniform(0.1, 1.0, drawn.shape).astype(np.float32)
    model.cooccurrence.start_from(Neighbours(drawn, weights))
    model.cooccurrence.start_own_from(0.5, 0.0)
    return model.eval()


def random_histories(n_people: int, *, seed: int = 0) -> list[History]:
    """People with one to twelve distinct items, hours to weeks apart."""
    rng = np.random.default_rng(seed)
    histories = []
    for _ in range(n_people):
        items = rng.permutation(N_ITEMS)[: rng.integers(1, 13)]
        times = 1_600_000_000 + np.cumsum(rng.integers(3_600, 1_000_000, len(items)))
        kinds = np.array(EventKind)[rng.integers(0, len(EventKind), len(items))]
        histories.append(History.from_events(map(Event, items.tolist(), times.tolist(), kinds.tolist())))
    return histories


def questions_answered_by(model: StudentModel, n_people: int, *, seed: int = 1) -> Questions:
    """Questions that this very student answers without a mistake: the truth is its own best unseen items."""
    from training.student.export import torch_scores

    histories = random_histories(n_people, seed=seed)
    scores = torch_scores(model, histories)
    truth = []
    for own, history in zip(scores, histories, strict=True):
        own[history.item_indices] = -np.inf
        truth.append(np.argsort(-own)[:N_TRUE].astype(np.int32))
    return Questions(np.arange(n_people, dtype=np.int32), histories, truth)
