"""The ensemble: members, the model of repeats, and a strategy that was fitted on events the members had not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse

from models.ensemble.ensemble import FittedEnsemble
from models.ensemble.meta_features import consensus, feature_names, meta_features
from models.ensemble.opinions import Indices, Opinions
from models.history import MAX_EVENTS, History
from models.repeats import RepeatModel
from training.ensemble.pairs import people_at_once
from training.ensemble.repeats import load_repeats, save_repeats
from training.ensemble.strategies import STRATEGIES
from training.ensemble.strategy import Strategy
from training.members.ease import EASE, VisitEASE
from training.members.installed import member_class
from training.members.knn import ItemKNN
from training.members.member import Floats, Member

Items = npt.NDArray[np.int32]
MAX_OWN = MAX_EVENTS
"""The most own items of a person that are candidates in any case, the latest ones: as many as the student reads."""


@dataclass(frozen=True)
class Ensemble:
    """Fitted members and the strategy that combines them."""

    members: list[Member]
    repeats: RepeatModel
    strategy: Strategy

    @property
    def n_items(self) -> int:
        """Size of the catalogue."""
        return self.repeats.n_items

    def fitted(self) -> FittedEnsemble:
        """Return the ensemble in the form that runs, without copying anything large."""
        members = [member.fitted() for member in self.members]
        return FittedEnsemble(members, self.repeats, self.strategy.fitted())

    def score(self, histories: Sequence[History]) -> Floats:
        """Return the logit that each item is a target next; (n_people, n_items) float32."""
        return self.fitted().score(histories)

    def score_candidates(
        self, histories: Sequence[History], n_top: int, n_uniform: int, rng: np.random.Generator
    ) -> tuple[Items, Floats]:
        """Return candidates and logits: the members' `n_top` favourites, own and `n_uniform` uniform items per
        person.

        The favourites are those of the members' consensus, so only candidates need to be described and scored by
        the strategy, which may be slow. Own items are the last `MAX_OWN` of a person. Items and logits are (n_people,
        n_top + n_own + n_uniform); -inf where a person has fewer own items.
        """
        n_at_once = people_at_once(self.n_items)
        parts = [
            self._candidates_chunk(histories[start : start + n_at_once], n_top, n_uniform, rng)
            for start in range(0, max(len(histories), 1), n_at_once)
        ]
        items, logits = zip(*parts, strict=True)
        return np.concatenate(items), np.concatenate(logits)

    def opinions(self, histories: Sequence[History]) -> list[Opinions]:
        """Return each member's opinions of the whole catalogue, in the members' order, for a chunk of people."""
        return [Opinions.of(member.score(histories), histories) for member in self.members]

    def describe(self, histories: Sequence[History], items: Indices | None = None) -> Floats:
        """Return the meta-features of every item, (n_people, n_items, n_features), for a chunk of people.

        items: (n_people, n_candidates), the only items to describe; None for all.
        """
        return meta_features(self.opinions(histories), histories, self.repeats, items)

    def feature_weights(self) -> dict[str, float]:
        """Return the weight of each meta-feature by name."""
        names = feature_names([member.name for member in self.members])
        return dict(zip(names, self.strategy.weights().tolist(), strict=True))

    def item_items(self) -> Floats | sparse.csr_matrix:
        """Return how much each item supports each other, (n_items, n_items), by the best member; zeros if none does.

        The student's co-occurrence term starts from it.
        """
        by_name = {member.name: member for member in self.members}
        for kind in (VisitEASE, EASE, ItemKNN):
            if kind.name in by_name:
                member = by_name[kind.name]
                assert isinstance(member, kind)
                return member.item_items
        return sparse.csr_matrix(0.0 * sparse.eye_array(self.n_items, dtype=np.float32))

    def save(self, folder: Path) -> None:
        """Write everything that scoring needs."""
        folder.mkdir(parents=True, exist_ok=True)
        for member in self.members:
            member.save(folder)
        save_repeats(self.repeats, folder)
        self.strategy.save(folder)
        names = [self.strategy.name, *(member.name for member in self.members)]
        (folder / "parts.txt").write_text("\n".join(names))

    @staticmethod
    def load(folder: Path) -> Ensemble:
        """Read what `save` wrote."""
        strategy, *members = (folder / "parts.txt").read_text().split()
        return Ensemble(
            [member_class(name).load(folder) for name in members],
            load_repeats(folder),
            STRATEGIES[strategy].load(folder),
        )

    def _candidates_chunk(
        self, histories: Sequence[History], n_top: int, n_uniform: int, rng: np.random.Generator
    ) -> tuple[Items, Floats]:
        opinions = self.opinions(histories)
        favour = consensus(opinions)
        n_top = min(n_top, self.n_items)
        top = np.argpartition(-favour, max(n_top - 1, 0), axis=1)[:, :n_top]
        own, is_own = _own_items(histories)
        uniform = rng.integers(0, self.n_items, (len(histories), min(n_uniform, self.n_items)))
        items = np.concatenate([top, own, uniform], axis=1)
        logits = self.strategy.logit(meta_features(opinions, histories, self.repeats, items))
        logits[:, top.shape[1] : top.shape[1] + own.shape[1]][~is_own] = -np.inf
        return items.astype(np.int32), logits


def _own_items(histories: Sequence[History]) -> tuple[Items, npt.NDArray[np.bool_]]:
    """Return each person's last `MAX_OWN` items, (n_people, MAX_OWN), and which of these places are filled."""
    own = np.zeros((len(histories), MAX_OWN), np.int32)
    is_own = np.zeros(own.shape, np.bool_)
    for row, history in enumerate(histories):
        items = history.distinct().last(MAX_OWN).item_indices
        own[row, : len(items)] = items
        is_own[row, : len(items)] = True
    return own, is_own
