"""Sequential: self-attention over a person's last events predicts the next item (SASRec, Kang and McAuley 2018).

We depart from the paper in five points. The loss is a softmax over the whole catalogue (beyond `max_softmax_items`,
over a sample of it that all share), at positions sampled from each sequence. Item embeddings start from an SVD of who
touched what, which a few epochs can refine, while from random ones they could not get there. The days since the event
before and the kind of the event are embedded beside the position, and only target events are predicted. Events of one
moment, a basket, are put in a new order each time.
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
from scipy import sparse
from sklearn.utils.extmath import randomized_svd
from torch import Tensor, nn
from torch.nn import functional as F

from models.history import N_KIND_CODES, History
from models.members.recency import distinct_histories
from models.members.sequential import N_GAPS, FittedSequential, gap_buckets
from models.packed_histories import Histories
from training.base.callback import Progress, no_progress
from training.base.errors import NotFinite
from training.base.strict import STRICT
from training.data.dataset import Interactions
from training.members.member import Floats, Member
from training.members.recency import recency_matrix
from training.members.softmax_loss import softmax_loss

WARM_START_DEVIATION = 0.1
MAX_WARM_START_PEOPLE = 100_000
"""The most people whose items go into the SVD; its time and memory grow with them."""
SORTED_BATCHES = 8
"""Number of batches whose sequences are sorted by length together, so that little of a batch is padding."""


class Block(nn.Module):
    """Causal self-attention and a feed-forward layer, each with a layer norm before it and a residual around it."""

    def __init__(self, n_factors: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads, self.dropout = n_heads, dropout
        self.attention_norm = nn.LayerNorm(n_factors)
        self.projections = nn.Linear(n_factors, 3 * n_factors)
        self.attention_output = nn.Linear(n_factors, n_factors)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(n_factors),
            nn.Linear(n_factors, 2 * n_factors),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * n_factors, n_factors),
            nn.Dropout(dropout),
        )

    def forward(self, states: Tensor) -> Tensor:
        """Map (b, length, n_factors) to the same shape; a position sees itself and those before it."""
        n_people, length, width = states.shape
        heads = self.projections(self.attention_norm(states)).view(n_people, length, 3, self.n_heads, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # (b, n_heads, length, width / n_heads) each
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=True, dropout_p=dropout)
        attended = self.attention_output(attended.transpose(1, 2).reshape(n_people, length, width))
        states = states + F.dropout(attended, self.dropout, self.training)
        refined: Tensor = states + self.feed_forward(states)
        return refined


class SelfAttention(nn.Module):
    """Maps sequences of items to states, and states to logits of the catalogue by the same item embeddings."""

    def __init__(
        self, n_items: int, n_factors: int, n_heads: int, n_blocks: int, max_events: int, dropout: float
    ) -> None:
        super().__init__()
        self.items = nn.Embedding(n_items + 1, n_factors, padding_idx=0)
        self.positions = nn.Embedding(max_events, n_factors)
        self.gaps = nn.Embedding(N_GAPS, n_factors)
        self.kinds = nn.Embedding(N_KIND_CODES, n_factors)
        self.blocks = nn.ModuleList(Block(n_factors, n_heads, dropout) for _ in range(n_blocks))
        self.norm = nn.LayerNorm(n_factors)
        self.item_bias = nn.Parameter(torch.zeros(n_items))
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.positions.weight, std=0.02)
        nn.init.zeros_(self.gaps.weight)
        nn.init.zeros_(self.kinds.weight)

    def forward(self, item_rows: Tensor, gaps: Tensor, kinds: Tensor) -> Tensor:
        """Return states (b, length, n_factors); the inputs are (b, length), oldest first, padded at the end."""
        positions = self.positions.weight[: item_rows.shape[1]]
        states = self.dropout(self.items(item_rows) + self.gaps(gaps) + self.kinds(kinds) + positions)
        for block in self.blocks:
            states = block(states)
        normed: Tensor = self.norm(states)
        return normed

    def logits(self, states: Tensor) -> Tensor:
        """Return logits of all items; (n, n_factors) to (n, n_items)."""
        return states @ self.items.weight[1:].T + self.item_bias


@dataclass(config=STRICT)
class Sequential(Member):
    """Scores an item as the next one after a person's sequence, by self-attention."""

    n_factors: int = Field(
        default=64, ge=4, le=1024, multiple_of=4, description="Width of embeddings and states."
    )
    n_heads: int = Field(default=2, ge=1, le=4, description="Number of attention heads: 1, 2 or 4.")
    n_blocks: int = Field(default=2, ge=1, le=16, description="Number of attention blocks.")
    max_events: int = Field(default=100, ge=2, le=1000, description="Number of latest events that are read.")
    dropout: float = Field(
        default=0.2, ge=0, lt=1, description="Dropout rate; raise it if there are few people."
    )
    n_epochs: int = Field(default=12, ge=1, le=1000, description="Passes over all sequences.")
    max_sequences: int = Field(
        default=300_000,
        ge=1,
        le=10**9,
        description="Maximum number of sequences read in all epochs together; beyond it, each person is "
        "read fewer times.",
    )
    n_positions: int = Field(
        default=24,
        ge=1,
        le=1000,
        description="Number of positions per sequence and epoch that predict the next item.",
    )
    batch_size: int = Field(default=64, ge=1, le=100_000, description="People per step.")
    learning_rate: float = Field(
        default=4e-3, gt=0, le=1, description="Peak learning rate of the one-cycle schedule."
    )
    l2: float = Field(default=1e-4, ge=0, le=1, description="Weight decay.")
    max_softmax_items: int = Field(
        default=20_000,
        ge=2,
        le=10**7,
        description="Catalogue size up to which the loss covers every item; beyond it, as many items are "
        "drawn per step.",
    )
    name: ClassVar[str] = "sequential"

    def fit(self, interactions: Interactions, *, seed: int, progress: Progress = no_progress) -> Self:
        """Minimise the cross-entropy of the next item at sampled positions."""
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        self._known, self._target = interactions.item_counts() > 0, interactions.evidence.target
        self._model = self._new_model(interactions.n_items)
        sequences = distinct_histories(interactions.histories)
        self._warm_start(sequences, rng)
        batches = self._batches(sequences, rng)
        n_steps = len(batches)
        optimizer = torch.optim.AdamW(self._model.parameters(), self.learning_rate, weight_decay=self.l2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.learning_rate, total_steps=max(n_steps, 2), pct_start=0.15
        )
        self._model.train()
        for step, rows in enumerate(batches):
            loss = self._loss([sequences[row] for row in rows], rng)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            if step % 10 == 9 or step == n_steps - 1:
                if not torch.isfinite(loss):
                    raise NotFinite(
                        f"{self.name}: the loss is {loss.item()}; lower learning_rate ({self.learning_rate})"
                    )
                progress((step + 1) / n_steps, f"step {step + 1}/{n_steps}, loss {loss.item():.3f}")
        self._model.eval()
        return self

    def fitted(self) -> FittedSequential:
        """Return the tables and layers."""
        model = self._model
        blocks = [block for block in model.blocks if isinstance(block, Block)]
        with torch.inference_mode():
            return FittedSequential(
                items=model.items.weight.numpy(),
                positions=model.positions.weight.numpy(),
                gaps=model.gaps.weight.numpy(),
                kinds=model.kinds.weight.numpy(),
                item_bias=model.item_bias.numpy(),
                norms=np.stack([_norms(block.attention_norm, block.feed_forward[0]) for block in blocks]),
                last_norm=_norms(model.norm),
                attention_in=np.stack([_layer(block.projections) for block in blocks]),
                attention_out=np.stack([_layer(block.attention_output) for block in blocks]),
                forward_in=np.stack([_layer(block.feed_forward[1]) for block in blocks]),
                forward_out=np.stack([_layer(block.feed_forward[4]) for block in blocks]),
                n_heads=np.array(self.n_heads, np.int64),
                known=self._known,
            )

    @torch.inference_mode()
    def score(self, histories: Sequence[History]) -> Floats:
        """Score with torch, for many people together; NaN for items without events and for empty histories.

        A test compares these scores with those of `fitted`.
        """
        recent = [history.distinct().last(self.max_events) for history in histories]
        scores = np.full((len(recent), len(self._known)), np.nan, np.float32)
        for start in range(0, len(recent), 256):
            chunk = recent[start : start + 256]
            states = self._model(*_encoded(chunk))
            last = torch.tensor([max(len(history) - 1, 0) for history in chunk], dtype=torch.int64)
            latest = states[torch.arange(len(chunk)), last]
            scores[start : start + 256] = self._model.logits(latest).numpy()
        scores[:, ~self._known] = np.nan
        scores[[not len(history) for history in recent]] = np.nan
        return scores

    def save(self, folder: Path) -> None:
        """Write the weights as plain arrays."""
        weights = {name: weight.numpy() for name, weight in self._model.state_dict().items()}
        shape = np.array([self.n_factors, self.n_heads, self.n_blocks, self.max_events])
        np.savez(folder / "sequential.npz", known=self._known, shape=shape, **weights)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(folder / "sequential.npz") as arrays:
            n_factors, n_heads, n_blocks, max_events = arrays["shape"].tolist()
            member = cls(n_factors=n_factors, n_heads=n_heads, n_blocks=n_blocks, max_events=max_events)
            member._known = arrays["known"]
            member._model = member._new_model(len(member._known))
            names = member._model.state_dict()
            member._model.load_state_dict({name: torch.from_numpy(arrays[name]) for name in names})
        member._model.eval()
        return member

    def _new_model(self, n_items: int) -> SelfAttention:
        return SelfAttention(
            n_items, self.n_factors, self.n_heads, self.n_blocks, self.max_events, self.dropout
        )

    @torch.no_grad()
    def _warm_start(self, sequences: Histories, rng: np.random.Generator) -> None:
        """Start item embeddings from an SVD of who touched what; active people and popular items weigh less."""
        people = np.flatnonzero(np.diff(sequences.offsets) > 1)
        if len(people) > MAX_WARM_START_PEOPLE:
            people = np.sort(rng.choice(people, MAX_WARM_START_PEOPLE, replace=False))
        touched = recency_matrix(sequences, len(self._known), np.inf)[people]
        of_person = np.maximum(touched.getnnz(axis=1), 1).astype(np.float32) ** -0.5
        of_item = np.maximum(touched.getnnz(axis=0), 1).astype(np.float32) ** -0.25
        scaled = sparse.diags_array(of_person) @ touched @ sparse.diags_array(of_item)
        rank = min(self.n_factors, min(touched.shape) - 1)
        weight = self._model.items.weight
        weight.copy_(torch.from_numpy(rng.normal(0.0, 0.02, weight.shape).astype(np.float32)))
        if rank > 0:
            _, spectrum, items = randomized_svd(scaled, rank, random_state=int(rng.integers(2**31)))
            vectors = items.T * np.sqrt(spectrum)
            vectors *= WARM_START_DEVIATION / max(float(vectors.std()), 1e-9)
            weight[1:, :rank] = torch.from_numpy(vectors.astype(np.float32))
        weight[0] = 0.0

    def _batches(self, sequences: Histories, rng: np.random.Generator) -> list[npt.NDArray[np.int64]]:
        """Batch the rows of people who have a next item to predict, epoch by epoch, at most `max_sequences` in all.

        sequences: everybody's distinct items.
        """
        n_events = np.diff(sequences.offsets)
        n_targets = np.append(0, np.cumsum(sequences.kinds == self._target))
        people = np.flatnonzero((n_events > 1) & (np.diff(n_targets[sequences.offsets]) > 0))
        read = np.minimum(n_events, self.max_events + 1)
        span = SORTED_BATCHES * self.batch_size
        batches: list[npt.NDArray[np.int64]] = []
        n_left = self.max_sequences
        for _ in range(self.n_epochs):
            order = rng.permutation(people)[:n_left]
            n_left -= len(order)
            together = [order[start : start + span] for start in range(0, len(order), span)]
            by_length = [rows[np.argsort(read[rows], kind="stable")] for rows in together]
            starts = np.arange(0, len(order), self.batch_size)
            rows = np.concatenate([np.zeros(0, np.int64), *by_length])
            batches += [rows[start : start + self.batch_size] for start in rng.permutation(starts)]
        return batches

    def _loss(self, sequences: Sequence[History], rng: np.random.Generator) -> Tensor:
        """Compute the cross-entropy of the next target item at up to `n_positions` positions per sequence."""
        item_rows, gaps, kinds = _encoded([self._window(history, rng) for history in sequences])
        states = self._model(item_rows[:, :-1], gaps[:, :-1], kinds[:, :-1])
        targets = _next_targets(item_rows, kinds == self._target)
        draw = torch.from_numpy(rng.random(targets.shape, np.float32)).masked_fill(targets == 0, -1.0)
        positions = draw.topk(min(self.n_positions, draw.shape[1]), dim=1).indices
        chosen = targets.gather(1, positions)
        predicting = states.gather(1, positions.unsqueeze(2).expand(-1, -1, states.shape[2]))
        is_event = chosen > 0
        next_items, predicting = chosen[is_event] - 1, predicting[is_event]  # (n,), (n, n_factors)
        vectors, bias = self._model.items.weight[1:], self._model.item_bias
        if len(self._known) <= self.max_softmax_items:
            return softmax_loss(predicting, vectors, bias, next_items)
        drawn = torch.from_numpy(rng.choice(len(self._known), self.max_softmax_items, replace=False))
        items, position = torch.unique(torch.cat([next_items, drawn]), return_inverse=True)
        return softmax_loss(predicting, vectors[items], bias[items], position[: len(next_items)])

    def _window(self, history: History, rng: np.random.Generator) -> History:
        """Cut at most `max_events` + 1 consecutive events at a random place; a basket's events get a random order."""
        first = int(rng.integers(0, max(len(history) - self.max_events, 1)))
        span = slice(first, first + self.max_events + 1)
        items, times, kinds = history.item_indices[span], history.times[span], history.kinds[span]
        order = np.lexsort((rng.random(len(times)), times))
        return History(items[order], times[order], kinds[order])


def _next_targets(item_rows: Tensor, is_target: Tensor) -> Tensor:
    """Return the row of the next target after each position but the last, 0 if there is none; (b, length - 1)."""
    beyond = item_rows.shape[1]
    places = torch.arange(beyond).expand_as(item_rows).masked_fill(~is_target | (item_rows == 0), beyond)
    following = places.flip(1).cummin(dim=1).values.flip(1)[:, 1:]
    return F.pad(item_rows, (0, 1)).gather(1, following)


def _encoded(histories: Sequence[History]) -> tuple[Tensor, Tensor, Tensor]:
    """Return item rows (0 is padding), gap buckets and kinds; (n_people, longest) int64 each, oldest first."""
    shape = (len(histories), max([1, *map(len, histories)]))
    item_rows, gaps, kinds = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for row, history in enumerate(histories):
        if not len(history):
            continue
        item_rows[row, : len(history)] = history.item_indices + 1
        gaps[row, : len(history)] = gap_buckets(history.times)
        kinds[row, : len(history)] = history.kinds
    return torch.from_numpy(item_rows), torch.from_numpy(gaps), torch.from_numpy(kinds)


def _norms(*norms: nn.Module) -> Floats:
    """Stack the scale and the shift of each norm."""
    return np.stack([part.detach().numpy() for norm in norms for part in norm.parameters()])


def _layer(layer: nn.Module) -> Floats:
    """Return a layer's weights as (n_in, n_out), with the bias as a last row."""
    weights, bias = (part.detach().numpy() for part in layer.parameters())
    return np.concatenate([weights.T, bias[None]])
