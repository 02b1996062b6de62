"""The ensemble: members, the moment's item features, and a strategy that was fitted on what members had not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.history import History
from training.data.dataset import Interactions
from training.data.split import Questions
from training.ensemble.meta_features import ItemFeatures, feature_names, meta_features, seen_mask
from training.ensemble.stacking import Stacking
from training.ensemble.strategy import Strategy
from training.members.content import Content
from training.members.factorization import Factorization
from training.members.member import Floats, Member
from training.members.neural import NeuralCF
from training.members.popularity import Popularity

CHUNK = 128
"""People scored together: 128 x 4,000 items x 19 features is 39 MB."""

STRATEGIES: dict[str, type[Strategy]] = {Stacking.name: Stacking}
MEMBERS: dict[str, type[Member]] = {
    member.name: member for member in (Popularity, Content, Factorization, NeuralCF)
}


@dataclass(frozen=True)
class Ensemble:
    """Fitted members and the strategy that weighs them."""

    members: list[Member]
    item_features: ItemFeatures
    strategy: Strategy

    def score(self, histories: Sequence[History]) -> Floats:
        """Purchase logit of every item; (n_people, n_items) float32, -inf for items of the history."""
        chunks = [
            self._score_chunk(histories[start : start + CHUNK]) for start in range(0, len(histories), CHUNK)
        ]
        n_items = len(self.item_features.values)
        return np.concatenate([np.zeros((0, n_items), np.float32), *chunks])

    def refitted_on(self, members: list[Member], interactions: Interactions) -> Ensemble:
        """The same strategy over members that were fitted again on a longer past."""
        return replace(self, members=members, item_features=ItemFeatures.at(interactions))

    def feature_weights(self) -> dict[str, float]:
        """How much each meta-feature counts."""
        names = feature_names([member.name for member in self.members])
        return dict(zip(names, self.strategy.weights().tolist(), strict=True))

    def save(self, folder: Path) -> None:
        """Write everything that scoring needs."""
        folder.mkdir(parents=True, exist_ok=True)
        for member in self.members:
            member.save(folder)
        self.item_features.save(folder)
        self.strategy.save(folder)
        names = [self.strategy.name, *(member.name for member in self.members)]
        (folder / "parts.txt").write_text("\n".join(names))

    @staticmethod
    def load(folder: Path) -> Ensemble:
        """Read what `save` wrote."""
        strategy, *members = (folder / "parts.txt").read_text().split()
        return Ensemble(
            [MEMBERS[name].load(folder) for name in members],
            ItemFeatures.load(folder),
            STRATEGIES[strategy].load(folder),
        )

    def _score_chunk(self, histories: Sequence[History]) -> Floats:
        scores = {member.name: member.score(histories) for member in self.members}
        logits = self.strategy.logit(meta_features(scores, histories, self.item_features))
        logits[seen_mask(histories, logits.shape[1])] = -np.inf
        return logits


def fit_ensemble(
    members: list[Member],
    interactions: Interactions,
    questions: Questions,
    strategy: Strategy,
    *,
    n_negatives: int,
    seed: int,
) -> Ensemble:
    """Fit a strategy on questions about a slice that the members have not seen.

    A pair is one person and one unseen item: all of the truth, and n_negatives items a person drawn uniformly
    from the rest. Harder negatives make the logit a worse ranking of the whole catalogue.
    """
    rng = np.random.default_rng(seed)
    item_features = ItemFeatures.at(interactions)
    features, labels = [], []
    for start in range(0, len(questions), CHUNK):
        chunk = questions.take(np.arange(start, min(start + CHUNK, len(questions))))
        scores = {member.name: member.score(chunk.histories) for member in members}
        pairs = meta_features(scores, chunk.histories, item_features)
        for row in range(len(chunk)):
            taken = chunk.truth[row]
            touched = np.concatenate([taken, chunk.histories[row].item_indices])
            others = np.setdiff1d(np.arange(interactions.n_items), touched)
            negatives = rng.choice(others, min(n_negatives, len(others)), replace=False)
            features.append(pairs[row, np.concatenate([taken, negatives])])
            labels.append(np.arange(len(taken) + len(negatives)) < len(taken))
    strategy.fit(np.concatenate(features), np.concatenate(labels), seed=seed)
    return Ensemble(members, item_features, strategy)
