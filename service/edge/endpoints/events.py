"""POST /events over HTTP: like the other JSON routes, but answered with 202 and counted apart from answers."""

from __future__ import annotations

from service.contract.schemas import EventBatch
from service.edge.endpoints.endpoint import CLIENT_GONE, Exchange, JsonEndpoint


class EventsEndpoint(JsonEndpoint[EventBatch]):
    """Keeps its times apart from requests for items, whose stages an alert watches."""

    good_status = 202

    def _settle(self, exchange: Exchange, status: int, *, is_delivered: bool) -> None:
        self._metrics.answered("events", "none", status)
        self._metrics.event_seconds.observe(exchange.clock.elapsed())
        if status not in (self.good_status, CLIENT_GONE):  # accepted events are kept even if the client left
            self._metrics.event_rejected(f"batch_{status}")
