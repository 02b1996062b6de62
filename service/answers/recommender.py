"""Takes one request from question to answer. Read this page first.

`routes` calls it with validated requests. `people` finds the person, `scoring` ranks the candidates, and `tiers`
answers where ranking fails. A request never fails for lack of time, of Redis or of a working student.
"""

from __future__ import annotations

import logging
from asyncio import Future
from contextlib import suppress
from functools import partial
from time import perf_counter, time

import numpy as np

from models.experiments.assignment import Assigned
from models.history import Event, History
from models.named_kinds import kind_code
from models.scan import ScanQuery
from service.answers.experiments import ExperimentsHolder
from service.answers.exposures import ExposureLog
from service.answers.known_items import masks_of
from service.answers.recommendation import PersonalRecommendation, Recommendation
from service.answers.tiers import LastGoodAnswers, Ranking, fall_back
from service.bundles.holder import BundleHolder
from service.bundles.serving import Indices, ServingBundle
from service.contract.errors import Fault, RequestInvalid, StageFailed
from service.contract.schemas import RecommendRequest, SessionEvent, SimilarRequest
from service.limits.deadline import RequestClock, wait_at_most
from service.log.records import session_key
from service.people.lookup import People
from service.people.memory import KnownPerson
from service.scoring.batcher import Batcher
from service.scoring.masks import NO_ITEMS, Masks
from service.scoring.scorer import STUDENT, Scored, ScoringJob
from service.scoring.turns import TurnBatcher

logger = logging.getLogger(__name__)

REPLY_RESERVE_SECONDS = 0.002
"""The part of the deadline that is reserved for falling back and for encoding the reply."""

MAX_CLOCK_SKEW_SECONDS = 86_400

UNKNOWN_ITEM = "unknown_item"
"""The value of `degraded` if the request asks for items like one that the bundle does not know."""


class Recommender:
    """Answers requests with the parts of the service.

    quick_scorer: takes jobs that are a single search; scorer takes all others. exposures: the live log, which gets
    each answer; None if there is none.
    """

    def __init__(
        self,
        bundles: BundleHolder,
        people: People,
        scorer: Batcher[ScoringJob, Scored],
        quick_scorer: TurnBatcher[ScoringJob, Scored],
        last_good: LastGoodAnswers,
        experiments: ExperimentsHolder,
        exposures: ExposureLog | None,
    ) -> None:
        self._bundles = bundles
        self._people = people
        self._scorer = scorer
        self._quick_scorer = quick_scorer
        self._last_good = last_good
        self._experiments = experiments
        self._exposures = exposures

    async def recommend(
        self, request: RecommendRequest, clock: RequestClock, request_id: str = ""
    ) -> PersonalRecommendation:
        """Recommend items to a person. Raises NotReady; if anything else fails, a lower tier answers."""
        serving, assigned = self._model(request)
        session = read_session(request.session, serving) if request.session else None
        found = await self._people.find(person_key(request), serving, clock)
        job = _job(serving, request, found.person, session, assigned)
        clock.mark("history")
        scored, degraded = None, found.degraded
        try:
            scored = await self._score(job, clock)
            ranking = Ranking(scored.item_indices, scored.scores, "student")
        except StageFailed as failure:
            degraded = failure.reason
            last_good = self._last_good.find(person_key(request), serving.version)
            ranking = fall_back(serving, last_good, job.events, job.masks, request.limit)
        return PersonalRecommendation(  # by position: twelve keywords would cost each answer 1 µs
            job,
            ranking,
            serving.labels.of(ranking.item_indices),
            ranking.scores.tolist(),
            degraded,
            request,
            request_id,
            clock,
            found.person,
            session,
            scored,
            assigned,
        )

    def settle(self, recommendation: PersonalRecommendation, is_good: bool) -> None:
        """Do the work that is left for after the reply. is_good: a good reply was handed to an open connection.

        A new user vector is always kept: it follows from the history alone, so it is right whoever got the answer,
        and it saves the tower's work when a client that gave up waiting asks again. The answer is kept and logged
        only if the person got it.
        """
        self._remember_vector(recommendation)
        if not is_good:
            return
        self._remember_answer(recommendation)
        if self._exposures is not None:
            self._exposures.record(recommendation, time(), recommendation.clock.elapsed())

    def _model(self, request: RecommendRequest) -> tuple[ServingBundle, Assigned | None]:
        """Return the bundle that answers and the arm that chose it; outside of experiments, the current bundle."""
        assigned = self._experiments.assign(request.user_id, request.session_id, request.placement)
        serving = None if assigned is None else self._bundles.holding(assigned.version)
        if serving is None:  # outside of every experiment, or the arm's version is just being released
            return self._bundles.serving(), None
        return serving, assigned

    def _remember_answer(self, answer: PersonalRecommendation) -> None:
        request, key = answer.request, person_key(answer.request)
        is_usual = request.filter is None and not request.diversity and answer.job.masks.only is None
        if key is not None and answer.scored is not None and is_usual:
            self._last_good.keep(key, answer.job.serving.version, answer.ranking)

    def _remember_vector(self, answer: PersonalRecommendation) -> None:
        request, scored, job = answer.request, answer.scored, answer.job
        key = person_key(request)
        if key is None or scored is None or answer.person.vector is not None:
            return
        if not request.session and job.variant == STUDENT:
            self._people.remember(key, answer.person, scored.query.vector, job.serving)

    def make_vector(self, key: str, person: KnownPerson, serving: ServingBundle) -> None:
        """Compute a vector for a history that has grown, before the person asks; never while jobs wait."""
        if self._scorer.n_waiting or person.vector is not None:
            return
        masks = Masks(NO_ITEMS, NO_ITEMS, serving.allowed(None))
        job = ScoringJob(serving, person.encoded, None, masks, 1)
        with suppress(StageFailed):  # the next request computes it, or reports what is wrong
            self._scorer.submit(job).add_done_callback(partial(self._keep_vector, key, person, serving))

    def _keep_vector(
        self, key: str, person: KnownPerson, serving: ServingBundle, scored: Future[Scored]
    ) -> None:
        if not scored.cancelled() and scored.exception() is None:  # else the next request computes it
            self._people.remember(key, person, scored.result().query.vector, serving)

    async def similar(self, request: SimilarRequest, clock: RequestClock) -> Recommendation:
        """Recommend items to somebody whose history is one view of one item. An unknown item gets popular ones."""
        serving = self._bundles.serving()
        session = read_session([SessionEvent(request.item_id)], serving)
        events = serving.student.encode(session)
        masks = Masks(
            session.item_indices, _known(request.exclude_items, serving), serving.allowed(request.filter)
        )
        job = ScoringJob(serving, events, None, masks, request.limit)
        clock.mark("history")
        if not len(session):
            return _answer(job, fall_back(serving, None, events, masks, request.limit), UNKNOWN_ITEM)
        try:
            scored = await self._score(job, clock)
        except StageFailed as failure:
            return _answer(job, fall_back(serving, None, events, masks, request.limit), failure.reason)
        return _answer(job, Ranking(scored.item_indices, scored.scores, "student"), None)

    async def _score(self, job: ScoringJob, clock: RequestClock) -> Scored:
        """Wait for a scorer as long as the deadline allows. Raises StageFailed."""
        vector_seconds = 0.0
        remaining = clock.remaining() - REPLY_RESERVE_SECONDS
        try:
            if job.is_quick:
                scored = await self._quick_scorer.submit(job, perf_counter() + remaining)
            else:
                scored = await wait_at_most(self._scorer.submit(job, remaining), remaining)
                vector_seconds = scored.vector_seconds
        finally:
            clock.mark("score", minus=vector_seconds)
            if not job.is_quick:
                clock.elsewhere_seconds += clock.stages["score"] + vector_seconds
            if vector_seconds:
                clock.stages["vector"] = vector_seconds
        if scored.failure is not None:
            raise scored.failure
        return scored


def person_key(request: RecommendRequest) -> str | None:
    """Return whose history counts: the person's, else that of a visit whose events were sent to POST /events."""
    if request.user_id is None and request.session_id is not None:
        return session_key(request.session_id)
    return request.user_id


def _job(
    serving: ServingBundle,
    request: RecommendRequest,
    person: KnownPerson,
    session: History | None,
    assigned: Assigned | None,
) -> ScoringJob:
    """Describe what is to be scored. Without events of this visit, the query that the person's entry in memory holds
    is used again: nothing is built anew.
    """
    excluded = _known(request.exclude_items, serving) if request.exclude_items else NO_ITEMS
    variant = STUDENT if assigned is None else assigned.variant
    if session is None or not len(session):
        masks = masks_of(request, serving, person, None, excluded)
        events, question = person.encoded, person.query
        if question is not None and (len(masks.own) or len(excluded)):
            question = ScanQuery(question.vector, events, masks.own, excluded)
        history = person.history if request.explain or variant != STUDENT else None
    else:
        history = person.history.extended(session)
        masks = masks_of(request, serving, person, history, excluded)
        events, question = serving.student.encode(history), None
    explained = history if request.explain else None
    whole = None if variant == STUDENT else history
    return ScoringJob(
        serving, events, question, masks, request.limit, request.diversity, explained, variant, whole
    )


def _known(item_ids: list[str], serving: ServingBundle) -> Indices:
    """Look up item indices; an unknown id excludes nothing."""
    found = [serving.find_item(item_id) for item_id in item_ids]
    return np.array([item_index for item_index in found if item_index is not None], np.int32)


def read_session(events: list[SessionEvent], serving: ServingBundle) -> History:
    """Return the visit's events whose items the bundle knows, in the given order where they carry no time. A rating
    that is low in this bundle's eyes is a dislike.

    Raises RequestInvalid for a time more than a day ahead; a smaller lead is clamped to now.
    """
    if not events:
        return History.empty()
    now = int(time())
    check_session_times(events, now)
    known = []
    for event in events:
        item_index = serving.find_item(event.item_id)
        if item_index is not None:
            moment = now if event.time is None else min(event.time, now)
            known.append(Event(item_index, moment, kind_code(event.kind, event.value, serving.liked_from)))
    return History.from_events(known)


def check_session_times(events: list[SessionEvent], now: int) -> None:
    """Raise RequestInvalid for a time more than a day ahead of now, Unix seconds."""
    for number, event in enumerate(events):
        if event.time is not None and event.time > now + MAX_CLOCK_SKEW_SECONDS:
            raise RequestInvalid([Fault(f"session[{number}].time", _future(event.time, now))])


def _future(moment: int, now: int) -> str:
    return (
        f"{moment} is {(moment - now) / 86_400:,.0f} days in the future, at most 1 is accepted; "
        "send Unix seconds (not milliseconds), or leave it out"
    )


def _answer(job: ScoringJob, ranking: Ranking, degraded: str | None) -> Recommendation:
    labels = job.serving.labels.of(ranking.item_indices)
    return Recommendation(job, ranking, labels, ranking.scores.tolist(), degraded)
