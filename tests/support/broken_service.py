"""A service that breaks every promise, for instruments that have to notice: `python -m tests.support.broken_service`.

It is the real one behind a middleware that now and then answers with other people's items, accepts events and forgets
them, fails, fills memory, and logs exceptions.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from itertools import count

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import service.__main__
from service.edge.app import serve as serve_as_shipped

EVERY = 9
LEAKED_BYTES = 2**20

logger = logging.getLogger(__name__)


class Broken:
    """Each ninth question or batch goes wrong, in one way after the other."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._numbers = count(1)
        self._leaked: list[bytearray] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or next(self._numbers) % EVERY:
            await self._app(scope, receive, send)
        elif scope["path"] == "/events":
            await self._forget(receive, send)
        else:
            await self._fail(scope, receive, send)

    async def _forget(self, receive: Receive, send: Send) -> None:
        """202, and nothing is kept."""
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        accepted = {"accepted": len(json.loads(body)["events"]), "rejected": [], "replayed": False}
        await _reply(send, 202, accepted)

    async def _fail(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Half of them with 500, the others with their items in another order."""
        self._leaked.append(bytearray(b"x" * LEAKED_BYTES))
        if next(self._numbers) % 2:
            logger.error("this one is on purpose", exc_info=ValueError("broken"))
            await _reply(send, 500, {"type": "urn:x:internal", "title": "", "status": 500, "detail": ""})
        else:
            await self._app(scope, receive, _with_other_items(send))


def _with_other_items(send: Send) -> Send:
    async def changed(message: Message) -> None:
        if message["type"] == "http.response.body":
            said = json.loads(message["body"])
            items = said.get("items", [])
            for item, other in zip(items, [one["item_id"] for one in reversed(items)], strict=True):
                item["item_id"] = other
            # As long as it was: the head has gone already.
            encoded = json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()
            message = {**message, "body": encoded.ljust(len(message["body"]))[: len(message["body"])]}
        await send(message)

    return changed


async def _reply(send: Send, status: int, body: object) -> None:
    encoded = json.dumps(body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(encoded))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": encoded})


def serve() -> FastAPI:
    """What each uvicorn worker runs."""
    app = serve_as_shipped()
    app.add_middleware(Broken)
    return app


def main(run: Callable[..., None] = uvicorn.run) -> None:
    """Start as the service starts."""

    def run_broken(app: str, **options: object) -> None:
        run("tests.support.broken_service:serve", **options)

    service.__main__.uvicorn.run = run_broken  # type: ignore[attr-defined]
    service.__main__.main()


if __name__ == "__main__":
    main()
