"""A real service answers alike however a request reaches it: in one piece without ASGI, in pieces through it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.bundles import tiny_bundle
from tests.support.service import ServiceProcess

QUESTIONS: list[tuple[str, Any]] = [
    ("/recommend", {"user_id": "user-1", "limit": 3, "explain": True}),
    ("/recommend", {"user_id": "user-1", "limit": 0}),
    ("/recommend", {"user_id": "user-1", "nonsense": 1}),
    ("/recommend/batch", {"requests": [{"user_id": "user-1"}, {}]}),
    ("/similar", {"item_id": "item-2"}),
]


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    store = tmp_path_factory.mktemp("store")
    tiny_bundle(store)
    with ServiceProcess(store) as process:
        yield process


@pytest.mark.parametrize(("path", "asked"), QUESTIONS)
def test_real_service_answers_alike_in_one_piece_and_in_pieces(
    process: ServiceProcess, path: str, asked: Any
) -> None:
    body = json.dumps(asked).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\nx-request-id: same\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode()
    answers = []
    with socket.create_connection(("127.0.0.1", process.port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for pieces in ([head + body], [head, body], [head + body]):
            for piece in pieces:
                connection.sendall(piece)
            answers.append(without_times(received(connection)))
    assert answers[0] == answers[1] == answers[2]


def received(connection: socket.socket) -> httpx.Response:
    """One reply with a declared length."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        raw += connection.recv(65_536)
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    while len(body) < int(headers["content-length"]):
        body += connection.recv(65_536)
    return httpx.Response(int(lines[0].split()[1]), headers=headers, content=body)


def without_times(response: httpx.Response) -> tuple[int, list[str], Any]:
    """Status, names of headers in order, and the document, without what differs from one request to the next."""
    document = response.json()
    for part in (document, *document.get("replies", ())):
        part.pop("took_ms", None)
    return response.status_code, list(response.headers), document
