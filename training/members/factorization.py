"""Matrix factorisation: implicit-feedback ALS (Hu, Koren, Volinsky 2008) with fold-in of people by their history.

Confidence is 1 + alpha * weight (eq. 3 there), where the weight decays with recency. A person's factors are solved
from their history at scoring time, so new people and every prefix of a history have factors too (fold-in).
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from pydantic import Field
from pydantic.dataclasses import dataclass
from threadpoolctl import threadpool_limits

from models.members.factorization import FittedFactorization
from training.base.callback import Progress, no_progress
from training.base.errors import NotFinite
from training.base.strict import STRICT
from training.data.dataset import Interactions
from training.members.member import Member
from training.members.recency import recency_matrix


@dataclass(config=STRICT)
class Factorization(Member):
    """Scores an item by the dot product of ALS factors."""

    n_factors: int = Field(default=128, ge=1, le=1024, description="Length of a factor vector.")
    l2: float = Field(
        default=50.0, ge=0, le=10_000, description="Regularisation; small catalogues need 30 to 100."
    )
    alpha: float = Field(
        default=10.0, gt=0, le=1000, description="Confidence that an event adds to the base of 1."
    )
    n_iterations: int = Field(
        default=15, ge=1, le=200, description="Number of alternating sweeps over people and items."
    )
    fit_half_life: float = Field(
        default=1000.0,
        gt=0,
        le=1e6,
        description="Half-life of the weights in a history while item factors are learned, in items.",
    )
    fold_half_life: float = Field(
        default=40.0,
        gt=0,
        le=1e6,
        description="Half-life of the weights in a history at fold-in, in items; lowering it favours the "
        "latest items.",
    )
    name: ClassVar[str] = "als"

    def fit(self, interactions: Interactions, *, seed: int, progress: Progress = no_progress) -> Self:
        """Alternate `n_iterations` times between people and items."""
        evidence = interactions.evidence
        weights = recency_matrix(
            interactions.histories, interactions.n_items, self.fit_half_life, evidence=evidence.of_tastes
        )
        with threadpool_limits(1, "blas"):  # implicit has threads over people; BLAS threads would compete
            model = self._model(seed)
            model.fit(
                self.alpha * weights,
                show_progress=False,
                callback=lambda sweep, *_: progress((sweep + 1) / self.n_iterations, f"sweep {sweep + 1}"),
            )
        if not np.isfinite(model.item_factors).all():
            raise NotFinite(f"{self.name}: item factors are not finite; raise l2 (now {self.l2})")
        self._item_factors = np.asarray(model.item_factors, np.float32)
        self._known, self._evidence = interactions.item_counts() > 0, evidence.weights
        self._fitted = self._as_it_runs()
        return self

    def fitted(self) -> FittedFactorization:
        """Return the item factors and the parameters of fold-in."""
        return self._fitted

    def save(self, folder: Path) -> None:
        """Write the item factors and the parameters of fold-in."""
        fold = np.array([self.l2, self.alpha, self.fold_half_life])
        np.savez(
            folder / "als.npz",
            item_factors=self._item_factors,
            known=self._known,
            fold=fold,
            evidence=self._evidence,
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(folder / "als.npz") as arrays:
            l2, alpha, fold_half_life = arrays["fold"].tolist()
            n_factors = arrays["item_factors"].shape[1]
            member = cls(n_factors=n_factors, l2=l2, alpha=alpha, fold_half_life=fold_half_life)
            member._item_factors, member._known = arrays["item_factors"], arrays["known"]
            member._evidence = arrays["evidence"]
        member._fitted = member._as_it_runs()
        return member

    def _model(self, seed: int) -> AlternatingLeastSquares:
        return AlternatingLeastSquares(
            factors=self.n_factors,
            regularization=self.l2,
            alpha=1.0,  # fit multiplies the weights by alpha, so the confidence is 1 + alpha * weight
            iterations=self.n_iterations,
            random_state=seed,
        )

    def _as_it_runs(self) -> FittedFactorization:
        return FittedFactorization(
            self._item_factors, self._known, self.l2, self.alpha, self.fold_half_life, self._evidence
        )
