"""Damage models on purpose, to see whether the disagreement alarm rings and names the damaged model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
import numpy.typing as npt

from models.history import History
from models.index import AllowedItems
from models.members.content import FittedContent
from models.members.factorization import FittedFactorization
from models.members.member import FittedMember, Floats
from models.members.rows import SparseRows
from models.monitoring.agreement import ENSEMBLE, STUDENT, TOP
from models.monitoring.scored_requests import ScoringModel, WatchedRequest
from models.monitoring.slices import HISTORY_BANDS
from models.student import Student
from training.simulations.monitoring.world import Trained

Tops = npt.NDArray[np.int64]
Serve = Callable[[Sequence[History]], Tops]

TRUNCATED_TO = 1
"""Number of events left in a truncated history."""

LONG, LONG_SLICE = HISTORY_BANDS[2]


@dataclass(frozen=True)
class Damage:
    """One kind of damage. culprit: the model that the alarm should name.

    slice: where the damage is, "" for everywhere. models: replace the models of the same names. serve: the damaged
    service's answers, (n_people, TOP), None if its answers do not change.
    """

    name: str
    culprit: str
    slice: str = ""
    models: dict[str, ScoringModel] = field(default_factory=dict)
    serve: Serve | None = None

    def served(self, requests: Sequence[WatchedRequest]) -> list[WatchedRequest]:
        """Return the same requests as the damaged service answers them."""
        if self.serve is None:
            return list(requests)
        tops = self.serve([request.history for request in requests])
        return [request._replace(served=top) for request, top in zip(requests, tops, strict=True)]


def every_damage(trained: Trained, older: Trained, seed: int) -> list[Damage]:
    """Return each kind of damage once. older: of the same shop, trained long before."""
    return [
        _shuffled_factors(trained, seed),
        _emptied_texts(trained),
        _truncated_histories(trained, "histories truncated", "", 0),
        _truncated_histories(trained, "long histories truncated", LONG_SLICE, LONG),
        _stale_bundle(trained, older),
    ]


class Misnumbered:
    """A member that takes item i for item order[i] everywhere, which has the effect of shuffled item factors."""

    def __init__(self, member: FittedMember, order: npt.NDArray[np.int64]) -> None:
        self.name = member.name
        self._member = member
        self._order = order

    def score(self, histories: Sequence[History]) -> Floats:
        """Score as a member does."""
        taken = [
            History(self._order[history.item_indices].astype(np.int32), history.times, history.kinds)
            for history in histories
        ]
        return self._member.score(taken)[:, self._order]


def _shuffled_factors(trained: Trained, seed: int) -> Damage:
    order = np.random.default_rng(seed).permutation(trained.ensemble.n_items)
    own = next(member for member in trained.ensemble.members if member.name == FittedFactorization.name)
    return _member_damage(trained, "a member's factors shuffled", cast(FittedMember, Misnumbered(own, order)))


def _emptied_texts(trained: Trained) -> Damage:
    n_items = trained.ensemble.n_items
    nothing = SparseRows(np.zeros(n_items + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), 1)
    return _member_damage(trained, "item texts emptied", FittedContent(nothing, 30.0))


def _member_damage(trained: Trained, name: str, damaged: FittedMember) -> Damage:
    """Damage a member, also within the ensemble."""
    members = [damaged if member.name == damaged.name else member for member in trained.ensemble.members]
    ensemble = replace(trained.ensemble, members=members)
    return Damage(name, damaged.name, models={damaged.name: damaged.score, ENSEMBLE: ensemble.score})


def _truncated_histories(trained: Trained, name: str, part: str, from_length: int) -> Damage:
    """Let the student read TRUNCATED_TO events of histories with at least from_length items."""

    def cut(histories: Sequence[History]) -> list[History]:
        return [each.last(TRUNCATED_TO) if len(each) >= from_length else each for each in histories]

    student = trained.student
    return Damage(
        name,
        STUDENT,
        part,
        {STUDENT: lambda histories: student.catalogue_scores(cut(histories))},
        lambda histories: _tops(student, cut(histories), trained.items.recommendable),
    )


def _stale_bundle(trained: Trained, older: Trained) -> Damage:
    """Let a replica continue with an older bundle; items are matched by their ids."""
    now, then = trained.items.vocabulary, older.items.vocabulary
    to_then = _translation(now.ids_of(range(len(now))), then.find)
    to_now = _translation(then.ids_of(range(len(then))), now.find)

    def serve(histories: Sequence[History]) -> Tops:
        known = [_translated(history, to_then) for history in histories]
        tops = _tops(older.student, known, older.items.recommendable)
        return np.where(tops >= 0, to_now[tops], -1)

    return Damage("a stale bundle", STUDENT, serve=serve)


def _translation(item_ids: Sequence[str], find: Callable[[str], int | None]) -> Tops:
    found = [find(item_id) for item_id in item_ids]
    return np.array([-1 if row is None else row for row in found], np.int64)


def _translated(history: History, rows: Tops) -> History:
    items = rows[history.item_indices]
    known = items >= 0
    return History(items[known].astype(np.int32), history.times[known], history.kinds[known])


def _tops(student: Student, read: Sequence[History], allowed: AllowedItems | None) -> Tops:
    """Return the answers to histories as read. allowed: the items that may be answered."""
    return student.recommend(read, TOP, allowed=allowed).item_indices.astype(np.int64)
