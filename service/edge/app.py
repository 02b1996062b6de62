"""Builds the FastAPI app with its routes and error handlers; the app starts and stops the parts of the service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec
from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from models.scan import choose_kernel
from service.contract.errors import (
    InternalFailure,
    MethodNotAllowed,
    RequestError,
    RouteUnknown,
    ServiceError,
)
from service.contract.schemas import (
    EventBatch,
    EventsReply,
    LiveReply,
    RecommendBatchRequest,
    RecommendRequest,
    SimilarRequest,
)
from service.edge.endpoints.body import Limits
from service.edge.endpoints.endpoint import Exchange, JsonEndpoint, request_id
from service.edge.endpoints.events import EventsEndpoint
from service.edge.endpoints.fast_path import FastPathApp
from service.edge.endpoints.problems import PROBLEM_MEDIA_TYPE, problem_document
from service.edge.http.bounds import bounds_of, operators_bounds
from service.edge.http.connections import Connections
from service.edge.openapi.docs_page import add_docs_page
from service.edge.openapi.document import encoded_document
from service.edge.operators.port import serving_on
from service.edge.operators.routes import add_admin_routes
from service.edge.routes import Routes
from service.edge.together import Together
from service.limits.permits import Permits
from service.process.assembly import Parts
from service.process.garbage import OldGarbage
from service.settings.reading import read_settings
from service.settings.service import Settings
from service.telemetry.logging import configure_logging

RequestT = TypeVar("RequestT", bound=msgspec.Struct)


def serve() -> FastAPI:
    """Build the app that each uvicorn worker runs: settings come from the environment, logs are JSON."""
    settings = read_settings(Settings)
    choose_kernel(settings.kernel)
    configure_logging(settings.log_level)
    return create_app(Parts(settings))


def create_app(parts: Parts) -> FastPathApp:
    """Build the app around these parts, which start and stop with it."""

    settings = parts.settings

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            parts.running(),
            OldGarbage(parts.n_requests).collected_in_quiet_moments(),
            _operators_port(parts),
        ):
            yield

    app = FastPathApp(
        title="Stillroom",
        lifespan=lifespan,
        redoc_url=None,
        docs_url=None,
        openapi_url=None,
        redirect_slashes=False,
        connections=Connections(
            bounds_of(settings),
            on_change=parts.metrics.connections.set,
            on_end=parts.metrics.connection_ended,
        ),
    )
    add_docs_page(app)
    _add_post_routes(app, parts)
    _add_get_routes(app, parts)
    if not settings.admin_port:
        add_admin_routes(app, parts.actions, parts.admin_keys, parts.metrics)
    _add_error_handlers(app)
    return app


def create_admin_app(parts: Parts) -> FastAPI:
    """Build the app with the operators' routes alone, plus health and metrics."""
    app = FastPathApp(
        title="Stillroom, for operators",
        redoc_url=None,
        docs_url=None,
        openapi_url=None,
        redirect_slashes=False,
        connections=Connections(operators_bounds(parts.settings), on_end=parts.metrics.connection_ended),
    )
    _add_get_routes(app, parts)
    add_admin_routes(app, parts.actions, parts.admin_keys, parts.metrics)
    _add_error_handlers(app)
    return app


@asynccontextmanager
async def _operators_port(parts: Parts) -> AsyncIterator[None]:
    settings = parts.settings
    if not settings.admin_port:
        yield
        return
    async with serving_on(settings.host, settings.admin_port, create_admin_app(parts)):
        yield


def _add_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(ServiceError, _on_error)
    app.add_exception_handler(HTTPException, _on_error)
    app.add_exception_handler(Exception, _on_error)


def _add_post_routes(app: FastPathApp, parts: Parts) -> None:
    settings = parts.settings
    limits = Limits(settings.max_body_bytes, settings.body_timeout_seconds, parts.bodies)
    routes = Routes(parts.recommender, parts.modelless, parts.batch_permits, settings.deadline_ms)

    def add(
        path: str,
        request_type: type[RequestT],
        call: Callable[[RequestT, Exchange], Awaitable[msgspec.Struct]],
        permits: Permits,
    ) -> None:
        route = path.strip("/").replace("/", "_")
        endpoint = JsonEndpoint(
            route, request_type, call, permits=permits, metrics=parts.metrics, limits=limits
        )
        app.add_hot_route(path, endpoint)

    add("/recommend", RecommendRequest, routes.recommend, parts.permits)
    add("/recommend/batch", RecommendBatchRequest, routes.recommend_batch, parts.batch_permits)
    add("/similar", SimilarRequest, routes.similar, parts.permits)
    app.add_hot_route("/events", _events_endpoint(parts))


def _events_endpoint(parts: Parts) -> EventsEndpoint:
    settings, events = parts.settings, parts.events

    async def accept(batch: EventBatch, exchange: Exchange) -> EventsReply:
        return await events.accept(batch)

    limits = Limits(settings.max_events_body_bytes, settings.body_timeout_seconds, parts.bodies)
    return EventsEndpoint(
        "events", EventBatch, accept, permits=events.permits, metrics=parts.metrics, limits=limits
    )


def _add_get_routes(app: FastAPI, parts: Parts) -> None:
    @app.get("/health/live")
    async def live() -> Response:
        return _json(LiveReply())

    @app.get("/health/ready")
    async def ready() -> Response:
        return _json(parts.readiness())

    exposition = Together(parts.metrics.exposition)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(await exposition.get(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/openapi.json")
    async def openapi() -> Response:
        return Response(encoded_document(), media_type="application/json")


def _json(reply: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(reply), media_type="application/json")


async def _on_error(request: Request, error: Exception) -> Response:
    """Turn any error outside the POST endpoints into a problem document."""
    document = problem_document(_translated(request, error), request_id(dict(request.scope["headers"])))
    headers = {name.decode(): value.decode() for name, value in document.headers}
    if isinstance(error, HTTPException):
        headers.update(error.headers or {})
    return Response(document.body, document.status, headers, media_type=PROBLEM_MEDIA_TYPE.decode())


def _translated(request: Request, error: Exception) -> ServiceError:
    """Translate Starlette's errors to those of `service.contract.errors`."""
    if isinstance(error, ServiceError):
        return error
    if not isinstance(error, HTTPException):
        return InternalFailure()
    path = request.url.path[:100]
    if error.status_code == 404:
        return RouteUnknown(f"there is nothing at {path}; /docs lists the routes")
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        return MethodNotAllowed(f"{request.method[:20]} is not allowed at {path}; use {allowed}")
    return RequestError(str(error.detail))
