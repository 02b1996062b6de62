"""POST /events over HTTP: as the other JSON routes, but answered with 202 and counted apart from answers."""

from __future__ import annotations

from service.endpoint import Exchange, JsonEndpoint, Reply
from service.metrics import Metrics
from service.schemas import EventBatch

ACCEPTED = 202


class EventsEndpoint(JsonEndpoint[EventBatch]):
    """Its times are not those of a request for items, whose stages stand under an alert."""

    _metrics: Metrics

    async def _reply(self, body: bytes, exchange: Exchange) -> Reply:
        reply = await super()._reply(body, exchange)
        return reply._replace(status=ACCEPTED) if reply.status == 200 else reply

    def _settle(self, exchange: Exchange, status: int) -> None:
        self._metrics.answered("events", "none", status)
        self._metrics.event_seconds.observe(exchange.clock.elapsed())
        if status != ACCEPTED:
            self._metrics.event_rejected(f"batch_{status}")
