"""Serves the operators' routes on a port of their own, in the same process.

One of several workers holds the port. The others keep trying, so that another takes over when that one ends.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import uvicorn
from fastapi import FastAPI

from service.edge.protocol.whole_requests import WholeRequestProtocol

logger = logging.getLogger(__name__)

TRY_AGAIN_SECONDS = 2.0


class _BesideAnother(uvicorn.Server):
    """A second server in the process, which leaves signals to the main one."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving_on(host: str, port: int, app: FastAPI) -> AsyncIterator[None]:
    """Serve the app while inside, as soon as the port is free."""
    config = uvicorn.Config(
        app,
        http=WholeRequestProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )
    server = _BesideAnother(config)
    working = asyncio.create_task(_serve(server, host, port))
    try:
        yield
    finally:
        server.should_exit = True
        if not server.started:
            working.cancel()
        with suppress(asyncio.CancelledError):
            await working


async def _serve(server: uvicorn.Server, host: str, port: int) -> None:
    said = None
    while True:
        try:
            listening = _listen(host, port)
        except OSError as error:
            if error.strerror != said:  # log it once: all workers but one wait here for good
                logger.info("the operators' port %d waits until it is free: %s", port, error.strerror)
            said = error.strerror
            await asyncio.sleep(TRY_AGAIN_SECONDS)
        else:
            break
    with listening:
        await server.serve(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    return listening
