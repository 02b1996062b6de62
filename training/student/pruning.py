"""Structured pruning: cut the student's least important attention heads, hidden units and neighbours.

A trained student goes in; one with smaller matrices comes out, which `distil` then teaches again for a few epochs
(recovery). `compression` walks a curve of such students. Importance is Fisher information: how much cutting a part
would change the student's own ranking, so it needs histories, but no labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import NamedTuple

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from models.history import History
from training.base.strict import STRICT
from training.student.tower import StudentModel, TowerSettings

N_DRAWS = 8
"""Number of items drawn from each person's ranking. Four already order the parts as thirty-two do."""
CHUNK = 128


@dataclass(config=STRICT, frozen=True)
class PruningSettings:
    """The curve of pruned students, and what each point on it costs."""

    n_points: int = Field(
        default=6, ge=0, le=20, description="Number of pruned students, evenly spaced up to the sparsest."
    )
    max_sparsity: float = Field(
        default=0.9,
        gt=0,
        lt=1,
        description="Share of heads and hidden units removed from the sparsest student.",
    )
    max_neighbour_sparsity: float = Field(
        default=0.75,
        ge=0,
        lt=1,
        description="Share of each item's neighbours removed from the sparsest student.",
    )
    n_examples: int = Field(
        default=1024, ge=1, le=10**6, description="Number of histories on which importance is measured."
    )
    n_recovery_epochs: int = Field(
        default=3, ge=1, le=1000, description="Epochs of distillation after each pruning step."
    )
    recovery_learning_rate: float = Field(
        default=1e-3,
        gt=0,
        le=1,
        description="Peak learning rate of these epochs; lower than that of a new student.",
    )


class Widths(NamedTuple):
    """A student's widths where it can be pruned."""

    n_heads: int
    n_hidden: int
    n_neighbours: int

    @staticmethod
    def of(settings: TowerSettings) -> Widths:
        """Return the widths of a student with these settings."""
        return Widths(settings.n_heads, settings.n_hidden, settings.n_neighbours)

    def sparser(self, sparsity: float, neighbour_sparsity: float) -> Widths:
        """Return what is left of these widths after the cut: at least one of each kind that there is."""
        kept, neighbours_kept = 1.0 - sparsity, 1.0 - neighbour_sparsity
        return Widths(
            max(1, round(self.n_heads * kept)),
            max(1, round(self.n_hidden * kept)),
            min(self.n_neighbours, max(1, round(self.n_neighbours * neighbours_kept))),
        )


class Point(NamedTuple):
    """A point of the pruning curve. sparsity: share of heads and hidden units that is cut."""

    sparsity: float
    widths: Widths


class Importance(NamedTuple):
    """What cutting each part would cost, in nats a person. heads: (n_heads,). units: (n_hidden,). Both >= 0."""

    heads: Tensor
    units: Tensor


def curve_of_widths(whole: Widths, settings: PruningSettings) -> list[Point]:
    """List the points from the whole student, which is left out, to the sparsest: wide to narrow, each once."""
    points: dict[Widths, float] = {}
    for point in range(1, settings.n_points + 1):
        share = point / settings.n_points
        widths = whole.sparser(share * settings.max_sparsity, share * settings.max_neighbour_sparsity)
        points.setdefault(widths, share * settings.max_sparsity)
    return [Point(sparsity, widths) for widths, sparsity in points.items() if widths != whole]


def prune(model: StudentModel, widths: Widths, histories: Sequence[History], *, seed: int) -> StudentModel:
    """Cut a student down to widths, keeping its most important parts in their order; the model given is not changed.

    histories: those on which importance is measured. Of parts that tie, the last are cut. Neighbours are ranked by
    the size of their weights, item by item.
    """
    importance = measure_importance(model, histories, seed=seed)
    heads = _most_important(importance.heads, widths.n_heads)
    units = _most_important(importance.units, widths.n_hidden)
    settings = replace(
        model.settings, n_heads=len(heads), n_hidden=len(units), n_neighbours=widths.n_neighbours
    )
    pruned = StudentModel(model.answer_items.text_vectors, settings, model.repeats)
    pruned.load_state_dict(_kept_state(model, heads, units, widths.n_neighbours))
    return pruned.eval()


def measure_importance(model: StudentModel, histories: Sequence[History], *, seed: int) -> Importance:
    """Measure the Fisher information of a gate on each head and hidden unit: half the mean of (d log p / d gate)².

    To second order this equals KL(student ‖ student with the gate shut). p is the probability of an item drawn from
    the student's own softmax. A gate's gradient is activation times
    gradient, as in Molchanov et al. (2019), arXiv 1906.10771, and on heads in Michel et al. (2019), arXiv
    1905.10650; squared it is the Fisher pruning of Theis et al. (2018), arXiv 1801.05787.
    They draw labels from the data; drawing them from the student makes this the curvature of what distillation
    minimises.
    """
    model.eval()
    generator = torch.Generator().manual_seed(seed)
    heads, units = torch.zeros(model.settings.n_heads), torch.zeros(model.settings.n_hidden)
    for start in range(0, len(histories), CHUNK):
        chunk = histories[start : start + CHUNK]
        gates = _Gates(
            torch.ones(len(chunk), len(heads), requires_grad=True),
            torch.ones(len(chunk), len(units), requires_grad=True),
        )
        for log_likelihood in _drawn_log_likelihoods(model, gates, chunk, generator):
            of_heads, of_units = torch.autograd.grad(log_likelihood, gates, retain_graph=True)
            heads += (of_heads**2).sum(dim=0)
            units += (of_units**2).sum(dim=0)
    n_terms = 2.0 * N_DRAWS * max(1, len(histories))
    return Importance(heads / n_terms, units / n_terms)


class _Gates(NamedTuple):
    """Factors on activations, all 1; one set per person keeps gradients apart: (b, n_heads), (b, n_hidden)."""

    heads: Tensor
    units: Tensor


def _drawn_log_likelihoods(
    model: StudentModel, gates: _Gates, histories: Sequence[History], generator: torch.Generator
) -> Iterator[Tensor]:
    """Yield, `N_DRAWS` times, the log-likelihood of an item drawn for each person, summed over people to a scalar."""
    encoded = model.encode(histories)
    with _gated(model, gates):
        scores = F.pad(model(*encoded), (1, 0), value=-1e9)  # (b, 1 + n_items), in the numbering of item_rows
    log_p = F.log_softmax(scores, dim=1)
    drawn = torch.multinomial(log_p.detach().exp(), N_DRAWS, replacement=True, generator=generator)
    for items in drawn.T:
        yield log_p.gather(1, items[:, None]).sum()


@contextmanager
def _gated(model: StudentModel, gates: _Gates) -> Iterator[None]:
    """Put the gates in front of the layers that read heads and hidden units."""
    tower = model.user_tower
    n_pooled = model.settings.n_heads * model.settings.n_factors

    def gate_heads(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (read,) = inputs  # (b, n_heads * n_factors + what else the layer reads)
        of_columns = gates.heads.repeat_interleave(model.settings.n_factors, dim=1)
        return (torch.cat([read[:, :n_pooled] * of_columns, read[:, n_pooled:]], dim=1),)

    def gate_units(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (inputs[0] * gates.units,)

    with ExitStack() as hung:
        for layer, gate in (
            (tower.hidden, gate_heads),
            (tower.residual, gate_heads),
            (tower.output, gate_units),
        ):
            hung.callback(layer.register_forward_pre_hook(gate).remove)
        yield


def _most_important(importance: Tensor, n_kept: int) -> Tensor:
    """Return the indices of the parts to keep, in ascending order."""
    return torch.argsort(importance, descending=True, stable=True)[:n_kept].sort().values


def _kept_state(model: StudentModel, heads: Tensor, units: Tensor, n_neighbours: int) -> dict[str, Tensor]:
    """Return the model's state with only these heads, these hidden units and each item's strongest neighbours."""
    state = model.state_dict()
    n_factors, n_pooled = model.settings.n_factors, model.settings.n_heads * model.settings.n_factors
    pooled = (
        heads[:, None] * n_factors + torch.arange(n_factors)
    ).flatten()  # columns of what the heads pooled
    for layer in ("content", "recency.2"):
        for part in ("weight", "bias"):
            state[f"user_tower.{layer}.{part}"] = state[f"user_tower.{layer}.{part}"][heads]
    for layer in ("hidden", "residual"):
        weight = state[f"user_tower.{layer}.weight"]
        state[f"user_tower.{layer}.weight"] = torch.cat([weight[:, pooled], weight[:, n_pooled:]], dim=1)
    for part in ("weight", "bias"):
        state[f"user_tower.hidden.{part}"] = state[f"user_tower.hidden.{part}"][units]
    state["user_tower.output.weight"] = state["user_tower.output.weight"][:, units]
    strongest = state["cooccurrence.weights"].abs().topk(n_neighbours, dim=1).indices.sort(dim=1).values
    for part in ("weights", "neighbour_items"):
        state[f"cooccurrence.{part}"] = state[f"cooccurrence.{part}"].gather(1, strongest)
    return state
