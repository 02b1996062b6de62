"""FastAPI with a short path to the POST routes.

A hot route is an ASGI app of its own that needs nothing of FastAPI's path, so it is called at once. It stays in the
routing table too: wrong methods, paths under a prefix and whatever a middleware wraps take the usual path to the same
endpoint.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from service.edge.endpoints.endpoint import JsonEndpoint
from service.edge.http.bounds import Bounds
from service.edge.http.connections import Connections


class FastPathApp(FastAPI):
    """A FastAPI app with hot routes, with HEAD wherever there is GET, and with bounded connections.

    connections: the process's connections to this app, with their bounds.
    """

    def __init__(self, *, connections: Connections | None = None, **options: Any) -> None:
        """Raise TypeError for dependencies of the whole app, which a hot route would bypass."""
        if options.get("dependencies"):
            raise TypeError("hot routes resolve no dependencies; give them to the routes that need them")
        super().__init__(**options)
        self.connections = Connections(Bounds()) if connections is None else connections
        self._hot: dict[str, JsonEndpoint[Any]] = {}

    def add_hot_route(self, path: str, endpoint: JsonEndpoint[Any]) -> None:
        """Route POSTs of exactly this path to the endpoint, an object that handles every error itself. (Starlette
        would take a function for one of its handlers.)

        Once the app has a middleware, hot routes take the usual path through it.
        """
        self.router.routes.append(Route(path, endpoint, methods=["POST"]))
        self._hot[path] = endpoint

    def hot_endpoint(self, path: str) -> JsonEndpoint[Any] | None:
        """Return the endpoint that answers a POST of exactly this path at once, if there is one."""
        return None if self.user_middleware else self._hot.get(path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a hot route, or hand over to FastAPI."""
        # FastAPI's own path to a route (two middlewares, an exit stack, the router) costs a request 20 µs of CPU; a
        # bare uvicorn echo costs 30 in all.
        if scope["type"] == "http" and scope["method"] == "POST":
            endpoint = self.hot_endpoint(scope["path"])
            if endpoint is not None:
                await endpoint(scope, receive, send)
                return
        elif scope["type"] == "http" and scope["method"] == "HEAD":
            await super().__call__({**scope, "method": "GET"}, receive, _without_body(send))
            return
        await super().__call__(scope, receive, send)


def _without_body(send: Send) -> Send:
    """Answer HEAD as GET, but without the body (RFC 9110, 9.3.2)."""

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head
