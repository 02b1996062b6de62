"""Neural CF: NeuMF (He et al. 2017), a product branch and an MLP branch over learned embeddings.

We depart from the paper in one point: a person is represented by the recency-weighted mean of the embeddings of the
items they touched before, not by a row of a table. So the model scores the histories of new people, and prefixes,
like those of anybody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from models.history import History
from models.members.neural import FittedNeuralCF
from models.members.recency import distinct_histories, packed, with_evidence
from training.base.callback import Progress, no_progress
from training.base.errors import NotFinite
from training.base.strict import STRICT
from training.data.dataset import Interactions
from training.members.member import Floats, Member


class NeuMF(nn.Module):
    """A network for the logit of (history, item); branches `product` and `mlp` each embed both history and item."""

    def __init__(self, n_items: int, n_factors: int, n_hidden: int) -> None:
        super().__init__()
        # Row 0 is padding in the history tables.
        self.history_product = nn.Embedding(n_items + 1, n_factors, padding_idx=0)
        self.history_mlp = nn.Embedding(n_items + 1, n_factors, padding_idx=0)
        self.item_product = nn.Embedding(n_items, n_factors)
        self.item_mlp = nn.Embedding(n_items, n_factors)
        self.item_bias = nn.Embedding(n_items, 1)
        # The first MLP layer acts on [person, item]; it is split in two so that a catalogue is scored without pairs.
        self.person_layer = nn.Linear(n_factors, n_hidden)
        self.item_layer = nn.Linear(n_factors, n_hidden, bias=False)
        self.hidden_layer = nn.Linear(n_hidden, n_hidden // 2)
        self.output_layer = nn.Linear(n_factors + n_hidden // 2, 1)
        for table in (self.history_product, self.history_mlp, self.item_product, self.item_mlp):
            nn.init.normal_(table.weight, std=0.05)
        nn.init.zeros_(self.item_bias.weight)

    def person(self, item_rows: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Pool a history into two (b, n_factors); item_rows (b, length), weights (b, length) that sum to 1."""
        weighted = weights.unsqueeze(1)  # (b, 1, length)
        product = torch.bmm(weighted, self.history_product(item_rows)).squeeze(1)
        return product, torch.bmm(weighted, self.history_mlp(item_rows)).squeeze(1)

    def forward(self, person: tuple[Tensor, Tensor], items: Tensor) -> Tensor:
        """Return logits (b, c) of items, given as (b, c), or as (c,) if they are the same for each person."""
        product, mlp = person
        n_factors = product.shape[1]
        first = F.relu(self.person_layer(mlp).unsqueeze(1) + self.item_layer(self.item_mlp(items)))
        second = F.relu(self.hidden_layer(first))  # (b, c, n_hidden / 2)
        split = self.output_layer.weight.split([n_factors, second.shape[2]], dim=1)
        # (product * w) @ item is the weighted product branch without a (b, c, n_factors) tensor.
        weighted = (product * split[0]).unsqueeze(1)
        item_product = self.item_product(items)
        scores: Tensor = (weighted @ item_product.transpose(-1, -2)).squeeze(1)
        bias = self.item_bias(items).squeeze(-1) + self.output_layer.bias
        return scores + (second @ split[1].T).squeeze(-1) + bias


@dataclass(config=STRICT)
class NeuralCF(Member):
    """NeuMF over pooled histories, trained on each next item against sampled negatives."""

    n_factors: int = Field(default=64, ge=1, le=1024, description="Length of an embedding in each branch.")
    n_hidden: int = Field(
        default=64, ge=2, le=4096, description="Units of the first MLP layer; the second has half as many."
    )
    n_epochs: int = Field(default=3, ge=1, le=1000, description="Passes over all events.")
    n_negatives: int = Field(default=8, ge=1, le=1000, description="Negatives sampled per positive.")
    learning_rate: float = Field(default=2e-3, gt=0, le=1, description="Learning rate of AdamW.")
    l2: float = Field(default=1e-5, ge=0, le=1, description="Weight decay.")
    half_life: float = Field(
        default=20.0, gt=0, le=1e6, description="Half-life of the weights when a history is pooled, in items."
    )
    max_events: int = Field(default=50, ge=1, le=1000, description="Number of latest events that are pooled.")
    batch_size: int = Field(default=1024, ge=1, le=100_000, description="Positives per step.")
    name: ClassVar[str] = "neural"

    def fit(self, interactions: Interactions, *, seed: int, progress: Progress = no_progress) -> Self:
        """Minimise the logistic loss of each next item against `n_negatives` uniform negatives."""
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        self._known = interactions.item_counts() > 0
        self._model = NeuMF(interactions.n_items, self.n_factors, self.n_hidden)
        evidence = interactions.evidence
        self._evidence = evidence.weights
        read = distinct_histories(with_evidence(interactions.histories, evidence.of_tastes))
        histories = [history for history in read if len(history) > 1]
        positives = [
            (row, end)
            for row, history in enumerate(histories)
            for end in np.flatnonzero(history.kinds == evidence.target).tolist()
            if end
        ]
        examples = np.array(positives, np.int64).reshape(
            -1, 2
        )  # (n_positives, [history, its first `end` items])
        optimizer = torch.optim.AdamW(self._model.parameters(), self.learning_rate, weight_decay=self.l2)
        starts = range(0, len(examples), self.batch_size)
        for epoch in range(self.n_epochs):
            rng.shuffle(examples)
            for step, start in enumerate(starts):
                batch = examples[start : start + self.batch_size]
                loss = self._loss(histories, batch, rng)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                done = (epoch + (step + 1) / len(starts)) / self.n_epochs
                progress(done, f"epoch {epoch + 1}, loss {loss.item():.3f}")
            if not torch.isfinite(loss):
                raise NotFinite(
                    f"{self.name}: the loss is {loss.item()}; lower learning_rate ({self.learning_rate})"
                )
        return self

    def fitted(self) -> FittedNeuralCF:
        """Return tables and layers; the item side, which does not depend on the person, is computed in advance."""
        model, n_factors = self._model, self.n_factors
        with torch.inference_mode():
            of_product, of_states = model.output_layer.weight[0].split(
                [n_factors, len(model.output_layer.weight[0]) - n_factors]
            )
            return FittedNeuralCF(
                history_product=model.history_product.weight[1:].numpy(),
                history_mlp=model.history_mlp.weight[1:].numpy(),
                item_product=(model.item_product.weight * of_product).numpy(),
                item_hidden=model.item_layer(model.item_mlp.weight).numpy(),
                item_bias=(model.item_bias.weight[:, 0] + model.output_layer.bias).numpy(),
                person_weights=model.person_layer.weight.T.numpy(),
                person_bias=model.person_layer.bias.numpy(),
                hidden_weights=model.hidden_layer.weight.T.numpy(),
                hidden_bias=model.hidden_layer.bias.numpy(),
                output=of_states.numpy(),
                pooling=np.array([self.half_life, self.max_events], np.float64),
                known=self._known,
                evidence=self._evidence,
            )

    @torch.inference_mode()
    def score(self, histories: Sequence[History]) -> Floats:
        """Score with torch, for many people together; NaN for items without events and for empty histories.

        A test compares these scores with those of `fitted`.
        """
        prefixes = list(distinct_histories(with_evidence(packed(histories), np.maximum(self._evidence, 0))))
        n_items = len(self._known)
        scores = np.full((len(prefixes), n_items), np.nan, np.float32)
        items = torch.arange(n_items)
        for start in range(0, len(prefixes), 64):  # 64 people x 4,000 items x 64 units is 65 MB
            chunk = prefixes[start : start + 64]
            person = self._model.person(*self._pooling([(history, len(history)) for history in chunk]))
            scores[start : start + 64] = self._model(person, items).numpy()
        scores[:, ~self._known] = np.nan
        scores[[not len(history) for history in prefixes]] = np.nan
        return scores

    def save(self, folder: Path) -> None:
        """Write the weights as plain arrays."""
        weights = {name: weight.numpy() for name, weight in self._model.state_dict().items()}
        settings = np.array([self.n_factors, self.n_hidden, self.half_life, self.max_events])
        np.savez(
            folder / "neural.npz",
            known=self._known,
            evidence=self._evidence,
            settings=settings,
            **weights,
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(folder / "neural.npz") as arrays:
            n_factors, n_hidden, half_life, max_events = arrays["settings"].tolist()
            member = cls(int(n_factors), int(n_hidden), half_life=half_life, max_events=int(max_events))
            member._known, member._evidence = arrays["known"], arrays["evidence"]
            member._model = NeuMF(len(member._known), member.n_factors, member.n_hidden)
            names = member._model.state_dict()
            member._model.load_state_dict({name: torch.from_numpy(arrays[name]) for name in names})
        return member

    def _loss(
        self, histories: list[History], batch: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> Tensor:
        """Compute the logistic loss of one positive and `n_negatives` uniform items, which may be positives too."""
        positives = np.array([histories[row].item_indices[end] for row, end in batch])
        negatives = rng.choice(np.flatnonzero(self._known), (len(batch), self.n_negatives))
        items = torch.from_numpy(np.concatenate([positives[:, None], negatives], axis=1).astype(np.int64))
        labels = torch.zeros(items.shape)
        labels[:, 0] = 1.0
        person = self._model.person(*self._pooling([(histories[row], end) for row, end in batch]))
        return F.binary_cross_entropy_with_logits(self._model(person, items), labels)

    def _pooling(self, prefixes: Sequence[tuple[History, int]]) -> tuple[Tensor, Tensor]:
        """Return rows and recency weights of each history's first `end` items; newest first, (b, length) both."""
        length = max(1, min(self.max_events, max(end for _, end in prefixes)))
        rows = np.zeros((len(prefixes), length), np.int64)
        for row, (history, end) in enumerate(prefixes):
            recent = history.item_indices[max(0, end - length) : end][::-1]
            rows[row, : len(recent)] = recent + 1
        weights = np.exp2(-np.arange(length) / self.half_life) * (rows > 0)
        weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
        return torch.from_numpy(rows), torch.from_numpy(weights.astype(np.float32))
