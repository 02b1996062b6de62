"""One client without a key sends without end, asks without reading, or holds connections; the others are served."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from loadtest.servers import free_port
from tests.support.bundles import tiny_bundle
from tests.support.service import ServiceProcess
from tests.support.waiting import wait_until

MEBIBYTE = 2**20
ROOM = 48 * MEBIBYTE
"""What the process may grow by while it is attacked: half a million bytes for each of a hundred connections."""

ENDLESS = {
    "headers without end": b"x-padding: " + b"a" * 100 + b"\r\n",
    "one value without end": b"a" * 100,
    "empty lines": b"\r\n" * 50,
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clients") / "store"
    tiny_bundle(folder)
    return folder


@pytest.fixture(scope="module")
def service(store: Path) -> Iterator[ServiceProcess]:
    bounds = {
        "HEAD_TIMEOUT_SECONDS": "1",
        "UNREAD_TIMEOUT_SECONDS": "1",
        "MAX_CONNECTIONS_PER_ADDRESS": "200",
    }
    with ServiceProcess(store, **bounds) as started:
        yield started


class FewDescriptors(ServiceProcess):
    """As many as a shell gives on some systems."""

    command = ("prlimit", "--nofile=256", *ServiceProcess.command)


def connect(service: ServiceProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), timeout=30)


def memory_of(service: ServiceProcess) -> int:
    assert service.process is not None
    return psutil.Process(service.process.pid).memory_info().rss


def assert_is_served(service: ServiceProcess) -> None:
    """Somebody else gets an answer of the student."""
    answer = httpx.post(f"{service.url}/recommend", json={"user_id": "user-1"}, timeout=30)
    assert answer.status_code == 200, answer.text
    assert answer.json()["tier"] == "student"


def n_connections(service: ServiceProcess) -> int:
    """As the service counts them, the one that asks included."""
    found = re.search(
        r"^stillroom_connections (\S+)", httpx.get(f"{service.url}/metrics", timeout=30).text, re.M
    )
    assert found
    return int(float(found[1]))


def said(client: socket.socket, n_bytes: int = 2**31) -> bytes:
    """All that the service says until it closes, so many bytes at most."""
    received = b""
    with suppress(ConnectionResetError):
        while len(received) < n_bytes and (piece := client.recv(min(65_536, n_bytes - len(received)))):
            received += piece
    return received


@pytest.mark.parametrize("kind", ENDLESS)
def test_head_without_end_is_cut_off(service: ServiceProcess, kind: str) -> None:
    before = memory_of(service)
    with connect(service) as client:
        n_sent = 0
        piece = ENDLESS[kind] * 640
        with suppress(ConnectionError, TimeoutError):
            client.sendall(b"POST /recommend HTTP/1.1\r\nx-first: ")
            while n_sent < 82_000_000:
                client.sendall(piece)
                n_sent += len(piece)
        assert n_sent < 82_000_000
    assert_is_served(service)
    assert memory_of(service) - before < ROOM


def test_head_without_end_is_told_why(service: ServiceProcess) -> None:
    with connect(service) as client:
        client.sendall(b"POST /recommend HTTP/1.1\r\nx: " + b"a" * 20_000)
        answer = said(client)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"application/problem+json" in answer


def test_who_asks_without_reading_fills_nothing(service: ServiceProcess) -> None:
    before = memory_of(service)
    requests = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 2000
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(service)) for _ in range(100)]
        for client in clients:
            client.setblocking(False)
            with suppress(BlockingIOError, ConnectionError):
                while True:
                    client.send(requests)
        assert_is_served(service)
        assert memory_of(service) - before < ROOM

        wait_until(lambda: n_connections(service) <= 2, "the end of those who do not read")
    assert_is_served(service)
    assert memory_of(service) - before < ROOM


def test_head_at_a_byte_now_and_then_is_ended(service: ServiceProcess) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(service)) for _ in range(100)]
        for client in clients:
            client.sendall(b"POST /recomm")
        assert_is_served(service)
        for client in clients:
            assert said(client).startswith(b"HTTP/1.1 408 ")


def test_idle_connections_lock_nobody_out(store: Path) -> None:
    """With 256 descriptors there is room for 64 connections, 32 from one address."""
    with FewDescriptors(store) as service, ExitStack() as stack:
        clients = [stack.enter_context(connect(service)) for _ in range(400)]
        assert_is_served(service)
        assert said(clients[0]) == b""
        open_ones = psutil.Process(service.process.pid if service.process else 0).net_connections("tcp")
        assert sum(each.status == psutil.CONN_ESTABLISHED for each in open_ones) <= 64 + 32
        assert_is_served(service)


def never_reading(service: ServiceProcess) -> socket.socket:
    """A client that has requested more answers than can wait for it."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", service.port))
    client.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 500)
    return client


def test_connection_beyond_the_bound_of_an_address_is_told_so(store: Path) -> None:
    with ServiceProcess(store, MAX_CONNECTIONS_PER_ADDRESS="2") as service, ExitStack() as stack:
        busy = [stack.enter_context(never_reading(service)) for _ in range(2)]

        def is_refused() -> bool:
            with connect(service) as client:
                client.sendall(b"GET /health/live HTTP/1.1\r\n\r\n")
                return said(client, 13) == b"HTTP/1.1 429 "

        wait_until(is_refused, "a refusal")
        busy[0].close()

        def is_answered() -> bool:
            with connect(service) as client:
                client.sendall(b"GET /health/live HTTP/1.1\r\nconnection: close\r\n\r\n")
                return said(client).startswith(b"HTTP/1.1 200 ")

        wait_until(is_answered, "an answer")


def test_whoever_has_not_said_what_they_want_makes_room_for_who_has(store: Path) -> None:
    with ServiceProcess(store, MAX_CONNECTIONS_PER_ADDRESS="2") as service, ExitStack() as stack:
        slow = [stack.enter_context(connect(service)) for _ in range(2)]
        for client in slow:
            client.sendall(b"POST /recommend HTTP/1.1\r\n")
        assert_is_served(service)
        assert said(slow[0]) == b""


def test_operators_port_is_bounded_too(store: Path, tmp_path: Path) -> None:
    keys, port = tmp_path / "keys", free_port()
    keys.write_text("tests:a key of sixteen characters or more\n")
    with ServiceProcess(store, ADMIN_KEYS_FILE=str(keys), ADMIN_PORT=str(port), HEAD_TIMEOUT_SECONDS="1"):

        def listens() -> bool:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=30):
                return True
            return False

        wait_until(listens, "the operators' port")
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall(b"GET /admin/state HTTP/1.1\r\nx: " + b"a" * 20_000)
            assert said(client).startswith(b"HTTP/1.1 431 ")
        with ExitStack() as stack:
            idle = [
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
                for _ in range(40)
            ]
            assert said(idle[0]) == b""
            assert httpx.get(f"http://127.0.0.1:{port}/health/live").status_code == 200
