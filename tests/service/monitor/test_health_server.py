"""The monitor's port answers few clients at once and none for ever."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import cast

import httpx
import pytest

from service.monitor import health_server
from service.monitor.health_server import MAX_CLIENTS, serve
from service.monitor.metrics import MonitorMetrics
from service.monitor.monitor import Monitor
from tests.support.waiting import wait_until


@contextmanager
def serving() -> Iterator[int]:
    monitor = cast(Monitor, SimpleNamespace(turned_at=float("inf"), is_watching=True))
    server = serve(monitor, MonitorMetrics(), "127.0.0.1", 0)
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def is_answered(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/live").status_code == 200
    except httpx.TransportError:
        return False


def test_clients_beyond_the_bound_are_closed_and_the_place_of_one_that_ends_is_free() -> None:
    with serving() as port, ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(MAX_CLIENTS)
        ]
        wait_until(lambda: not is_answered(port), "the last place to be taken")
        silent[0].close()
        wait_until(lambda: is_answered(port), "a place")


def test_silent_clients_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_server, "CLIENT_SECONDS", 0.1)
    with serving() as port, socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nx: ")
        assert client.recv(1000) == b""
