"""An answer before it is encoded, together with what it was made of.

Answers are structs, which cost a tenth of what dataclasses cost to make. An answer refers to its request and never
the other way round: a reference cycle per request, left to the garbage collector, cost 6 µs. Without cycles, the
collector need not see answers, which wait for the live log by the dozen: walking them cost 1 µs a request.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import time

import msgspec

from models.experiments.assignment import Assigned
from models.history import EventKind, History
from models.repurchase import Due
from service.answers.known_items import field_of
from service.answers.shortfall import shortfall_words
from service.answers.tiers import Ranking
from service.bundles.serving import Label, ServingBundle
from service.contract.schemas import RecommendRequest, Tier
from service.limits.deadline import RequestClock
from service.people.memory import KnownPerson
from service.scoring.scorer import STUDENT, Explanation, Scored, ScoringJob


class Recommendation(msgspec.Struct, gc=False):
    """labels, scores: one per item of the ranking. degraded: what failed or was not known; None on a good day."""

    job: ScoringJob
    ranking: Ranking
    labels: list[Label]
    scores: list[float]
    degraded: str | None

    @property
    def serving(self) -> ServingBundle:
        """The bundle that the whole answer comes from."""
        return self.job.serving

    @property
    def tier(self) -> Tier:
        """The tier that ranked the items."""
        return self.ranking.tier

    @property
    def explanations(self) -> list[Explanation] | None:
        """One explanation per item, if they were requested and exist."""
        return None

    @property
    def due(self) -> list[Due | None] | None:
        """When each item is due again, None where that is not known; None as a whole if nobody asks for own items."""
        return None

    @property
    def shortfall(self) -> str | None:
        """Why there are fewer items than requested; None if there are enough."""
        n_items, limit = len(self.labels), self.job.limit
        if n_items >= limit:
            return None
        n_only = self._n_only()
        if n_only is None:
            among = f"{self.serving.n_recommendable:,} items that may be recommended"
        else:
            of_person = f"a {EventKind(self.serving.target).name.lower()} event of this person"
            if not n_only:
                return f"0 of {limit:,}: known_items is only, and no item that may be recommended has {of_person}"
            among = f"{n_only:,} items that may be recommended and have {of_person}"
        return shortfall_words(n_items, limit, among, list(self._what_took_items_away(n_only)))

    @property
    def _own_words(self) -> str:
        """Name what leaves out the person's own items, in the words of the request."""
        return "the item itself"

    def _n_only(self) -> int | None:
        """Count the person's own items that may be recommended, if they alone are candidates."""
        only, serving = self.job.masks.only, self.serving
        return None if only is None else serving.allowed_among(only, serving.allowed(None)).n_allowed

    def _more_is_allowed(self) -> bool:
        """Whether the masks allow more items than the answer has."""
        return len(self.job.masks.first_allowed(self.serving.popular, self.job.limit)) > len(self.labels)

    def _what_took_items_away(self, n_only: int | None) -> Iterator[str]:
        """Name what removed candidates, in the words of the request. n_only: see `_n_only`."""
        masks = self.job.masks
        if n_only is None:
            is_filtered = masks.allowed is not self.serving.allowed(None)
        else:
            is_filtered = masks.allowed is not None and masks.allowed.n_allowed < n_only
        if is_filtered:
            yield "the filter"
        if len(masks.excluded):
            yield "exclude_items"
        if len(masks.own):
            yield self._own_words
        if self.job.variant != STUDENT and self._more_is_allowed():
            yield f"the model {self.job.variant}, which has no opinion of the others,"


class PersonalRecommendation(Recommendation, gc=False):
    """An answer for a person or a visit.

    person: who was found; a stranger has an empty history. session: the events of this visit whose items are known.
    scored: None if a lower tier answered. assigned: the arm of an experiment; None outside of all experiments.
    """

    request: RecommendRequest
    request_id: str
    clock: RequestClock
    person: KnownPerson
    session: History | None
    scored: Scored | None
    assigned: Assigned | None

    @property
    def explanations(self) -> list[Explanation] | None:
        """One explanation per item, if they were requested and exist."""
        return None if self.scored is None else self.scored.explanations

    @property
    def due(self) -> list[Due | None] | None:
        """When each item is due again, None where that is not known; None unless known_items is only."""
        if self.job.masks.only is None:
            return None
        history, now = self.person.history, time()
        if self.session is not None:
            history = history.extended(self.session)
        is_target = history.kinds == self.serving.target
        items, moments = history.item_indices[is_target], history.times[is_target]
        clock = self.serving.items.repurchase
        ranked = self.ranking.item_indices.tolist()
        return [clock.due(item, moments[items == item], now) for item in ranked]

    @property
    def _own_words(self) -> str:
        return field_of(self.request)
