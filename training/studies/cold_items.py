"""Cold start of items: how well a student ranks items of which it only knows the text.

The items are held out of training entirely (held_out_items.py). Then their texts arrive, and the people who
took some of them in the test are evaluated on these. The held-out items are ranked among themselves, because beside
items with events any model tells new from old. The student answers as in a service, by the bundle's text encoder
and its text-to-vector maps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.history import History
from models.student import Student
from models.text import TextEncoder
from training.data.split import Split
from training.members.content import Content
from training.members.member import Floats
from training.metrics import metrics
from training.metrics.protocols import CHUNK, ScoreFunction, opinion_or_last
from training.metrics.ranks import expected_gain, ndcg_of_one, ranks_against
from training.quality.schema import ColdItems, ColdRanking
from training.studies.bootstrapped import mean_of_people
from training.studies.held_out_items import HeldOut, hold_out_items

K = 10
OURS = "student_text"

Teach = Callable[[Split], tuple[Student, TextEncoder]]
"""A function that trains a student, with its text encoder, on a split alone."""


class OwnRanking(NamedTuple):
    """One model's ranking of the held-out items; (n_people,) each, means over a person's true items.

    ndcg: at `K`. auc: the chance that a true item ranks above another.
    """

    ndcg: metrics.Doubles
    reciprocal_rank: metrics.Doubles
    auc: metrics.Doubles

    def of_people(self) -> dict[str, metrics.Doubles]:
        """Return the metrics by their names in reports."""
        return {"ndcg@10": self.ndcg, "mrr": self.reciprocal_rank, "auc": self.auc}

    def summary(self, *, seed: int) -> ColdRanking:
        """Return the means over people."""
        ndcg, mrr, auc = (float(values.mean()) for values in self)
        return ColdRanking(ndcg, mrr, auc, *metrics.bootstrap_interval(self.ndcg, seed=seed))


def cold_items(
    split: Split, teach: Teach, content: Content, *, share: float = 0.05, seed: int
) -> ColdItems | None:
    """Hold out items, teach a student without them, and compare it with other models that could rank them.

    share: of the items. content: it is fitted here on all texts, including the new ones. popular has no event of a
    new item, so it scores all of them alike, and so does random. popular_withheld ranks by the counts that were
    withheld, which no shop has for an item added today. Returns None if nobody in the test took a held-out item.
    """
    held_out = hold_out_items(split, share=share, seed=seed)
    if not len(held_out):
        return None
    student, encoder = teach(held_out.split)
    all_alike = same_for_all(np.zeros(len(held_out.item_indices)))
    scores = {
        OURS: student_text_scores(student, encoder, held_out.texts),
        "content": content_scores(content.fit(split.past_and_validation, seed=seed), held_out),
        "popular_withheld": same_for_all(held_out.counts),
        "popular": all_alike,
        "random": all_alike,
    }
    return compare(scores, held_out, seed=seed)


def compare(scores: Mapping[str, ScoreFunction], held_out: HeldOut, *, seed: int) -> ColdItems:
    """Rank by each model, and compare `OURS` with each other model, paired over people.

    scores: they return (n_people, n_held_out).
    """
    found = {model: own_ranking(score, held_out) for model, score in scores.items()}
    ours = found[OURS].of_people()
    return ColdItems(
        len(held_out.item_indices),
        len(held_out),
        {model: ranking.summary(seed=seed) for model, ranking in found.items()},
        {
            f"{OURS}_minus_{other}": {
                name: mean_of_people(ours[name] - values, seed=seed)
                for name, values in ranking.of_people().items()
            }
            for other, ranking in found.items()
            if other != OURS
        },
    )


def own_ranking(score: ScoreFunction, held_out: HeldOut) -> OwnRanking:
    """Rank each true item against the held-out items that its person never took.

    Ties are broken at random, and the expectation of that is returned: a model that scores all items alike gets
    exactly what chance gives. Items without an opinion rank last.
    """
    rows = []
    for start in range(0, len(held_out), CHUNK):
        for offset, scores in enumerate(score(held_out.histories[start : start + CHUNK])):
            person = start + offset
            known = opinion_or_last(scores)
            truth = held_out.truth[person]
            negatives = np.delete(known, np.concatenate([truth, held_out.owned[person]]))
            rows.append(_expected(known[truth], negatives))
    return OwnRanking(*np.array(rows).T)


def student_text_scores(student: Student, encoder: TextEncoder, texts: Sequence[str]) -> ScoreFunction:
    """Score as a service does: from text to text vector, item vector and score."""
    answers = student.new_item_vectors(encoder.encode(texts)).answers

    def score(histories: Sequence[History]) -> Floats:
        return student.score_new_items(student.user_vectors(histories), answers)

    return score


def content_scores(content: Content, held_out: HeldOut) -> ScoreFunction:
    """Score the held-out items by the content member, fitted on the whole catalogue."""

    def score(histories: Sequence[History]) -> Floats:
        in_whole = [replace(each, item_indices=held_out.kept[each.item_indices]) for each in histories]
        return content.score(in_whole)[:, held_out.item_indices]

    return score


def same_for_all(values: npt.NDArray[Any]) -> ScoreFunction:
    """Give everybody the same ranking; values (n_held_out,)."""
    return lambda histories: np.tile(values.astype(np.float32), (len(histories), 1))


def _expected(true_scores: Floats, negatives: Floats) -> tuple[float, float, float]:
    """Return expected NDCG@K, reciprocal rank and AUC, means over true items; inputs (n_truth,), (n_negatives,)."""
    ranks = ranks_against(true_scores, negatives)
    reciprocal = expected_gain(ranks, 1.0 / np.arange(1, len(negatives) + 2))
    auc = 1.0 - (ranks.mean() - 1.0) / max(len(negatives), 1)
    return ndcg_of_one(ranks, K).mean(), reciprocal.mean(), auc.mean()
