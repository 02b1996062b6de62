"""Content: TF-IDF over item texts; a person is represented by the recency-weighted mean of their items' vectors.

It does not need anybody to have touched an item, so it is the member that can rank new items (cold start).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from models.members.content import FittedContent
from models.text import terms_of
from training.base.callback import Progress, no_progress
from training.base.strict import STRICT
from training.data.dataset import Interactions
from training.members.member import Member
from training.members.recency import sparse_rows


def text_matrix(texts: Sequence[str], n_features: int) -> sparse.csr_matrix:
    """Compute TF-IDF of item texts by words and word pairs, rows of length 1; (n_items, <= n_features) float32.

    A text without a usable word gives a row of zeros. If no text has one, the result is a single column of zeros.
    """
    vectorizer = TfidfVectorizer(
        analyzer=terms_of, max_features=n_features, sublinear_tf=True, dtype=np.float32
    )
    try:
        return sparse.csr_matrix(vectorizer.fit_transform(texts))
    except ValueError:  # "empty vocabulary": in a shop without texts, this member has no opinion
        return sparse.csr_matrix(np.zeros((len(texts), 1), np.float32))


@dataclass(config=STRICT)
class Content(Member):
    """Scores an item by the cosine between its text vector and a person's mean text vector."""

    n_features: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Number of words and word pairs kept; raising it includes rarer ones.",
    )
    half_life: float = Field(
        default=30.0,
        gt=0,
        le=10_000,
        description="Half-life of the weights in a history, in items; lowering it favours the latest interest.",
    )
    name: ClassVar[str] = "content"
    scores_new_items: ClassVar[bool] = True

    def fit(self, interactions: Interactions, *, seed: int, progress: Progress = no_progress) -> Self:
        """Vectorise the catalogue's texts; of interactions, only what kinds of events say is used."""
        self._items = text_matrix(interactions.catalogue.texts, self.n_features)
        self._evidence = interactions.evidence.weights
        return self

    def fitted(self) -> FittedContent:
        """Return the text vectors of the catalogue's items."""
        return FittedContent(sparse_rows(self._items), self.half_life, self._evidence)

    def save(self, folder: Path) -> None:
        """Write the text matrix."""
        sparse.save_npz(folder / "content.npz", self._items)
        np.savez(folder / "content_fold.npz", half_life=self.half_life, evidence=self._evidence)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(folder / "content_fold.npz") as arrays:
            member = cls(half_life=float(arrays["half_life"]))
            member._evidence = arrays["evidence"]
        member._items = sparse.csr_matrix(sparse.load_npz(folder / "content.npz"))
        return member
