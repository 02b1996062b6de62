"""The student's two towers, and the co-occurrence term beside their product. Nothing has a row per person.

A person is represented by their last events through eight attention heads: each weighs events by content and by a
learned recency, and pools them; a two-layer head, with the latest item as a residual, makes the user vector.
An item is its id embedding plus a linear map of its text vector, so an item without events still has a place.
The term (models/cooccurrence.py) adds a boost from recent events to the neighbours of their items.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from models.cooccurrence import LAST_VISIT_LOG_DAYS, N_OWN_DECAYS, N_SCALARS
from models.history import N_KIND_CODES, History, encode_histories
from models.item_timeline import ItemTimeline
from models.repeats import RepeatModel
from training.base.strict import STRICT
from training.student.chosen_sums import chosen_sums
from training.student.neighbours import Neighbours

LEAST_EVIDENCE = 0.01
"""What a kind of event that says nothing is taken for before learning: a weight of 0 could not grow."""
STARTING_DECAYS = (0.2, 0.5, 0.3, 0.0)
"""Event decays before learning: per log position, per log day, for the last visit, and per log count."""


@dataclass(config=STRICT, frozen=True)
class TowerSettings:
    """Widths of the student, and what is hidden from it while it learns."""

    n_factors: int = Field(default=64, ge=2, le=1024, description="Length of user and item vectors.")
    n_heads: int = Field(default=8, ge=1, le=64, description="Number of attention heads that pool a history.")
    n_hidden: int = Field(default=256, ge=1, le=8192, description="Hidden units of the user tower's head.")
    n_neighbours: int = Field(
        default=128,
        ge=0,
        le=4096,
        description="Items whose scores each item of a history raises; 0 scores by the dot product only.",
    )
    event_dropout: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Share of events hidden in training; raising it generalises better to new histories.",
    )
    id_dropout: float = Field(
        default=0.05,
        ge=0,
        lt=1,
        description="Share of items that are known only by their text in training; raising it helps new items.",
    )


class Events(NamedTuple):
    """The student's input, (b, length) each, as `models.history.EncodedHistories` has it."""

    item_rows: Tensor
    gap_log_days: Tensor
    event_kinds: Tensor
    log_counts: Tensor
    repeat_log_odds: Tensor


class UserTower(nn.Module):
    """Turns events into user vectors; this is the module that is exported."""

    def __init__(self, settings: TowerSettings) -> None:
        super().__init__()
        width, self.n_heads = settings.n_factors, settings.n_heads
        self.kind = nn.Embedding(N_KIND_CODES, width)
        self.count = nn.Parameter(torch.zeros(width))  # for each log of how often
        self.null_event = nn.Parameter(torch.zeros(width))  # in every history; alone in an empty one
        self.content = nn.Linear(width, settings.n_heads)
        self.recency = nn.Sequential(nn.Linear(4, 16), nn.GELU(), nn.Linear(16, settings.n_heads))
        pooled = settings.n_heads * width
        self.hidden = nn.Linear(pooled + width + 1, settings.n_hidden)
        self.output = nn.Linear(settings.n_hidden, width)
        self.residual = nn.Linear(pooled + width, width)
        nn.init.zeros_(self.kind.weight)

    def forward(
        self,
        history_vectors: Tensor,
        is_event: Tensor,
        gap_log_days: Tensor,
        event_kinds: Tensor,
        log_counts: Tensor,
    ) -> Tensor:
        """Return user vectors (b, n_factors).

        history_vectors: (b, length, n_factors); the others: (b, length), newest event first.
        """
        done = self.kind(event_kinds) + self.count * log_counts.unsqueeze(2)
        events = (history_vectors + done) * is_event.unsqueeze(2)
        null = self.null_event.expand(events.shape[0], 1, -1)
        tokens = torch.cat([null, events], dim=1)  # (b, 1 + length, n_factors)
        logits = self.content(tokens) + self._recency(is_event, gap_log_days)
        mask = torch.cat([torch.ones_like(is_event[:, :1]), is_event], dim=1).unsqueeze(2)
        weights = torch.softmax(logits.masked_fill(mask == 0, -1e4), dim=1)  # (b, 1 + length, n_heads)
        pooled = (weights.transpose(1, 2) @ tokens).flatten(1)  # (b, n_heads * n_factors)
        latest = events[:, 0]
        n_events = torch.log1p(is_event.sum(dim=1, keepdim=True))
        hidden = F.gelu(self.hidden(torch.cat([pooled, latest, n_events], dim=1)))
        vectors: Tensor = self.output(hidden) + self.residual(torch.cat([pooled, latest], dim=1))
        return vectors

    def _recency(self, is_event: Tensor, gap_log_days: Tensor) -> Tensor:
        """Return attention logits from each event's age, (b, 1 + length, n_heads); zeros for the null event."""
        position = torch.cumsum(torch.ones_like(is_event), dim=1) - 1.0
        is_latest_visit = (gap_log_days < 0.05).to(
            gap_log_days.dtype
        )  # within about an hour of the last event
        ages = torch.stack([torch.log1p(position), position / 50.0, gap_log_days, is_latest_visit], dim=2)
        logits = self.recency(ages)
        return torch.cat([torch.zeros_like(logits[:, :1]), logits], dim=1)


class ItemTower(nn.Module):
    """Makes item vectors for one use (in histories, or as answers): id embedding plus a map of the text vector."""

    def __init__(self, text_vectors: Tensor, n_factors: int) -> None:
        super().__init__()
        self.text_vectors: Tensor
        self.register_buffer("text_vectors", text_vectors)
        self.identity = nn.Parameter(torch.randn(len(text_vectors), n_factors) * 0.02)
        self.text = nn.Linear(text_vectors.shape[1], n_factors)

    def forward(self, knows_id: Tensor | None = None) -> Tensor:
        """Return the vectors of all items, (n_items, n_factors); knows_id (n_items, 1) zeroes id embeddings."""
        identity = self.identity if knows_id is None else self.identity * knows_id
        vectors: Tensor = identity + self.text(self.text_vectors)
        return vectors

    @torch.no_grad()
    def start_from(self, vectors: Tensor, l2: float = 1.0) -> None:
        """Make items get these vectors (n_items, n_factors): ridge fits the text map, ids take the remainder."""
        text = torch.cat([self.text_vectors, torch.ones(len(vectors), 1)], dim=1)
        gram = text.T @ text + l2 * torch.eye(text.shape[1])
        solution = torch.linalg.solve(gram, text.T @ vectors)
        self.text.weight.copy_(solution[:-1].T)
        self.text.bias.copy_(solution[-1])
        self.identity.copy_(vectors - text @ solution)


class CooccurrenceTerm(nn.Module):
    """`models.cooccurrence.Cooccurrence` in training: weights and decays are learned, the neighbours are fixed.

    The own part starts from one number for all items (`start_own_from`); candidates hold a person's own items, so the
    rest is learned from the ensemble's labels.
    """

    def __init__(self, n_items: int, n_neighbours: int) -> None:
        super().__init__()
        self.neighbour_items: Tensor
        self.register_buffer("neighbour_items", torch.zeros(1 + n_items, n_neighbours, dtype=torch.int64))
        self.weights = nn.Parameter(torch.zeros(1 + n_items, n_neighbours))  # row 0 is padding
        self.decays = nn.Parameter(torch.tensor((*STARTING_DECAYS, *[0.0] * N_KIND_CODES)))
        self.own_weights = nn.Parameter(torch.zeros(1 + n_items))
        self.own_decays = nn.Parameter(torch.zeros(N_OWN_DECAYS))

    def forward(
        self, events: Events, is_read: Tensor, knows_id: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return boosts as item indices and values, (b, length * (n_neighbours + 1)) each; entries are summed by
        item.

        is_read: (b, length), 0 for events whose neighbours get nothing. knows_id (n_items, 1) zeroes rows and columns
        of C and the own weights, since an item known by its text alone has none.
        """
        weights: Tensor = self.weights
        own_weights: Tensor = self.own_weights
        if knows_id is not None:
            weights = weights * self._known(knows_id)
            own_weights = own_weights * F.pad(knows_id[:, 0], (1, 0))
        n_people, length = events.item_rows.shape
        n_entries = length * weights.shape[1]
        values = F.embedding(events.item_rows, weights) * self.event_weights(events, is_read).unsqueeze(2)
        items = self.neighbour_items[events.item_rows]  # (b, length, n_neighbours)
        is_event = (events.item_rows > 0).to(values.dtype)
        by_repeats = self.own_decays[-1] * events.repeat_log_odds
        own = (
            own_weights[events.item_rows] + _additions(events, self.own_decays[:-1]) + by_repeats
        ) * is_event
        return (
            torch.cat([items.view(n_people, n_entries), (events.item_rows - 1).clamp(min=0)], dim=1),
            torch.cat([values.view(n_people, n_entries), own], dim=1),
        )

    def event_weights(self, events: Events, is_read: Tensor) -> Tensor:
        """Return `models.cooccurrence.event_weights`, with 0 where nothing is read; (b, length)."""
        position = torch.arange(events.gap_log_days.shape[1], dtype=events.gap_log_days.dtype)
        exponents = _additions(events, self.decays[1:]) - self.decays[0] * torch.log1p(position)
        return torch.exp(exponents) * is_read

    @torch.no_grad()
    def start_from(self, neighbours: Neighbours) -> None:
        """Take over these neighbours, with their weights and those of kinds of events as starting values."""
        self.neighbour_items[1:] = torch.from_numpy(neighbours.item_indices)
        self.weights[1:] = torch.from_numpy(neighbours.weights)
        of_kinds = torch.from_numpy(np.maximum(neighbours.evidence, LEAST_EVIDENCE))
        self.decays[1 + N_SCALARS :] = torch.log(of_kinds)

    @torch.no_grad()
    def start_own_from(self, advantage: float, log_odds: float) -> None:
        """Let own items start this much above others on average, in the order of their log-odds.

        log_odds: the mean of these.
        """
        self.own_decays[N_SCALARS:-1] = advantage - log_odds
        self.own_decays[-1] = 1.0

    def _known(self, knows_id: Tensor) -> Tensor:
        """Return 1 where the ids of an entry's row and column are both known, else 0; (1 + n_items, n_neighbours)."""
        return F.pad(knows_id, (0, 0, 1, 0)) * knows_id[:, 0][self.neighbour_items]


def _additions(events: Events, decays: Tensor) -> Tensor:
    """Return what events add, as `models.cooccurrence`; decays: by gap, of the last visit, by count, of kinds."""
    by_gap, of_last_visit, by_count = decays[:N_SCALARS]
    is_last_visit = (events.gap_log_days <= LAST_VISIT_LOG_DAYS).to(events.gap_log_days.dtype)
    added = of_last_visit * is_last_visit - by_gap * events.gap_log_days + by_count * events.log_counts
    return added + decays[N_SCALARS:][events.event_kinds]


class StudentModel(nn.Module):
    """Both towers and the co-occurrence term. Items in histories and items as answers have tables of their own.

    repeats: what tells how likely own items are taken again; it is not learned here.
    """

    def __init__(
        self, text_vectors: Tensor, settings: TowerSettings, repeats: RepeatModel | None = None
    ) -> None:
        super().__init__()
        self.settings = settings
        self.repeats = repeats or RepeatModel.unlearned(ItemTimeline.unknown(len(text_vectors)))
        self.history_items = ItemTower(text_vectors, settings.n_factors)
        self.answer_items = ItemTower(text_vectors, settings.n_factors)
        self.user_tower = UserTower(settings)
        self.cooccurrence = CooccurrenceTerm(len(text_vectors), settings.n_neighbours)

    def encode(self, histories: Sequence[History]) -> Events:
        """Turn histories into the student's input."""
        encoded = encode_histories(histories, log_odds=self.repeats.log_odds)
        return Events(*(torch.from_numpy(part) for part in encoded))

    def forward(
        self,
        item_rows: Tensor,
        gap_log_days: Tensor,
        event_kinds: Tensor,
        log_counts: Tensor,
        repeat_log_odds: Tensor,
        chosen: Tensor | None = None,
    ) -> Tensor:
        """Return scores of the whole catalogue, (b, n_items), or only of the item indices chosen, both (b, n_chosen).

        The other inputs are (b, length), as made by `encode_histories`.
        """
        knows_id = self._knows_id(len(self.answer_items.identity))
        history_table = F.pad(self.history_items(knows_id), (0, 0, 1, 0))  # row 0 is padding
        events = Events(item_rows, gap_log_days, event_kinds, log_counts, repeat_log_odds)
        is_event = (item_rows > 0).float()
        if self.training and self.settings.event_dropout:
            is_event = is_event * (torch.rand_like(is_event) >= self.settings.event_dropout)
        vectors = F.embedding(item_rows, history_table)
        user_vectors = self.user_tower(vectors, is_event, gap_log_days, event_kinds, log_counts)
        boosts = self.cooccurrence(events, is_event, knows_id)
        item_vectors = self.answer_items(knows_id)
        if chosen is None:
            return (user_vectors @ item_vectors.T).scatter_add(1, *boosts)
        products = (F.embedding(chosen, item_vectors) @ user_vectors.unsqueeze(2)).squeeze(2)
        entries, values = boosts
        return products + chosen_sums(entries, values, chosen, len(item_vectors))

    def _knows_id(self, n_items: int) -> Tensor | None:
        if not self.training or not self.settings.id_dropout:
            return None
        return (torch.rand(n_items, 1) >= self.settings.id_dropout).float()
