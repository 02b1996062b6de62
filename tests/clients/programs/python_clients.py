"""Python's clients, as they come: `python python_clients.py NAME URL SMALL LARGE`."""

from __future__ import annotations

import asyncio
import http.client
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import httpx
import requests

JSON = {"content-type": "application/json"}


def with_requests(url: str, body: bytes | None) -> tuple[int, str]:
    response = SESSION.get(url) if body is None else SESSION.post(url, data=body, headers=JSON)
    return response.status_code, response.text


def with_httpx(url: str, body: bytes | None) -> tuple[int, str]:
    response = CLIENT.get(url) if body is None else CLIENT.post(url, content=body, headers=JSON)
    return response.status_code, response.text


def with_urllib(url: str, body: bytes | None) -> tuple[int, str]:
    with urllib.request.urlopen(urllib.request.Request(url, body, JSON if body else {})) as response:
        return response.status, response.read().decode()


def with_http_client(url: str, body: bytes | None) -> tuple[int, str]:
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.netloc)
    connection.request("POST" if body else "GET", where.path, body, JSON if body else {})
    response = connection.getresponse()
    said = response.status, response.read().decode()
    connection.close()
    return said


def with_aiohttp(url: str, body: bytes | None) -> tuple[int, str]:
    async def ask() -> tuple[int, str]:
        method = "GET" if body is None else "POST"
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, data=body, headers=JSON) as response,
        ):
            return response.status, await response.text()

    return asyncio.run(ask())


SESSION, CLIENT = requests.Session(), httpx.Client()
CLIENTS: dict[str, Callable[[str, bytes | None], tuple[int, str]]] = {
    "requests": with_requests,
    "httpx": with_httpx,
    "urllib": with_urllib,
    "http.client": with_http_client,
    "aiohttp": with_aiohttp,
}

if __name__ == "__main__":
    name, url, small, large = sys.argv[1:]
    for path, file in (
        ("/recommend", small),
        ("/events", large),
        ("/recommend", small),
        ("/health/live", None),
    ):
        print(*CLIENTS[name](url + path, Path(file).read_bytes() if file else None))
