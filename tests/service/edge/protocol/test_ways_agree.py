"""The same bytes give the same answers however they come: at once, cut at every byte, and whatever way they take.

A request that arrives whole is answered without ASGI; one in pieces, or with one odd header, through it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uvicorn import Config
from uvicorn.server import ServerState

from service.edge.app import create_app
from service.edge.endpoints.fast_path import FastPathApp
from service.edge.protocol.ending import Stage
from service.edge.protocol.whole_requests import WholeRequestProtocol
from tests.support.bundles import tiny_bundle
from tests.support.service import make_parts
from tests.support.wire import Wire


class Answer(NamedTuple):
    """One reply, without what differs from one time to the next."""

    status: int
    headers: tuple[tuple[str, str], ...]
    document: Any
    is_last: bool


def raw(path: str, body: bytes, *headers: str, method: str = "POST") -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "host: x",
        "content-type: application/json",
        "x-request-id: same",
        f"content-length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


PLAIN = raw("/recommend", b'{"user_id": "user-1", "limit": 2}')

CASES: dict[str, bytes] = {
    "plain": PLAIN,
    "two": PLAIN + raw("/similar", b'{"item_id": "item-2", "limit": 1}'),
    "number for an id": raw("/recommend", b'{"user_id": 17850, "limit": 2.0}'),
    "invalid": raw("/recommend", b'{"limit": 0}'),
    "malformed": raw("/recommend", b"{"),
    "empty": raw("/recommend", b""),
    "batch": raw("/recommend/batch", b'{"requests": [{"user_id": "user-1", "limit": 1}, {"limit": 1}]}'),
    "bad batch": raw(
        "/recommend/batch",
        b'{"requests": [{"limit": 1}, {"session": [{"item_id": "a", "time": 99999999999}]}]}',
    ),
    "events": raw(
        "/events", b'{"key": "k", "events": [{"kind": "view", "item_id": "item-1", "user_id": "u"}]}'
    ),
    "space after the length": raw("/recommend", b'{"limit": 1}').replace(b"length: 12", b"length: 12 "),
    "closing": raw("/recommend", b'{"limit": 1}', "connection: close"),
    "chunked": raw("/recommend", b"", "transfer-encoding: chunked").replace(b"content-length: 0\r\n", b"")
    + b'6\r\n{"limi\r\n6\r\nt": 1}\r\n0\r\n\r\n',
    "both lengths": raw("/recommend", b"{}", "transfer-encoding: chunked"),
    "two lengths": raw("/recommend", b"{}", "content-length: 2"),
    "offer to upgrade": raw(
        "/recommend", b'{"limit": 1}', "connection: upgrade, http2-settings", "upgrade: h2c"
    ),
    "wrong type": raw("/recommend", b"{}").replace(b"application/json", b"text/plain"),
    "compressed": raw("/recommend", b"\x1f\x8b\x08", "content-encoding: gzip"),
    "too large": raw("/recommend", b" " * 1100),
    "wrong method": raw("/recommend", b"", method="GET"),
    "no such route": raw("/nowhere", b"{}"),
    "head": raw("/health/live", b"", method="HEAD"),
    "live": raw("/health/live", b"", method="GET"),
    "query": raw("/recommend?page=1", b'{"limit": 1}'),
    "then garbage": PLAIN + b"\x00garbage\r\n\r\n",
    "then half a head": PLAIN + b"POST /recommend HTTP/1.1\r\n",
    "garbage": b"GET nowhere\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "bad name": raw("/recommend", b"{}", "bad name: x"),
    "bare line breaks": PLAIN.replace(b"\r\n", b"\n"),
    "line breaks before": b"\r\n\r\n" + PLAIN,
    "long head": raw("/recommend", b"{}", "x-padding: " + "a" * 5000),
    "long value": b"POST /recommend HTTP/1.1\r\nx: " + b"a" * 5000,
}
"""The bound of a head is 4096 bytes, of a body 1024."""

ODD_HEADER = "x-odd: é\t1".encode()
"""No plain head has a tab within, so that it goes through ASGI."""


class Service:
    """The app of a real service, asked over connections without sockets."""

    def __init__(self, app: FastPathApp) -> None:
        self._config = Config(
            app, lifespan="off", access_log=False, log_config=None, proxy_headers=False, ws="none"
        )

    async def ask(self, pieces: Sequence[bytes]) -> list[Answer]:
        """What comes back until nothing more can."""
        wire = Wire()
        protocol = WholeRequestProtocol(self._config, ServerState(), {})
        protocol.connection_made(wire)
        for piece in pieces:
            protocol.data_received(piece)
            await asyncio.sleep(0)
        n_quiet = 0
        while n_quiet < 20:  # the scorer and the spool have threads of their own
            await asyncio.sleep(0)
            n_quiet = 0 if protocol.stage is Stage.ANSWERING else n_quiet + 1
        answers = list(read(wire))
        protocol.connection_lost(None)
        return answers


def read(wire: Wire) -> Iterator[Answer]:
    rest, is_at_end = wire.sent, wire.is_closing() or wire.has_ended
    while rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        length = int(headers.get("content-length", 0)) if rest and not rest.startswith(b"HTTP/") else 0
        body, rest = rest[:length], rest[length:]
        yield Answer(int(first.split()[1]), comparable(headers), without_times(body), is_at_end and not rest)


def comparable(headers: dict[str, str]) -> tuple[tuple[str, str], ...]:
    stages = re.sub(r"vector;dur=[\d.]+, |=[\d.]+", "", headers.get("server-timing", ""))
    return tuple(
        (name, stages if name == "server-timing" else value)
        for name, value in headers.items()
        if name not in ("date", "content-length", "x-request-id")
    )


def without_times(body: bytes) -> Any:
    if not body.startswith(b"{"):
        return body
    document = json.loads(body)
    for part in (document, *document.get("replies", ())):
        part.pop("took_ms", None)
        if not str(part.get("request_id", "")).startswith("same"):
            part.pop("request_id", None)
        part.pop("replayed", None)
    return document


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    store: Path = tmp_path_factory.mktemp("ways") / "store"
    tiny_bundle(store)
    parts = make_parts(store, max_head_bytes=4096, max_body_bytes=1024)
    app = create_app(parts)
    await parts.bundles.follow()
    async with app.router.lifespan_context(app):
        yield Service(app)


def cut(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted({at for at in cuts if 0 < at < len(data)}), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", CASES)
async def test_the_same_bytes_give_the_same_answers_cut_at_every_byte(service: Service, name: str) -> None:
    data = CASES[name]
    at_once = await service.ask([data])
    step = 1 if len(data) < 1500 else 7
    assert await service.ask([data[at : at + step] for at in range(0, len(data), step)]) == at_once
    for at in range(1, len(data), 1 if len(data) < 600 else 97):
        assert await service.ask([data[:at], data[at:]]) == at_once, data[:at]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", CASES)
async def test_the_same_request_gives_the_same_answer_through_asgi(service: Service, name: str) -> None:
    data = CASES[name]
    slow = data.replace(b"\r\nhost: x", b"\r\nhost: x\r\n" + ODD_HEADER)
    at_once = await service.ask([data])
    assert await service.ask([slow]) == at_once


@pytest.mark.asyncio(loop_scope="module")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(sorted(CASES)), min_size=1, max_size=4),
    st.lists(st.integers(0, 4000), max_size=8),
)
async def test_any_requests_one_behind_the_other_give_the_same_answers_however_they_are_cut(
    service: Service, names: list[str], cuts: list[int]
) -> None:
    data = b"".join(CASES[name] for name in names)
    at_once = await service.ask([data])
    assert await service.ask(cut(data, cuts)) == at_once
