"""An answer before it is encoded, with what it was made of.

Structs, which cost a tenth of what dataclasses do to make. An answer refers to its request and never the other way
round: a cycle a request, left to the garbage collector, cost 6 µs. So the collector need not see answers, which wait
for the live log by the dozen: to walk them cost 1 µs a request.
"""

from __future__ import annotations

import msgspec

from models.experiments.assignment import Assigned
from models.history import History
from service.deadline import RequestClock
from service.histories.memory import KnownPerson
from service.schemas import RecommendRequest, Tier
from service.scoring.scorer import Explanation, Scored, ScoringJob
from service.serving import Label, ServingBundle
from service.tiers import Ranking


class Recommendation(msgspec.Struct, gc=False):
    """labels, scores: of each item of the ranking. degraded: what failed, or was not known, None on a good day."""

    job: ScoringJob
    ranking: Ranking
    labels: list[Label]
    scores: list[float]
    degraded: str | None

    @property
    def serving(self) -> ServingBundle:
        """The bundle that the whole answer is of."""
        return self.job.serving

    @property
    def tier(self) -> Tier:
        """Who ranked the items."""
        return self.ranking.tier

    @property
    def explanations(self) -> list[Explanation] | None:
        """Of each item, where they were asked for and there are any."""
        return None

    @property
    def shortfall(self) -> str | None:
        """Why there are fewer items than were asked for, None where there are not."""
        n_items, limit = len(self.labels), self.job.limit
        if n_items >= limit:
            return None
        return (
            f"{n_items} of {limit}: the filter, exclude_items and exclude_seen leave "
            f"no more of {len(self.serving.items):,} items"
        )


class PersonalRecommendation(Recommendation, gc=False):
    """One for a person or a visit.

    person: who was found, somebody without a history for a stranger. session: the events of this visit whose items
    are known. scored: None where a lower tier answered. assigned: the arm of an experiment, None outside of all.
    """

    asked: RecommendRequest
    request_id: str
    clock: RequestClock
    person: KnownPerson
    session: History | None
    scored: Scored | None
    assigned: Assigned | None

    @property
    def explanations(self) -> list[Explanation] | None:
        """Of each item, where they were asked for and there are any."""
        return None if self.scored is None else self.scored.explanations
