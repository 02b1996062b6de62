"""A log of exposures on a real Redis, and answers to show in it."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import redis

from models.experiments.assignment import Assigned
from models.history import Event, EventKind, History
from service.answers.exposures import ExposureLog
from service.answers.recommendation import PersonalRecommendation
from service.answers.tiers import Ranking
from service.contract.schemas import RecommendRequest, SessionEvent
from service.limits.deadline import RequestClock
from service.log.erasures import ErasedPeople
from service.log.records import (
    EXPOSURES_STREAM,
    RECORD_FIELD,
    ExposureRecord,
)
from service.people.resolving import resolve
from service.people.stored import StoredEvents, StoredPerson
from service.redis.connection import Connection
from service.scoring.masks import NO_ITEMS, Masks
from service.scoring.scorer import ScoringJob
from service.telemetry.metrics import Metrics
from tests.support.redis import RedisServer
from tests.support.service import Running

HISTORY = History.from_events(
    [Event(5, 10, EventKind.VIEW), Event(7, 20, EventKind.CART), Event(9, 30, EventKind.VIEW)]
)
KNOWN_OF_VISIT = History.from_events([Event(7, 40, EventKind.CART)])
VISIT = [SessionEvent("item-7", "cart"), SessionEvent("nowhere")]
ASSIGNED = Assigned("vases", "ensemble", "current", "ensemble", 0.25, "person")


class Logging:
    """A log of its own on a real Redis, never flushed but by the test."""

    def __init__(
        self, server: RedisServer, service: Running, *, sampled_share: float = 0.0, **bounds: int
    ) -> None:
        self.server = server
        self.metrics = Metrics()
        self._serving = service.parts.bundles.serving()
        connection = Connection(server.url, connect_seconds=5, read_seconds=5)
        chosen = {"max_records": 1000, "max_bytes": 1_000_000, "stream_length": 1000, **bounds}
        self.erased = ErasedPeople()
        self.log = ExposureLog(connection, self.erased, self.metrics, sampled_share=sampled_share, **chosen)

    def show(
        self,
        number: int = 0,
        *,
        sent_ms: int = 1000,
        took_us: int = 1500,
        known_of_visit: History = KNOWN_OF_VISIT,
        **changes: Any,
    ) -> None:
        """changes: of the request or the answer."""
        asked: dict[str, Any] = {"user_id": "user-1", "session_id": "s", "session": VISIT}
        asked |= {name: changes.pop(name) for name in RecommendRequest.__struct_fields__ if name in changes}
        serving = self._serving
        events = StoredEvents.from_history(HISTORY, serving.item_keys)
        person = resolve(serving, "user-1", StoredPerson(events), replaced=b"")
        masks = Masks(NO_ITEMS, NO_ITEMS, None)
        ranking = Ranking(np.array([3, 1], np.int32), np.array([0.5, 0.25], np.float32), "student")
        fields = {
            "job": ScoringJob(serving, person.encoded, None, masks, 2, variant="ensemble"),
            "ranking": ranking,
            "labels": serving.labels.of(ranking.item_indices),
            "scores": ranking.scores.tolist(),
            "degraded": None,
            "request": RecommendRequest(**asked),
            "request_id": f"r{number}",
            "clock": RequestClock(),
            "person": person,
            "session": known_of_visit,
            "scored": None,
            "assigned": ASSIGNED,
        }
        answer = PersonalRecommendation(**{**fields, **changes})
        self.log.record(answer, (sent_ms + 0.5) / 1000, (took_us + 0.5) / 1_000_000)

    def stored(self) -> list[ExposureRecord]:
        with redis.Redis.from_url(self.server.url) as client:
            entries: Any = client.xrange(EXPOSURES_STREAM)
        return [msgspec.msgpack.decode(fields[RECORD_FIELD], type=ExposureRecord) for _, fields in entries]

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"stillroom_{name}_total", labels) or 0.0
