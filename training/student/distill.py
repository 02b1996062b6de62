"""Distillation: the student learns the ensemble's soft labels, and what people really did next.

    loss = T² · KL(ensemble ‖ student at temperature T) + centred_weight · squared error around a person's mean
           + level_weight · squared error of that mean + hard_weight · cross-entropy of what came next

The KL gets the top of the list right, the centred error the rest of it, the level makes scores of different
people comparable. People are shuffled, so
nothing in a batch belongs together; the last weights are an average over the last steps (EMA).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from sklearn.utils.extmath import randomized_svd
from torch import Tensor
from torch.nn import functional as F

from models.history import encode_histories
from training.ensemble.ensemble import Ensemble
from training.errors import NotFinite
from training.members.member import Floats, Progress
from training.strict import STRICT
from training.student.soft_labels import SoftLabels
from training.student.tower import StudentModel, TowerSettings


@dataclass(config=STRICT, frozen=True)
class DistillSettings:
    """The terms of the loss and how it is minimised."""

    temperature: float = Field(
        default=2.0, gt=0, le=100, description="T of the KL; higher looks further down the list."
    )
    centred_weight: float = Field(
        default=0.3, ge=0, le=100, description="Of the squared error around a person's mean."
    )
    level_weight: float = Field(
        default=0.1, ge=0, le=100, description="Of the squared error of a person's mean."
    )
    hard_weight: float = Field(
        default=0.05, ge=0, le=100, description="Of the cross-entropy of what came next."
    )
    n_epochs: int = Field(default=10, ge=1, le=1000, description="Passes over all examples.")
    batch_size: int = Field(default=256, ge=1, le=100_000, description="Examples a step.")
    learning_rate: float = Field(default=3e-3, gt=0, le=1, description="Peak of the one-cycle schedule.")
    l2: float = Field(default=1e-4, ge=0, le=1, description="Weight decay.")
    ema: float = Field(
        default=0.998, ge=0, lt=1, description="Share of the weights' running average kept a step."
    )
    max_warm_start: int = Field(
        default=4_000,
        ge=2,
        le=20_000,
        description="Examples whose soft labels give the first item vectors, by SVD.",
    )


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
        # Younger than its memory, an average would still be the untrained start.
        _move_average(average, model, min(settings.ema, (1 + step) / (10 + step)))
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
    n_unseen = is_unseen.sum(dim=1, keepdim=True).clamp(min=1)
    error = torch.where(is_unseen, student - teacher.nan_to_num(neginf=0.0), 0.0)
    level = error.sum(dim=1, keepdim=True) / n_unseen  # (b, 1)
    centred = torch.where(is_unseen, error - level, 0.0)
    loss: Tensor = (
        T**2 * kl
        + settings.centred_weight * (centred**2).sum() / is_unseen.sum()
        + settings.level_weight * (level**2).mean()
        + settings.hard_weight * _hard(scores, labels, rows)
    )
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
