"""Neural CF as it runs: NeuMF over a pooled history, with its item side computed in advance (He et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from models.history import History
from models.members.member import Arrays, FittedMember, Floats, Known, require, with_gaps
from models.members.recency import distinct_histories, packed, with_evidence


@dataclass(frozen=True)
class FittedNeuralCF(FittedMember):
    """history_product, history_mlp: (n_items, n_factors), the tables that a history is pooled from.

    item_product: (n_items, n_factors), already multiplied by the product branch's weights. item_hidden: (n_items,
    n_hidden), what an item adds to the first layer. item_bias: (n_items,), all biases of an item's logit.
    person_weights, person_bias: (n_factors, n_hidden) and (n_hidden,), the person's part of the first layer.
    hidden_weights, hidden_bias, output: the second layer (n_hidden, n_last), (n_last,), and what it adds to the logit
    (n_last,). evidence: the weights of kinds of events; those that do not speak for an item are left out. pooling:
    its half-life in items, and the number of most recent events that are pooled.
    """

    history_product: Floats
    history_mlp: Floats
    item_product: Floats
    item_hidden: Floats
    item_bias: Floats
    person_weights: Floats
    person_bias: Floats
    hidden_weights: Floats
    hidden_bias: Floats
    output: Floats
    pooling: npt.NDArray[np.float64]
    known: Known
    evidence: Floats
    name: ClassVar[str] = "neural"

    @property
    def n_items(self) -> int:
        """The size of the catalogue."""
        return len(self.known)

    def score(self, histories: Sequence[History]) -> Floats:
        """Score items; NaN for items without events and for people with an empty history."""
        distinct = distinct_histories(with_evidence(packed(histories), np.maximum(self.evidence, 0)))
        scores = np.empty((len(distinct), self.n_items), np.float32)
        is_empty = np.diff(distinct.offsets) == 0
        for row in np.flatnonzero(~is_empty).tolist():
            scores[row] = self._score(distinct[row].item_indices)
        return with_gaps(scores, self.known, is_empty)

    def arrays(self) -> Arrays:
        """Return tables and layers."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Read tables and layers."""
        member = cls(**{field.name: np.asarray(arrays[field.name]) for field in fields(cls)})
        tables = (member.history_product, member.history_mlp, member.item_product, member.item_hidden)
        rows = {len(table) for table in (*tables, member.item_bias, member.known)}
        require(len(rows) == 1, f"neural: tables have {sorted(rows)} rows, one an item is needed")
        chain = (member.history_mlp.shape[1], *member.person_weights.shape, *member.hidden_weights.shape)
        fits = chain[0] == chain[1] and chain[2] == chain[3] == member.item_hidden.shape[1]
        require(fits and chain[4] == len(member.output), f"neural: layers of sizes {chain} do not meet")
        return member

    def _score(self, item_indices: npt.NDArray[np.int32]) -> Floats:
        half_life, max_events = self.pooling.tolist()
        recent = item_indices[-int(max_events) :][::-1]
        weights = np.exp2(-np.arange(len(recent)) / half_life)
        weights = (weights / weights.sum()).astype(np.float32)
        product = weights @ self.history_product[recent]
        person = (weights @ self.history_mlp[recent]) @ self.person_weights + self.person_bias
        states = self.item_hidden + person  # (n_items, n_hidden)
        np.maximum(states, 0.0, out=states)
        states = states @ self.hidden_weights
        states += self.hidden_bias
        np.maximum(states, 0.0, out=states)
        scores: Floats = self.item_product @ product + states @ self.output + self.item_bias
        return scores
