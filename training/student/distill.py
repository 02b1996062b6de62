"""Distillation: the student learns the ensemble's soft labels, and the items that people really took next.

    loss = kl_weight · T² · KL(ensemble ‖ student at temperature T) + hard_weight · cross-entropy of what came next
           + centred_weight · squared error around a person's mean + level_weight · squared error of that mean
           + pointwise_weight · cross-entropy with the ensemble's probability, item by item
           + own_weight · KL(ensemble ‖ student) over the person's own items alone

The KL (Hinton, Vinyals, Dean 2015), over a person's candidates, gets the top of the ranking right, and the centred
error the rest of it; the level makes scores of different people comparable. Own items head a list where things are
bought again, and few candidates are own, so their order has a term of its own. If all soft terms are off, this trains
a student without distillation, which sees nothing of the ensemble, not even its starting vectors.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.nn import functional as F

from models.repeats import RepeatModel
from training.base.callback import Progress
from training.base.errors import NotFinite
from training.base.strict import STRICT
from training.members.member import Floats
from training.student.examples import Batch, Examples
from training.student.neighbours import Neighbours
from training.student.soft_labels import SoftLabels
from training.student.tower import StudentModel, TowerSettings
from training.student.warm_start import own_advantage, starting_vectors

MAX_FULL_SCORES = 20_000
"""The largest catalogue whose items are all scored at each step. In a larger one only candidates are, which makes the
hard term a sampled softmax."""

SORTED_BATCHES = 8
"""Number of batches whose examples are sorted by length together, so that little of a batch is padding."""

NEVER = -1e9
"""Logit of an item that cannot be taken. It is finite, because a softmax over such items alone must not give NaN."""


WARM_UP_SHARE = 0.1
"""The share of the steps in which the learning rate rises to its peak."""


@dataclass(config=STRICT, frozen=True)
class DistillSettings:
    """The terms of the loss and how it is minimised."""

    temperature: float = Field(
        default=2.0,
        gt=0,
        le=100,
        description="Temperature T of the KL divergence; raising it gives lower ranks more weight.",
    )
    kl_weight: float = Field(
        default=1.0,
        ge=0,
        le=100,
        description="Weight of T² times the KL divergence over the candidate lists.",
    )
    centred_weight: float = Field(
        default=0.2, ge=0, le=100, description="Weight of the squared error around a person's mean error."
    )
    level_weight: float = Field(
        default=0.05, ge=0, le=100, description="Weight of the square of a person's mean error."
    )
    pointwise_weight: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="Weight of the cross-entropy with the ensemble's probability of each item.",
    )
    own_weight: float = Field(
        default=5.0, ge=0, le=100, description="Weight of the KL divergence over own items alone."
    )
    hard_weight: float = Field(
        default=0.02, ge=0, le=100, description="Weight of the cross-entropy of the items that came next."
    )
    n_epochs: int = Field(default=10, ge=1, le=1000, description="Passes over all examples.")
    batch_size: int = Field(default=256, ge=1, le=100_000, description="Examples per step.")
    learning_rate: float = Field(
        default=3e-3, gt=0, le=1, description="Peak learning rate of the one-cycle schedule."
    )
    l2: float = Field(default=1e-4, ge=0, le=1, description="Weight decay.")

    @model_validator(mode="after")
    def _something_is_learned(self) -> Self:
        if not (self.is_soft or self.hard_weight):
            raise ValueError("all weights of the loss are 0: nothing would be learned; raise kl_weight")
        return self

    @property
    def is_soft(self) -> bool:
        """Whether any term of the loss uses the ensemble's soft labels."""
        return bool(
            self.kl_weight
            or self.centred_weight
            or self.level_weight
            or self.pointwise_weight
            or self.own_weight
        )


def distil(
    labels: SoftLabels,
    text_vectors: Floats,
    neighbours: Neighbours,
    tower: TowerSettings,
    settings: DistillSettings,
    *,
    seed: int,
    progress: Progress,
    repeats: RepeatModel | None = None,
    initial: StudentModel | None = None,
) -> StudentModel:
    """Train a student on soft labels and on the catalogue's text vectors (n_items, n_text).

    repeats: of own items; None where nothing is known of them. initial: a student to continue from, which is not
    changed (recovery after pruning); it brings its own text_vectors, neighbours, tower and repeats, and those given
    are not used. Raises NotFinite if the loss diverges.
    """
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if initial is not None:
            model = copy.deepcopy(initial)
        else:
            model = StudentModel(torch.from_numpy(text_vectors), tower, repeats)
            model.cooccurrence.start_from(neighbours)
        examples = Examples.of(labels, model.repeats.log_odds)
        if initial is None and settings.is_soft:
            model.cooccurrence.start_own_from(own_advantage(labels), examples.mean_log_odds())
            vectors = starting_vectors(labels, len(text_vectors), tower.n_factors, rng)
            for items in (model.answer_items, model.history_items):
                items.start_from(torch.from_numpy(vectors))
        _minimise(model, examples, settings, rng, progress)
    return model.eval()


def _minimise(
    model: StudentModel,
    examples: Examples,
    settings: DistillSettings,
    rng: np.random.Generator,
    progress: Progress,
) -> None:
    """Run AdamW with a one-cycle schedule over all examples, shuffled, `n_epochs` times."""
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=settings.l2)
    n_steps = settings.n_epochs * -(-len(examples) // settings.batch_size)
    # torch divides by the steps of the warm-up less one, so there may not be just one, as of ten in all.
    warm_up = WARM_UP_SHARE if WARM_UP_SHARE * n_steps != 1 else 1.5 * WARM_UP_SHARE
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=n_steps, pct_start=warm_up
    )
    model.train()
    for step, rows in enumerate(_shuffled(examples.lengths, settings, rng)):
        loss = _loss(model, examples.batch(rows), settings)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 10 == 0 or step == n_steps - 1:
            if not torch.isfinite(loss):
                raise NotFinite(f"student: loss {loss.item()} at step {step}; lower learning_rate")
            progress((step + 1) / n_steps, f"step {step + 1}/{n_steps}, loss {loss.item():.3f}")


def _loss(model: StudentModel, batch: Batch, settings: DistillSettings) -> Tensor:
    """Compute the loss of one batch; T is the temperature."""
    scores = _score(model, batch)
    is_candidate = torch.isfinite(batch.logits)
    student, teacher = (
        scores.candidates,
        batch.logits.masked_fill(~is_candidate, 0.0),
    )  # (b, n_candidates) each
    n_candidates = is_candidate.sum(dim=1, keepdim=True).clamp(min=1)
    error = (student - teacher) * is_candidate
    level = error.sum(dim=1, keepdim=True) / n_candidates  # (b, 1)
    centred = (error - level) * is_candidate
    T = settings.temperature  # noqa: N806  (the paper's letter)
    loss: Tensor = (
        settings.kl_weight * T**2 * _kl(teacher / T, student / T, is_candidate)
        + settings.hard_weight * _hard(scores, batch)
        + settings.centred_weight * (centred**2).sum() / n_candidates.sum()
        + settings.level_weight * (level**2).mean()
        + settings.pointwise_weight * _pointwise(teacher, student, is_candidate)
        + settings.own_weight * _kl(teacher, student, is_candidate & batch.is_own)
    )
    return loss


class _Scores(NamedTuple):
    """The student's scores of a batch. log_normaliser: (b, 1), log-sum-exp over the items that could be taken."""

    candidates: Tensor  # (b, n_candidates)
    next_items: Tensor  # (b, n_next)
    log_normaliser: Tensor


def _score(model: StudentModel, batch: Batch) -> _Scores:
    n_items = len(model.answer_items.identity)
    next_items = batch.next_items.clamp(min=0)
    if n_items <= MAX_FULL_SCORES:
        scores = model(*batch.encoded)  # (b, n_items)
        return _Scores(
            scores.gather(1, batch.candidates),
            scores.gather(1, next_items),
            scores.logsumexp(dim=1, keepdim=True),
        )
    chosen = model(*batch.encoded, torch.cat([batch.candidates, next_items], dim=1))
    of_candidates, of_next = chosen.split([batch.candidates.shape[1], next_items.shape[1]], dim=1)
    could_be_taken = torch.cat([torch.isfinite(batch.logits), batch.next_items >= 0], dim=1)
    return _Scores(
        of_candidates, of_next, chosen.masked_fill(~could_be_taken, NEVER).logsumexp(dim=1, keepdim=True)
    )


def _kl(teacher: Tensor, student: Tensor, is_candidate: Tensor) -> Tensor:
    """Compute KL(softmax of teacher ‖ softmax of student) over candidates, as the mean over people."""
    log_teacher = F.log_softmax(teacher.masked_fill(~is_candidate, NEVER), dim=1)
    log_student = F.log_softmax(student.masked_fill(~is_candidate, NEVER), dim=1)
    return F.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)


def _hard(scores: _Scores, batch: Batch) -> Tensor:
    """Compute the cross-entropy of what people took next among all they could take; 0 for examples without it."""
    is_item = batch.next_items >= 0
    log_probability = scores.next_items - scores.log_normaliser
    return -(log_probability * is_item).sum() / is_item.sum().clamp(min=1)


def _pointwise(teacher: Tensor, student: Tensor, is_candidate: Tensor) -> Tensor:
    """Compute binary cross-entropy with the ensemble's probability, as the mean over candidates."""
    each = F.binary_cross_entropy_with_logits(student, torch.sigmoid(teacher), reduction="none")
    return (each * is_candidate).sum() / is_candidate.sum().clamp(min=1)


def _shuffled(
    lengths: npt.NDArray[np.int64], settings: DistillSettings, rng: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the rows of all examples, epoch by epoch and batch by batch; lengths: (n_examples,), events of each.

    A batch is as wide as its longest history, so histories of similar length share a batch; batches come shuffled.
    """
    span = SORTED_BATCHES * settings.batch_size
    for _ in range(settings.n_epochs):
        order = rng.permutation(len(lengths))
        batches: list[npt.NDArray[np.int64]] = []
        for start in range(0, len(order), span):
            together = order[start : start + span]
            together = together[np.argsort(lengths[together], kind="stable")]
            batches += [
                together[at : at + settings.batch_size] for at in range(0, len(together), settings.batch_size)
            ]
        for batch in rng.permutation(len(batches)):
            yield batches[batch]
