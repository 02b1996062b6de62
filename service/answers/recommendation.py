"""An answer before it is encoded, together with what it was made of.

Answers are structs, which cost a tenth of what dataclasses cost to make. An answer refers to its request and never
the other way round: a reference cycle per request, left to the garbage collector, cost 6 µs. Without cycles, the
collector need not see answers, which wait for the live log by the dozen: walking them cost 1 µs a request.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import msgspec

from models.experiments.assignment import Assigned
from models.history import History
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

    seen_words: ClassVar[str] = "the item itself"
    """How the shortfall names the mask of seen items."""

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
    def shortfall(self) -> str | None:
        """Why there are fewer items than requested; None if there are enough."""
        n_items, limit = len(self.labels), self.job.limit
        if n_items >= limit:
            return None
        among = f"{self.serving.n_recommendable:,} items that may be recommended"
        return shortfall_words(n_items, limit, among, list(self._what_took_items_away()))

    def _more_is_allowed(self) -> bool:
        """Whether the masks allow more items than the answer has."""
        return len(self.job.masks.first_allowed(self.serving.popular, self.job.limit)) > len(self.labels)

    def _what_took_items_away(self) -> Iterator[str]:
        """Name what removed candidates, in the words of the request."""
        masks = self.job.masks
        if masks.allowed is not self.serving.allowed(None):
            yield "the filter"
        if len(masks.excluded):
            yield "exclude_items"
        if len(masks.seen):
            yield self.seen_words
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

    seen_words: ClassVar[str] = "exclude_seen"

    @property
    def explanations(self) -> list[Explanation] | None:
        """One explanation per item, if they were requested and exist."""
        return None if self.scored is None else self.scored.explanations
