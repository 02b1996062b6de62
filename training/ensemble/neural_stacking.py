"""Neural stacking: logistic stacking, corrected by a small network that learns to rank positives above negatives.

The network starts as no correction at all, so with few pairs it stays near logistic stacking. The loss of a
positive is a softmax over it and its person's negatives (ListNet's top-one loss, Cao et al. 2007), plus the logistic
loss of every pair, which keeps the score a log-odds. A sampled softmax with uniform negatives has the same optimum as
one over the whole catalogue, so the network also learns the head of the ranking, where trees, which split on pairs
alone, see few examples.

Own items weigh next to nothing in that softmax, since they are few among all, yet they fill the head of a list. So a
second softmax compares an own item that was taken with the person's other own items alone. Its optimum agrees with
that of the first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from scipy.optimize import brentq
from scipy.special import expit, logit
from torch import Tensor, nn
from torch.nn import functional as F

from models.ensemble.meta_features import are_own
from models.ensemble.stacking import LAYERS, FittedNeuralStacking
from training.base.callback import Progress, no_progress
from training.base.errors import NotFinite
from training.base.strict import STRICT
from training.ensemble.stacking import Stacking, standardisation
from training.ensemble.strategy import Labels, People, Strategy, Weights
from training.members.member import Floats

MIN_STEPS = 150
"""The least number of training steps: after fewer, a network is still close to where it started."""
MAX_OWN_OTHERS = 40
"""The most own items that were not taken beside one that was: a person rarely has more to choose from."""
N_WEIGHED = 20_000
"""The number of pairs over which importance is averaged."""


@dataclass(config=STRICT)
class NeuralStacking(Strategy):
    """Log-odds from logistic stacking plus the mean of `n_networks` networks, each with two hidden layers."""

    n_hidden: int = Field(
        default=48, ge=2, le=1024, description="Units of the first layer; the second has half as many."
    )
    n_networks: int = Field(
        default=3, ge=1, le=50, description="Number of networks that are averaged; more are steadier."
    )
    n_epochs: int = Field(default=8, ge=1, le=1000, description="Passes over all taken items.")
    batch_size: int = Field(default=128, ge=1, le=100_000, description="Taken items per step.")
    n_others: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description="Maximum number of other items of the same person in a softmax.",
    )
    own_weight: float = Field(
        default=3.0,
        ge=0,
        le=100,
        description="Weight of the softmax over own items alone, relative to the one over all.",
    )
    pair_weight: float = Field(
        default=4.0, ge=0, le=100, description="Weight of the logistic loss relative to the softmax loss."
    )
    learning_rate: float = Field(
        default=3e-3, gt=0, le=1, description="Peak learning rate of the one-cycle schedule."
    )
    l2: float = Field(default=1e-2, ge=0, le=1, description="Weight decay.")
    name: ClassVar[str] = "neural_stacking"

    def fit(
        self,
        features: Floats,
        labels: Labels,
        people: People,
        *,
        seed: int,
        weights: Weights | None = None,
        progress: Progress = no_progress,
    ) -> Self:
        """Train on lists, each of one positive and negatives of the same person."""
        self._linear = Stacking().fit(features, labels, people, seed=seed, weights=weights)
        mean, deviation = standardisation(features, weights)
        self._shift = mean.astype(np.float32)
        self._scale = (1.0 / deviation).astype(np.float32)
        lists = _lists(labels, people, self.n_others, np.random.default_rng(seed))
        own = np.flatnonzero(are_own(features))
        n_own = min(self.n_others, MAX_OWN_OTHERS)
        own_lists = _lists(labels[own], people[own], n_own, np.random.default_rng(seed))
        standardised = torch.from_numpy((features - self._shift) * self._scale)
        linear = torch.from_numpy(self._linear.logit(features))
        stands_for = torch.ones(len(labels)) if weights is None else torch.from_numpy(weights).float()
        networks = []
        for position in range(self.n_networks):
            networks.append(
                self._train(standardised, linear, stands_for, lists, own_lists.of(own), seed + position)
            )
            progress((position + 1) / self.n_networks, f"network {position + 1}")
        self._layers = [
            (
                np.stack([getattr(network, layer).weight.detach().numpy().T for network in networks]),
                np.stack([getattr(network, layer).bias.detach().numpy()[None] for network in networks]),
            )
            for layer in LAYERS
        ]
        # Each list has one taken item, whatever share of its person's pairs was taken, so the level is set here.
        _, output_biases = self._layers[-1]
        output_biases += level_of(labels, self.logit(features), weights)
        sample = standardised[:: max(1, len(standardised) // N_WEIGHED)].requires_grad_()
        gradients = [torch.autograd.grad(network(sample).sum(), sample)[0] for network in networks]
        slopes = torch.stack(gradients).mean(dim=(0, 1)).numpy().astype(np.float64)
        self._weights = self._linear.weights() + slopes
        return self

    def fitted(self) -> FittedNeuralStacking:
        """Return the linear part, the standardisation and the layers."""
        return FittedNeuralStacking(self._linear.fitted(), self._shift, self._scale, self._layers)

    def weights(self) -> npt.NDArray[np.float64]:
        """Return the mean slope of the logit along each standardised feature."""
        return self._weights

    def save(self, folder: Path) -> None:
        """Write the layers and the standardisation."""
        arrays: dict[str, Any] = {
            f"{layer}_{part}": array
            for layer, pair in zip(LAYERS, self._layers, strict=True)
            for part, array in zip(("weights", "biases"), pair, strict=True)
        }
        np.savez(
            folder / f"{self.name}.npz",
            shift=self._shift,
            scale=self._scale,
            importance=self._weights,
            **arrays,
        )
        self._linear.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        strategy = cls()
        strategy._linear = Stacking.load(folder)
        with np.load(folder / f"{cls.name}.npz") as arrays:
            strategy._shift, strategy._scale = arrays["shift"], arrays["scale"]
            strategy._weights = arrays["importance"]
            strategy._layers = [(arrays[f"{layer}_weights"], arrays[f"{layer}_biases"]) for layer in LAYERS]
        return strategy

    def _train(
        self,
        features: Tensor,
        linear: Tensor,
        stands_for: Tensor,
        lists: _Lists,
        own_lists: _Lists,
        seed: int,
    ) -> _Network:
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        network = _Network(features.shape[1], self.n_hidden)
        if not len(lists.positives):  # nobody has both labels, so there is no list to order
            return network
        optimizer = torch.optim.AdamW(network.parameters(), self.learning_rate, weight_decay=self.l2)
        steps_an_epoch = max(1, -(-len(lists.positives) // self.batch_size))
        n_epochs = max(self.n_epochs, -(-MIN_STEPS // steps_an_epoch))
        n_steps = n_epochs * steps_an_epoch
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.learning_rate, total_steps=max(n_steps, 2)
        )
        for _ in range(n_epochs):
            order = rng.permutation(len(lists.positives))
            for start in range(0, len(order), self.batch_size):
                chosen = order[start : start + self.batch_size]
                loss = self._loss(network, features, linear, stands_for, lists.some(chosen))
                if len(own_lists.positives) and self.own_weight:
                    drawn = own_lists.some(rng.integers(0, len(own_lists.positives), self.batch_size))
                    loss = loss + self.own_weight * _own_loss(network, features, linear, drawn)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
        if not torch.isfinite(loss):
            raise NotFinite(
                f"{self.name}: the loss is {loss.item()}; lower learning_rate ({self.learning_rate})"
            )
        return network

    def _loss(
        self,
        network: _Network,
        features: Tensor,
        linear: Tensor,
        stands_for: Tensor,
        lists: npt.NDArray[np.int64],
    ) -> Tensor:
        """Compute the softmax loss of the positive in its list, plus the logistic loss of the list's pairs.

        lists: (b, 1 + n_others), the positive first. A pair that stands for less than one weighs less in both.
        """
        rows = torch.from_numpy(lists)
        is_pair = rows >= 0
        in_rows = rows.clamp(min=0)
        logits = linear[in_rows] + network(features[in_rows]).squeeze(2)
        counts = stands_for[in_rows] * is_pair
        among = F.log_softmax(logits + counts.log(), dim=1)[:, 0]
        target = torch.zeros_like(logits)
        target[:, 0] = 1.0
        of_pairs = F.binary_cross_entropy_with_logits(logits, target, reduction="none") * counts
        return -among.mean() + self.pair_weight * of_pairs.sum(dim=1).mean()


def _own_loss(network: _Network, features: Tensor, linear: Tensor, lists: npt.NDArray[np.int64]) -> Tensor:
    """Compute the softmax loss of the positive among own items, each of which counts as one; lists: as in `_loss`."""
    rows = torch.from_numpy(lists)
    in_rows = rows.clamp(min=0)
    logits = linear[in_rows] + network(features[in_rows]).squeeze(2)
    return -F.log_softmax(logits.masked_fill(rows < 0, -torch.inf), dim=1)[:, 0].mean()


class _Network(nn.Module):
    def __init__(self, n_features: int, n_hidden: int) -> None:
        super().__init__()
        self.first = nn.Linear(n_features, n_hidden)
        self.second = nn.Linear(n_hidden, n_hidden // 2)
        self.output = nn.Linear(n_hidden // 2, 1)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Map (..., n_features) to (..., 1)."""
        logits: Tensor = self.output(F.relu(self.second(F.relu(self.first(features)))))
        return logits


def level_of(labels: Labels, logits: Floats, weights: Weights | None = None) -> float:
    """Return what must be added to all logits so that their probabilities average to the rate of the labels."""
    rate = float(np.average(labels, weights=weights))
    reach = float(np.abs(logits).max()) + abs(float(logit(rate))) + 1.0
    return float(
        brentq(lambda level: np.average(expit(logits + level), weights=weights) - rate, -reach, reach)
    )


class _Lists(NamedTuple):
    """Rows of positives (n_positives,), and of each one's negatives (n_positives, n_others), padded with -1."""

    positives: npt.NDArray[np.int64]
    negatives: npt.NDArray[np.int64]

    def some(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return these lists, the positive first; (n_places, 1 + n_others)."""
        return np.concatenate([self.positives[places, None], self.negatives[places]], axis=1)

    def of(self, rows: npt.NDArray[np.int64]) -> _Lists:
        """Return the same lists, whose rows were numbered among these."""
        if not len(rows):
            return self
        return _Lists(rows[self.positives], np.where(self.negatives < 0, -1, rows[self.negatives]))


def _lists(labels: Labels, people: People, n_others: int, rng: np.random.Generator) -> _Lists:
    """Pair each positive with negatives of its person; people without both have no list."""
    order = np.argsort(people, kind="stable")
    positives, negatives = [np.zeros(0, np.int64)], [np.zeros((0, n_others), np.int64)]
    for rows in np.split(order, np.flatnonzero(np.diff(people[order])) + 1):
        its_positives, its_negatives = rows[labels[rows]], rows[~labels[rows]]
        if len(its_positives) and len(its_negatives):
            drawn = np.full((len(its_positives), n_others), -1, np.int64)
            for list_of_one in drawn:
                kept = rng.permutation(its_negatives)[:n_others]
                list_of_one[: len(kept)] = kept
            positives.append(its_positives)
            negatives.append(drawn)
    return _Lists(np.concatenate(positives), np.concatenate(negatives))
