"""The operators' routes: ordinary FastAPI routes, each of which requires a key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import unquote_to_bytes

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from models.vocabulary import MAX_ID_CHARACTERS
from service.admin.actions import Actions
from service.admin.keys import AdminKeys
from service.admin.schemas import PromoteRequest, ResumeRequest, StopRequest
from service.contract.errors import Fault, NotAuthorised, RequestInvalid, ServiceError
from service.contract.schemas import Id
from service.edge.endpoints.body import Limits, read_body
from service.edge.endpoints.decoding import RequestDecoder
from service.edge.endpoints.endpoint import request_id
from service.telemetry.metrics import Metrics

Body = TypeVar("Body", bound=msgspec.Struct)
Answer = Callable[[str, str], Awaitable[msgspec.Struct]]
"""Maps the name of the key and the request's id to the reply."""

LIMITS = Limits(max_body_bytes=16_384, body_timeout_seconds=5.0)


def add_admin_routes(app: FastAPI, actions: Actions, keys: AdminKeys, metrics: Metrics) -> None:
    """Add all operators' routes to the app."""
    guard = _Guard(keys, metrics)

    @app.get("/admin/state")
    async def state(request: Request) -> Response:
        return await guard.answer(request, lambda key, id: actions.state())

    @app.get("/admin/bundles")
    async def bundles(request: Request) -> Response:
        return await guard.answer(request, lambda key, id: actions.bundles())

    @app.post("/admin/promote")
    async def promote(request: Request) -> Response:
        return await guard.change(
            request, PromoteRequest, lambda body, key, id: actions.promote(body.version, key, id)
        )

    @app.post("/admin/rollback")
    async def roll_back(request: Request) -> Response:
        return await guard.answer(request, actions.roll_back)

    @app.get("/admin/experiments")
    async def experiments(request: Request) -> Response:
        return await guard.answer(request, lambda key, id: actions.experiments())

    @app.get("/admin/experiments/{name}")
    async def experiment(request: Request, name: str) -> Response:
        return await guard.answer(request, lambda key, id: actions.experiment(name))

    @app.post("/admin/experiments/{name}/stop")
    async def stop(request: Request, name: str) -> Response:
        return await guard.change(
            request, StopRequest, lambda body, key, id: actions.stop(name, body, key, id)
        )

    @app.post("/admin/experiments/{name}/resume")
    async def resume(request: Request, name: str) -> Response:
        return await guard.change(
            request, ResumeRequest, lambda body, key, id: actions.resume(name, body, key, id)
        )

    @app.delete("/people/{user_id:path}")
    async def erase(request: Request, user_id: str) -> Response:
        return await guard.answer(
            request, lambda key, id: actions.erase(_checked(request, user_id, "user_id"), key, id)
        )

    @app.delete("/sessions/{session_id:path}")
    async def erase_visit(request: Request, session_id: str) -> Response:
        return await guard.answer(
            request, lambda key, id: actions.erase_visit(_checked(request, session_id, "session_id"), key, id)
        )


def _checked(request: Request, shops_id: str, name: str) -> str:
    """Check an id from the path. Raises RequestInvalid for a value that cannot be a shop's id."""
    try:
        unquote_to_bytes(request.scope["raw_path"]).decode("utf-8")
        return msgspec.convert(shops_id, Id)
    except UnicodeDecodeError as error:  # in `shops_id` the wrong bytes are already replaced
        raise RequestInvalid(
            [Fault(name, "its bytes are not UTF-8; percent-encode the id as UTF-8")]
        ) from error
    except msgspec.ValidationError as error:
        said = f"expected 1 to {MAX_ID_CHARACTERS} characters, none of them a control character"
        raise RequestInvalid([Fault(name, said)]) from error


class _Guard:
    """Requires a key before anything is read, and counts requests by outcome."""

    def __init__(self, keys: AdminKeys, metrics: Metrics) -> None:
        self._keys = keys
        self._metrics = metrics

    async def answer(self, request: Request, answer: Answer) -> Response:
        """Answer a request without a body."""
        key = await self._key(request)
        try:
            reply = await answer(key, request_id(dict(request.scope["headers"])))
        except ServiceError:
            self._metrics.admin_asked("refused")
            raise
        self._metrics.admin_asked("done")
        return Response(msgspec.json.encode(reply), media_type="application/json")

    async def change(
        self,
        request: Request,
        body_type: type[Body],
        answer: Callable[[Body, str, str], Awaitable[msgspec.Struct]],
    ) -> Response:
        """Answer a request with a JSON body, which is read only if the key is valid."""
        await self._key(request)
        raw = await read_body(dict(request.scope["headers"]), request.receive, LIMITS)
        body = RequestDecoder(body_type).decode(raw)
        return await self.answer(request, lambda key, id: answer(body, key, id))

    async def _key(self, request: Request) -> str:
        try:
            return await self._keys.require(dict(request.scope["headers"]))
        except NotAuthorised:
            self._metrics.admin_asked("not_authorised")
            raise
