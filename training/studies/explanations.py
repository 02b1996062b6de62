"""Test whether explanations are true: without the named item in the history, the recommendation must weaken.

An item weakens when its share of the softmax over all that could be recommended falls:

    log p(i) = score(i) - log sum over j of exp(score(j)),    j: every item that the person does not have

A raw score is not enough: if the removal lowers all scores alike, it says nothing about this item. The removed item
does not become a candidate, so both sides compare the same items. Explanations themselves are made from raw scores
(`models.explanations`), so the test is not true by construction; the same test with another item of the person, drawn
at random, shows what a wrong explanation would get.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from models.explanations import MAX_EXPLAINING_ITEMS, Indices, Reasons, explain
from models.history import History
from models.student import Student
from training.members.member import Floats
from training.metrics import metrics
from training.metrics.protocols import ScoreFunction
from training.quality.schema import Explanations
from training.studies.bootstrapped import mean_of_people

ReasonsOf = Callable[[History, Indices], list[Reasons]]
"""A function from a person's history and recommended items to the reasons of each item, strongest first."""

NOBODY = -1


def student_removal_test(
    student: Student,
    histories: Sequence[History],
    *,
    recommendable: npt.NDArray[np.bool_] | None = None,
    k: int = 10,
    n_people: int = 300,
    seed: int,
) -> Explanations:
    """Run `removal_test` on a student's own explanations, as a service gives them."""

    def score(histories: Sequence[History]) -> Floats:
        """Score exactly in any precision, like the scores by which a service ranks and explains."""
        every = np.arange(student.n_items, dtype=np.int32)
        return student.score_items(student.user_vectors(histories), student.boosts(histories), every)

    reasons_of = partial(explain, student)
    return removal_test(
        score, reasons_of, histories, recommendable=recommendable, k=k, n_people=n_people, seed=seed
    )


def removal_test(
    score: ScoreFunction,
    reasons_of: ReasonsOf,
    histories: Sequence[History],
    *,
    recommendable: npt.NDArray[np.bool_] | None = None,
    k: int = 10,
    n_people: int = 300,
    seed: int,
) -> Explanations:
    """Explain each person's top k, remove the item that is named first, and ask again.

    histories: of the people to draw from; empty ones are skipped. recommendable: (n_items,), None for all; an
    explanation may name an item that is not, because the person has it. The answer is empty if nobody has a history.
    """
    rng = np.random.default_rng(seed)
    known = [history for history in histories if len(history)]
    if not known:
        return Explanations()
    rows = np.sort(rng.permutation(len(known))[:n_people])
    blocked = np.zeros(0, np.int32) if recommendable is None else np.flatnonzero(~recommendable)
    people = [_remove_named(score, reasons_of, known[row], blocked, k, rng) for row in rows]
    passes = mean_of_people(np.array([(person.drops > 0).mean() for person in people]), seed=seed)
    every = _Removals(*(np.concatenate(parts) for parts in zip(*people, strict=True)))
    is_named, has_control = every.named != NOBODY, every.control != NOBODY
    return Explanations(
        removal_pass_rate=passes.value,
        low=passes.low,
        high=passes.high,
        n_people=len(people),
        n_explanations=int(is_named.sum()),
        n_unnamed=int((~is_named).sum()),
        mean_drop=_mean(every.drops[is_named]),
        score_falls=_mean(every.score_drops[is_named] > 0),
        rank_falls_or_stays=_mean(every.ranks_lost[is_named] >= 0),
        control_pass_rate=_mean(every.control_drops[has_control] > 0),
    )


class _Removals(NamedTuple):
    """The effect of removals on one person's recommended items, or on everybody's; (n_items,) each.

    named: the item removed for each, or NOBODY, which changes nothing. drops: fall of log p; score_drops: fall of the
    score; ranks_lost: places further down. control, control_drops: the same for another item.
    """

    named: Indices
    drops: metrics.Doubles
    score_drops: metrics.Doubles
    ranks_lost: metrics.Doubles
    control: Indices
    control_drops: metrics.Doubles


def _remove_named(
    score: ScoreFunction,
    reasons_of: ReasonsOf,
    history: History,
    blocked: npt.NDArray[np.integer[Any]],
    k: int,
    rng: np.random.Generator,
) -> _Removals:
    """Remove the named items of one person's top k. blocked: items that may be recommended to nobody."""
    blocked = np.union1d(blocked, history.item_indices)
    items = _recommended(score, history, blocked, k)
    reasons = reasons_of(history, items)
    named = np.array([each[0].item_index if each else NOBODY for each in reasons], np.int32)
    control = np.array([_another(history, item, rng) for item in named], np.int32)
    removed = np.setdiff1d([*named, *control], [NOBODY])
    scores = score([history, *map(history.without_item, removed.tolist())]).astype(np.float64)
    candidates = np.delete(scores, blocked, axis=1)  # (1 + n_removed, n_candidates)
    log_shares = scores[:, items] - logsumexp(candidates, axis=1, keepdims=True)  # (1 + n_removed, k)
    ranks = (candidates[:, None, :] > scores[:, items, None]).sum(axis=2)
    row_of = {NOBODY: 0} | {item: 1 + row for row, item in enumerate(removed.tolist())}
    without_named = [row_of[item] for item in named.tolist()], np.arange(len(items))
    without_control = [row_of[item] for item in control.tolist()], np.arange(len(items))
    return _Removals(
        named,
        log_shares[0] - log_shares[without_named],
        scores[0, items] - scores[:, items][without_named],
        (ranks[without_named] - ranks[0]).astype(np.float64),
        control,
        log_shares[0] - log_shares[without_control],
    )


def _recommended(
    score: ScoreFunction, history: History, blocked: npt.NDArray[np.integer[Any]], k: int
) -> Indices:
    """Return the k best items that may be recommended to the person, best first."""
    [scores] = score([history])
    unseen = scores.astype(np.float32)
    unseen[blocked] = -np.inf
    [top] = metrics.top_items(unseen[None], k)
    return top[top >= 0]


def _another(history: History, named: int, rng: np.random.Generator) -> int:
    """Draw another item that might have been named, or NOBODY if there is none."""
    recent = history.distinct().last(MAX_EXPLAINING_ITEMS).item_indices
    others = recent[recent != named]
    return int(rng.choice(others)) if len(others) else NOBODY


def _mean(values: npt.NDArray[Any]) -> float:
    """Return the mean, or 0 if there are no values."""
    return float(values.mean()) if len(values) else 0.0
