"""The yardstick: an app that costs what uvicorn itself costs for a request and a reply of these sizes, and no more.

BENCH_ECHO_BODY=file uvicorn --factory loadtest.bench.echo:create_echo
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

BODY_VARIABLE = "BENCH_ECHO_BODY"
"""Environment variable with the file that answers every request."""

Message = MutableMapping[str, Any]

Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def create_echo() -> Callable[[Message, Receive, Send], Awaitable[None]]:
    """Make an ASGI app that reads a request to its end and answers it, on any path."""
    body = Path(os.environ[BODY_VARIABLE]).read_bytes()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    start: Message = {"type": "http.response.start", "status": 200, "headers": headers}
    end: Message = {"type": "http.response.body", "body": body}

    async def echo(scope: Message, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await send(start)
        await send(end)

    return echo
