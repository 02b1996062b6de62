"""Lists of candidates that stand for the whole catalogue: on them, strategies are compared by what a shop shows.

A list has the members' favourites, the person's own items where these are answers, and the true items. What lies
below the favourites of all members together is in no strategy's first twenty, but for exceptions that all share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.ensemble.meta_features import consensus, meta_features
from models.ensemble.opinions import Opinions
from models.repeats import RepeatModel
from training.base.callback import Progress, no_progress
from training.data.split import Questions
from training.ensemble.pairs import people_at_once
from training.ensemble.strategy import Labels, People
from training.members.member import Floats, Member
from training.metrics.metrics import Doubles
from training.metrics.protocols import recommendable_items
from training.metrics.ranks import ndcg_at, ranks_among

N_FAVOURITES = 256
LIST_LENGTH = 20


@dataclass(frozen=True)
class CatalogueLists:
    """Candidates of several questions, one question below the other.

    features: (n_candidates, n_features) float32. is_true, people: (n_candidates,); numbers of people as in pairs.
    n_of_list: (n_lists,), their sum is n_candidates.
    """

    features: Floats
    is_true: Labels
    people: People
    n_of_list: npt.NDArray[np.int64]

    def ndcg(self, logits: Floats, k: int = LIST_LENGTH) -> Doubles:
        """Compute NDCG@k of all true items of each list; (n_candidates,) to (n_lists,)."""
        ends = np.cumsum(self.n_of_list)[:-1]
        lists = zip(np.split(logits, ends), np.split(self.is_true, ends), strict=True)
        return np.array(
            [ndcg_at(ranks_among(own, np.flatnonzero(true).astype(np.int32)), k) for own, true in lists]
        )


def describe_catalogue(
    members: Sequence[Member],
    repeats: RepeatModel,
    questions: Questions,
    *,
    progress: Progress = no_progress,
) -> CatalogueLists:
    """Describe each question's candidates, as a strategy sees them."""
    features, is_true, people, n_of_list = [], [], [], []
    n_at_once = people_at_once(repeats.n_items)
    is_blocked = ~recommendable_items(questions, repeats.n_items)
    for start in range(0, len(questions), n_at_once):
        chunk = questions.take(np.arange(start, min(start + n_at_once, len(questions))))
        opinions = [Opinions.of(member.score(chunk.histories), chunk.histories) for member in members]
        favour = consensus(opinions)
        favour[:, is_blocked] = -np.inf
        lists = []
        for row, (own, history, truth) in enumerate(zip(favour, chunk.histories, chunk.truth, strict=True)):
            left_out = chunk.left_out_of(row)
            own[left_out] = -np.inf
            n_top = min(N_FAVOURITES, int(np.isfinite(own).sum()))
            top = np.argpartition(-own, n_top - 1)[:n_top] if n_top else np.zeros(0, np.int64)
            known = np.setdiff1d(history.item_indices, left_out)
            lists.append(np.union1d(np.union1d(top, known[~is_blocked[known]]), truth))
        items = np.zeros((len(lists), max(map(len, lists))), np.int64)
        is_candidate = np.arange(items.shape[1]) < np.array([len(each) for each in lists])[:, None]
        items[is_candidate] = np.concatenate(lists)
        features.append(meta_features(opinions, chunk.histories, repeats, items)[is_candidate])
        is_true += [np.isin(each, truth) for each, truth in zip(lists, chunk.truth, strict=True)]
        people += [np.full(len(each), user) for each, user in zip(lists, chunk.user_indices, strict=True)]
        n_of_list += [len(each) for each in lists]
        progress(min(1.0, (start + n_at_once) / len(questions)), f"{start + len(chunk):,} questions")
    return CatalogueLists(
        np.concatenate(features),
        np.concatenate(is_true),
        np.concatenate(people).astype(np.int64),
        np.array(n_of_list, np.int64),
    )
