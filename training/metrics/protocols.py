"""Put a split's questions to a model, in the same way for every protocol and every model.

Sampled metrics rank each of up to ten true items of a person against 99 negatives, drawn uniformly from all others
(without items of the history that are no answers) or taken from published ones, and average over the
person. Catalogue metrics rank all true items against the whole catalogue, without items of the history that are no
answers. Accuracy classifies balanced pairs: each of the same true items, and one negative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.history import History
from training.data.dataset import Interactions, people_of_events
from training.data.split import Questions
from training.members.member import Floats
from training.metrics import metrics
from training.metrics.ranks import (
    TiedRanks,
    any_hit,
    capped_recall_at,
    hit_rate,
    ndcg_at,
    ndcg_of_one,
    ranks_against,
    ranks_among,
    recall_at,
)

PROTOCOL = "next_basket"
N_SAMPLED_NEGATIVES = 99
MAX_TARGETS = 10
"""The most true items per person in sampled metrics, so that one person with a huge basket does not decide them."""
CHUNK = 256
LIST_LENGTH = 20

Items = npt.NDArray[np.int32]
ScoreFunction = Callable[[Sequence[History]], Floats]
"""A function from histories to scores (n_people, n_items), NaN where the model has no opinion; those rank last."""


@dataclass(frozen=True)
class Candidates:
    """The candidates of each person, drawn once and shared by all models, so that differences are paired.

    target_items: per person up to `MAX_TARGETS` true items, or all of them if candidates are published.
    negatives: per person (n_targets, n_negatives) int32, row i for target i. Drawn negatives were never touched and
        are the same for all items of a person. The i-th negative of row i makes the negative pair of item i.
    """

    target_items: list[Items]
    negatives: list[Items]


@dataclass(frozen=True)
class Outcome:
    """One model's results, as arrays over people in the order of the questions, over target items, and over pairs.

    Over people, (n_people,): hit and ndcg are sampled metrics at 10, means over a person's targets; recall,
    capped_recall and catalogue_ndcg are on the whole catalogue at 20; catalogue_hit, catalogue_recall_10 and
    catalogue_ndcg_10 on the whole catalogue at 10. A catalogue hit is any true item in the list. Ties count as the
    mean over all orders.
    top_items: (n_people, 20) int32, padded with -1. n_items: number of items that may be recommended.
    Over target items, (n_targets,): target_people (rows of the questions), target_items, target_ranks among the
    sampled candidates, target_catalogue_ranks.
    Over pairs, (2 * n_targets,): pair_scores, pair_labels, pair_people.
    """

    hit: metrics.Doubles
    ndcg: metrics.Doubles
    recall: metrics.Doubles
    capped_recall: metrics.Doubles
    catalogue_ndcg: metrics.Doubles
    catalogue_hit: metrics.Doubles
    catalogue_recall_10: metrics.Doubles
    catalogue_ndcg_10: metrics.Doubles
    top_items: Items
    n_items: int
    target_people: npt.NDArray[np.int64]
    target_items: Items
    target_ranks: TiedRanks
    target_catalogue_ranks: TiedRanks
    pair_scores: Floats
    pair_labels: npt.NDArray[np.bool_]
    pair_people: npt.NDArray[np.int64]

    def of_people(self) -> dict[str, metrics.Doubles]:
        """Return the metrics that are means over people, by their name in reports; (n_people,) each."""
        return {
            "hr@10": self.hit,
            "ndcg@10": self.ndcg,
            "catalogue_recall@20": self.recall,
            "catalogue_capped_recall@20": self.capped_recall,
            "catalogue_ndcg@20": self.catalogue_ndcg,
            "catalogue_hr@10": self.catalogue_hit,
            "catalogue_recall@10": self.catalogue_recall_10,
            "catalogue_ndcg@10": self.catalogue_ndcg_10,
        }

    def threshold(self) -> float:
        """Return the threshold that classifies these pairs best; meant for outcomes on validation."""
        return metrics.best_threshold(self.pair_scores, self.pair_labels)

    def accuracy_of_people(self, threshold: float) -> metrics.Doubles:
        """Return each person's share of pairs that are classified right; (n_people,)."""
        is_right = metrics.accuracy(self.pair_scores, self.pair_labels, threshold)
        return np.bincount(self.pair_people, is_right) / np.bincount(self.pair_people)

    def summary(self, threshold: float, touched_shares: metrics.Doubles | None = None) -> dict[str, float]:
        """Return the report's metrics. threshold: on scores, chosen on validation.

        touched_shares: see `touched_shares`; if given, novelty and popularity bias of the lists are included.
        """
        figures = {
            "accuracy": float(metrics.accuracy(self.pair_scores, self.pair_labels, threshold).mean()),
            "auc": metrics.auc(self.pair_scores, self.pair_labels),
            **{name: float(values.mean()) for name, values in self.of_people().items()},
            "coverage": metrics.coverage(self.top_items, self.n_items),
        }
        if touched_shares is not None:
            figures["novelty"] = metrics.novelty(self.top_items, touched_shares)
            figures["popularity_bias"] = self._popularity_bias(touched_shares)
        return figures

    def _popularity_bias(self, touched_shares: metrics.Doubles) -> float:
        is_item = self.top_items >= 0
        recommended = np.where(is_item, touched_shares[self.top_items], 0.0).sum(axis=1)
        taken = np.bincount(self.target_people, touched_shares[self.target_items])
        return metrics.popularity_lift(
            recommended / np.maximum(is_item.sum(axis=1), 1), taken / np.bincount(self.target_people)
        )


def draw_candidates(questions: Questions, n_items: int, *, seed: int) -> Candidates:
    """Draw the candidates of sampled metrics and balanced pairs, or take the published candidates if there are any.

    Only items that may be recommended are drawn.
    """
    if questions.negatives is not None:
        return Candidates(questions.truth, questions.negatives)
    rng = np.random.default_rng(seed)
    targets, negatives = [], []
    for row, truth in enumerate(questions.truth):
        is_other = recommendable_items(questions, n_items)
        is_other[truth] = False
        is_other[questions.left_out_of(row)] = False
        others = np.flatnonzero(is_other).astype(np.int32)
        enough = len(others) >= N_SAMPLED_NEGATIVES
        drawn = rng.choice(others, N_SAMPLED_NEGATIVES, replace=not enough)
        targets.append(rng.choice(truth, min(len(truth), MAX_TARGETS), replace=False))
        negatives.append(np.broadcast_to(drawn, (len(targets[-1]), len(drawn))))
    return Candidates(targets, negatives)


def measure(score: ScoreFunction, questions: Questions, candidates: Candidates) -> Outcome:
    """Put all questions to one model, a chunk of people at a time; items that may not be recommended are masked."""
    answers, lists = [], []
    n_items = 0
    blocked = None if questions.recommendable is None else ~questions.recommendable
    for start in range(0, len(questions), CHUNK):
        rows = range(start, min(start + CHUNK, len(questions)))
        chunk_scores = score(questions.histories[rows.start : rows.stop])
        n_items = chunk_scores.shape[1]
        unseen = np.empty_like(chunk_scores, np.float32)
        for row, own in zip(rows, chunk_scores, strict=True):
            scores = opinion_or_last(own)
            unseen[row - start] = without_items(scores, questions.left_out_of(row), questions.truth[row])
            if blocked is not None:
                unseen[row - start, blocked] = -np.inf
            answers.append(
                _Answer.of(
                    scores,
                    unseen[row - start],
                    questions.truth[row],
                    candidates.target_items[row],
                    candidates.negatives[row],
                )
            )
        lists.append(metrics.top_items(unseen, LIST_LENGTH))
    if blocked is not None:
        n_items -= int(blocked.sum())
    return _outcome(answers, candidates, np.concatenate(lists), n_items)


def recommendable_items(questions: Questions, n_items: int) -> npt.NDArray[np.bool_]:
    """Return which items may be answered, (n_items,), as a copy to write into."""
    if questions.recommendable is None:
        return np.ones(n_items, np.bool_)
    return questions.recommendable.copy()


def opinion_or_last(scores: Floats) -> Floats:
    """Copy one person's scores so that "no opinion" ranks below every opinion; (n_items,)."""
    is_known = np.isfinite(scores)
    lowest = scores[is_known].min() if is_known.any() else 0.0
    return np.where(is_known, scores, lowest - 1.0).astype(np.float32)


def without_items(scores: Floats, left_out: Items, truth: Items) -> Floats:
    """Copy one person's scores with -inf for items that are left out, except for true items; (n_items,)."""
    unseen = scores.copy()
    unseen[left_out] = -np.inf
    unseen[truth] = scores[truth]
    return unseen


def random_scores(n_items: int, *, seed: int) -> ScoreFunction:
    """Return the baseline that scores items at random."""
    rng = np.random.default_rng(seed)
    return lambda histories: rng.random((len(histories), n_items), dtype=np.float32)


def popular_scores(counts: Floats) -> ScoreFunction:
    """Return the baseline that scores items by popularity, all events counted alike; counts (n_items,)."""
    return lambda histories: np.tile(counts.astype(np.float32), (len(histories), 1))


def touched_shares(interactions: Interactions) -> metrics.Doubles:
    """Return the share of people, among those with any event, who touched each item; (n_items,).

    An item that nobody touched counts as touched by one person, so that its surprisal is finite.
    """
    histories, n_items = interactions.histories, interactions.n_items
    pairs = np.unique(people_of_events(histories) * n_items + histories.item_indices)
    n_people = max(int((np.diff(histories.offsets) > 0).sum()), 1)
    return np.maximum(np.bincount(pairs % n_items, minlength=n_items), 1) / n_people


@dataclass(frozen=True)
class _Answer:
    """One person's part of an `Outcome`. ranks: of all true items in the catalogue."""

    ranks: TiedRanks
    target_ranks: TiedRanks
    target_catalogue_ranks: TiedRanks
    true_scores: Floats
    false_scores: Floats

    @staticmethod
    def of(scores: Floats, unseen: Floats, truth: Items, targets: Items, negatives: Items) -> _Answer:
        rows = np.arange(len(targets))
        columns = rows % negatives.shape[1]
        # Published negatives may hold the true item itself: it counts once, so there is one negative fewer.
        is_target = negatives == targets[:, None]
        columns = (columns + is_target[rows, columns]) % negatives.shape[1]
        negative_scores = scores[negatives]  # (n_targets, n_negatives)
        in_catalogue = ranks_among(unseen, np.concatenate([truth, targets]))
        of_truth, of_targets = in_catalogue.split(len(truth))
        return _Answer(
            of_truth,
            ranks_against(scores[targets], np.where(is_target, -np.inf, negative_scores)),
            of_targets,
            scores[targets],
            negative_scores[rows, columns],
        )


def _outcome(answers: list[_Answer], candidates: Candidates, lists: Items, n_items: int) -> Outcome:
    n_targets = [len(targets) for targets in candidates.target_items]
    people = np.repeat(np.arange(len(answers)), n_targets)
    is_true = [np.repeat([True, False], n) for n in n_targets]
    pairs = [part for answer in answers for part in (answer.true_scores, answer.false_scores)]
    return Outcome(
        hit=np.array([hit_rate(answer.target_ranks, 10).mean() for answer in answers]),
        ndcg=np.array([ndcg_of_one(answer.target_ranks, 10).mean() for answer in answers]),
        recall=np.array([recall_at(answer.ranks, 20) for answer in answers]),
        capped_recall=np.array([capped_recall_at(answer.ranks, 20) for answer in answers]),
        catalogue_ndcg=np.array([ndcg_at(answer.ranks, 20) for answer in answers]),
        catalogue_hit=np.array([any_hit(answer.ranks, 10) for answer in answers]),
        catalogue_recall_10=np.array([recall_at(answer.ranks, 10) for answer in answers]),
        catalogue_ndcg_10=np.array([ndcg_at(answer.ranks, 10) for answer in answers]),
        top_items=lists,
        n_items=n_items,
        target_people=people,
        target_items=np.concatenate(candidates.target_items),
        target_ranks=TiedRanks.joined([answer.target_ranks for answer in answers]),
        target_catalogue_ranks=TiedRanks.joined([answer.target_catalogue_ranks for answer in answers]),
        pair_scores=np.concatenate(pairs),
        pair_labels=np.concatenate(is_true),
        pair_people=np.repeat(np.arange(len(answers)), 2 * np.array(n_targets)),
    )
