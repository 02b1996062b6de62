"""Shops ask with what their language brings: each client as it comes gets its answers, large bodies and all.

A client that is not on this machine is skipped, and says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.support.bundles import tiny_bundle
from tests.support.service import ServiceProcess, ids_of

PROGRAMS = Path(__file__).parent / "programs"
N_EVENTS = 10_000
"""More than a megabyte: curl then waits for "100 Continue", and nobody sends it in one piece."""


class Client(NamedTuple):
    """command: what runs it; needs: the program that has to be here."""

    needs: str
    command: tuple[str, ...]
    options: str = ""


PYTHON = (sys.executable, str(PROGRAMS / "python_clients.py"))
CLIENTS = {
    "java": Client("java", ("java", str(PROGRAMS / "Client.java"))),
    "node fetch": Client("node", ("node", str(PROGRAMS / "fetch.mjs"))),
    "node http": Client("node", ("node", str(PROGRAMS / "http.mjs"))),
    "go": Client("go", ("go", "run", str(PROGRAMS / "client.go"))),
    "php": Client("php", ("php", str(PROGRAMS / "client.php"))),
    "ruby": Client("ruby", ("ruby", str(PROGRAMS / "client.rb"))),
    ".NET": Client("dotnet", ("dotnet", "run", str(PROGRAMS / "client.cs"))),
    "curl": Client("curl", ("sh", str(PROGRAMS / "curl.sh"))),
    "curl --http2": Client("curl", ("sh", str(PROGRAMS / "curl.sh")), "--http2"),
    **{
        name: Client(sys.executable, (*PYTHON, name))
        for name in ("requests", "httpx", "urllib", "http.client", "aiohttp")
    },
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    store = tmp_path_factory.mktemp("clients") / "store"
    tiny_bundle(store)
    with ServiceProcess(store) as started:
        yield started


@pytest.mark.parametrize("name", CLIENTS)
def test_default_client_is_served(service: ServiceProcess, tmp_path: Path, name: str) -> None:
    client = CLIENTS[name]
    if shutil.which(client.needs) is None:
        pytest.skip(f"{client.needs} is not on this machine")
    small, large = tmp_path / "small.json", tmp_path / "large.json"
    asked = {"user_id": "user-1", "limit": 3}
    small.write_text(json.dumps(asked))
    large.write_text(json.dumps({"key": name, "events": [viewed(number) for number in range(N_EVENTS)]}))
    said = subprocess.run(
        [*client.command, service.url, str(small), str(large)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "CURL_OPTIONS": client.options, "GOFLAGS": "-mod=mod", "NO_PROXY": "*"},
        cwd=tmp_path,
    ).stdout.splitlines()
    statuses, bodies = zip(*(line.split(" ", 1) for line in said), strict=True)
    assert statuses == ("200", "202", "200", "200"), said
    first, events, second, live = map(json.loads, bodies)
    expected = httpx.post(f"{service.url}/recommend", json=asked).json()
    assert ids_of(first) == ids_of(second) == ids_of(expected)
    assert (events["accepted"], live["status"]) == (N_EVENTS, "live")


def viewed(number: int) -> dict[str, str]:
    return {
        "kind": "view",
        "item_id": f"item-{number % 20}",
        "user_id": f"visitor-{number}",
        "request_id": "a" * 40,
    }
