"""What we use of other libraries' insides is there; a test that fails after an upgrade says which inside moved."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import prometheus_client.mmap_dict
import prometheus_client.utils
from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection, SSLConnection, UnixDomainSocketConnection
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState


def missing(owner: object, names: Iterable[str]) -> list[str]:
    """The names that the owner lacks."""
    return [name for name in names if not hasattr(owner, name)]


def sets(function: Any) -> set[str]:
    """Every name that a function reads or sets."""
    return set(function.__code__.co_names)


async def test_uvicorn_has_what_our_protocol_takes_over() -> None:
    config = Config(app=lambda scope: None, lifespan="off", log_config=None)
    config.load()
    protocol = HttpToolsProtocol(config, ServerState(), {}, _loop=asyncio.get_running_loop())
    attributes = ("app", "cycle", "flow", "headers", "loop", "parser", "server_state")
    callbacks = ("on_body", "on_header", "on_headers_complete", "on_message_begin", "on_message_complete")
    transport = ("connection_made", "connection_lost", "pause_writing", "resume_writing", "shutdown")
    assert missing(protocol, (*attributes, *callbacks, *transport, "on_response_complete")) in ([], ["flow"])
    assert {"flow"} <= sets(HttpToolsProtocol.connection_made)
    assert {"url"} <= sets(HttpToolsProtocol.on_message_begin)
    assert missing(ServerState(), ("default_headers", "total_requests")) == []
    cycle = {"response_started", "keep_alive", "disconnected", "waiting_for_100_continue", "message_event"}
    assert cycle - sets(RequestResponseCycle.__init__) == set()


def test_prometheus_client_has_the_files_that_processes_share(tmp_path: Path) -> None:
    assert missing(prometheus_client.utils, ["floatToGoString"]) == []
    file = tmp_path / "histogram_stages-1.db"
    key = prometheus_client.mmap_dict.mmap_key("name", "name_sum", ["stage"], ["total"], "help")
    shared = prometheus_client.mmap_dict.MmapedDict(str(file))  # type: ignore[no-untyped-call]
    shared.read_value(key)  # type: ignore[no-untyped-call]
    shared.close()  # type: ignore[no-untyped-call]
    entries = prometheus_client.mmap_dict.MmapedDict.read_all_values_from_file(str(file))  # type: ignore[no-untyped-call]
    [(found, value, _, position)] = entries
    assert (found.rstrip(), value, position % 8) == (key, 0.0, 0)


def test_redis_py_tells_what_an_address_means() -> None:
    def described(url: str) -> AbstractConnection:
        return ConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]

    tcp = described("redis://name:word@host:6380/3")
    assert missing(tcp, ("host", "port", "db", "username", "password")) == []
    local = described("unix:///run/redis.sock?db=2")
    assert isinstance(local, UnixDomainSocketConnection)
    assert local.path == "/run/redis.sock"
    encrypted = described("rediss://host:6380/0")
    assert isinstance(encrypted, SSLConnection)
    assert encrypted.ssl_context.get() is not None
