"""Distillation: the student learns the ensemble's soft labels, and what people really did next.

    loss = T² · KL(ensemble ‖ student at temperature T) + centred_weight · MSE + hard_weight · cross-entropy

The KL gets the top of the list right, the row-centred squared error the rest of it. People are shuffled, so
nothing in a batch belongs together; the last weights are an average over the last steps (EMA).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from sklearn.utils.extmath import randomized_svd
from torch import Tensor
from torch.nn import functional as F

from models.history import encode_histories
from training.ensemble.ensemble import Ensemble
from training.errors import NotFinite
from training.members.member import Floats, Progress
from training.student.soft_labels import SoftLabels
from training.student.tower import StudentModel, TowerSettings


@dataclass(frozen=True)
class DistillSettings:
    """temperature: T of the KL; higher looks further down the list. centred_weight, hard_weight: of their terms.

    n_epochs: passes over all examples. batch_size: examples a step. learning_rate: peak of the one-cycle.
    l2: weight decay. ema: share of the running average kept a step; 0 switches it off.
    max_warm_start: people whose soft labels give the starting item vectors, by SVD.
    """

    temperature: float = 2.0
    centred_weight: float = 0.3
    hard_weight: float = 0.05
    n_epochs: int = 20
    batch_size: int = 256
    learning_rate: float = 3e-3
    l2: float = 1e-4
    ema: float = 0.998
    max_warm_start: int = 4_000


def distil(
    ensemble: Ensemble,
    labels: SoftLabels,
    text_vectors: Floats,
    tower: TowerSettings,
    settings: DistillSettings,
    *,
    seed: int,
    progress: Progress,
) -> StudentModel:
    """Train a student on soft labels. text_vectors: (n_items, n_text). Raises NotFinite where it diverges."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = StudentModel(torch.from_numpy(text_vectors), tower)
    warm_start(model, ensemble, labels, settings.max_warm_start, rng)
    average = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=settings.l2)
    n_steps = settings.n_epochs * -(-len(labels) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=n_steps, pct_start=0.1
    )
    model.train()
    for step, rows in enumerate(_batches(len(labels), settings, rng)):
        loss = _loss(model, labels, rows, settings)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        _move_average(average, model, settings.ema)
        if step % 10 == 0 or step == n_steps - 1:
            if not torch.isfinite(loss):
                raise NotFinite(f"student: loss {loss.item()} at step {step}; lower learning_rate")
            progress((step + 1) / n_steps, f"step {step + 1}/{n_steps}, loss {loss.item():.3f}")
    return average.eval()


def warm_start(
    model: StudentModel, ensemble: Ensemble, labels: SoftLabels, max_people: int, rng: np.random.Generator
) -> None:
    """Start item vectors from an SVD of the ensemble's scores: what a dot product of this rank can say at best."""
    chosen = rng.permutation(len(labels))[:max_people]
    scores = ensemble.score([labels.histories[row] for row in chosen])
    is_seen = np.isneginf(scores)
    mean = np.where(is_seen, 0.0, scores).sum(axis=1) / np.maximum((~is_seen).sum(axis=1), 1)
    centred = np.where(is_seen, 0.0, scores - mean[:, None]).astype(np.float32)
    rank = min(model.settings.n_factors, *centred.shape)
    _, spectrum, items = randomized_svd(centred, rank, random_state=int(rng.integers(2**31)))
    scale = np.sqrt(spectrum / np.sqrt(len(chosen)))
    vectors = np.zeros((centred.shape[1], model.settings.n_factors), np.float32)
    vectors[:, :rank] = items.T * scale * np.sqrt(len(items.T) / 100.0)
    for tower in (model.answer_items, model.history_items):
        tower.start_from(torch.from_numpy(vectors))


def _loss(
    model: StudentModel, labels: SoftLabels, rows: npt.NDArray[np.int64], settings: DistillSettings
) -> Tensor:
    """The loss of one batch; T is the temperature."""
    encoded = encode_histories([labels.histories[row] for row in rows])
    scores = model(*(torch.from_numpy(part) for part in encoded))  # (b, n_items)
    candidates = torch.from_numpy(labels.candidates[rows].astype(np.int64))
    teacher = torch.from_numpy(labels.logits[rows].astype(np.float32))  # (b, n_candidates)
    student = scores.gather(1, candidates)
    is_unseen = torch.isfinite(teacher)
    T = settings.temperature  # noqa: N806  (the paper's letter)
    soft = F.softmax(teacher / T, dim=1)
    log_student = F.log_softmax((student / T).masked_fill(~is_unseen, -1e9), dim=1)
    log_teacher = F.log_softmax((teacher / T).masked_fill(~is_unseen, -1e9), dim=1)
    kl = (soft * (log_teacher - log_student)).sum(dim=1).mean()
    error = torch.where(is_unseen, student - teacher.nan_to_num(neginf=0.0), 0.0)
    error = torch.where(is_unseen, error - error.sum(1, True) / is_unseen.sum(1, True).clamp(min=1), 0.0)
    mse = (error**2).sum() / is_unseen.sum()
    loss: Tensor = T**2 * kl + settings.centred_weight * mse + settings.hard_weight * _hard(scores, labels, rows)
    return loss


def _hard(scores: Tensor, labels: SoftLabels, rows: npt.NDArray[np.int64]) -> Tensor:
    """Cross-entropy over the catalogue of what people touched next; examples without a next item count 0."""
    next_items = torch.from_numpy(labels.next_items[rows].astype(np.int64))  # (b, N_NEXT)
    is_item = next_items >= 0
    log_probability = F.log_softmax(scores, dim=1).gather(1, next_items.clamp(min=0))
    return -(log_probability * is_item).sum() / is_item.sum().clamp(min=1)


def _batches(
    n_examples: int, settings: DistillSettings, rng: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    for _ in range(settings.n_epochs):
        order = rng.permutation(n_examples)
        for start in range(0, n_examples, settings.batch_size):
            yield order[start : start + settings.batch_size]


@torch.no_grad()
def _move_average(average: StudentModel, model: StudentModel, decay: float) -> None:
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1.0 - decay)
