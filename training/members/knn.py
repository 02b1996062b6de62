"""Item-kNN: "people who took this also took"; the oldest collaborative model, and hard to beat on small shops.

Deshpande and Karypis 2004, with their conditional probability softened to an asymmetric cosine (Aiolli 2013) and
shrunk, so that two items which one person happened to take do not become near duplicates. Two items taken together
count in full if it was in one visit, and with `person_weight` squared if it was in one person's history.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from scipy import sparse

from models.members.item_items import FittedItemKNN
from training.base.callback import Progress, no_progress
from training.base.strict import STRICT
from training.data.dataset import Interactions
from training.members.item_items import similar_items, taken_together, visits_and_people
from training.members.member import Member
from training.members.recency import sparse_rows


@dataclass(config=STRICT)
class ItemKNN(Member):
    """Scores an item by the sum of its similarities to a person's recent items."""

    n_neighbours: int = Field(
        default=500,
        ge=1,
        le=100_000,
        description="Number of similar items kept per item; raising it reaches more items.",
    )
    shrinkage: float = Field(
        default=10.0,
        ge=0,
        le=1e6,
        description="Added to the denominator of a similarity; raising it discounts rare pairs.",
    )
    popularity_power: float = Field(
        default=0.7,
        ge=0,
        le=1,
        description="How strongly popular items are penalised; 0.5 is cosine similarity, 0 favours popular items.",
    )
    fit_half_life: float = Field(
        default=20.0,
        gt=0,
        le=1e6,
        description="Half-life of the weights in people's rows during training, in items.",
    )
    fold_half_life: float = Field(
        default=20.0,
        gt=0,
        le=1e6,
        description="Half-life of the weights in a history, in items; lowering it favours the latest items.",
    )
    visit_decay: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Weight of a visit relative to the next one; 0 uses the last visit only.",
    )
    person_weight: float = Field(
        default=0.5,
        ge=0,
        le=100,
        description="Weight of a person's row relative to a visit's; 0 counts visits only.",
    )
    name: ClassVar[str] = "knn"

    def fit(self, interactions: Interactions, *, seed: int, progress: Progress = no_progress) -> Self:
        """Count items taken together, normalise, and keep the strongest; the seed is not used, nothing is random."""
        user_items, targets = taken_together(
            interactions,
            lambda evidence: visits_and_people(
                interactions.histories,
                interactions.n_items,
                half_life=self.fit_half_life,
                person_weight=self.person_weight,
                evidence=evidence,
            ),
        )
        self.item_items = similar_items(
            user_items,
            self.n_neighbours,
            shrinkage=self.shrinkage,
            popularity_power=self.popularity_power,
            targets=targets,
        )
        self._known = interactions.item_counts() > 0
        self._evidence = interactions.evidence.weights
        progress(1.0, f"{self.item_items.nnz:,} similarities")
        return self

    def fitted(self) -> FittedItemKNN:
        """Return the similarities by item."""
        similar = sparse_rows(self.item_items)
        return FittedItemKNN(similar, self._known, self.fold_half_life, self.visit_decay, self._evidence)

    def save(self, folder: Path) -> None:
        """Write the similarities as a sparse matrix."""
        sparse.save_npz(folder / "knn_item_items.npz", self.item_items, compressed=False)
        fold = np.array([self.fold_half_life, self.visit_decay])
        np.savez(folder / "knn.npz", known=self._known, fold=fold, evidence=self._evidence)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(folder / "knn.npz") as arrays:
            fold_half_life, visit_decay = arrays["fold"].tolist()
            member = cls(fold_half_life=fold_half_life, visit_decay=visit_decay)
            member._known, member._evidence = arrays["known"], arrays["evidence"]
        member.item_items = sparse.csr_matrix(sparse.load_npz(folder / "knn_item_items.npz"))
        return member
