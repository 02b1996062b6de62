"""The service for tests: in this process behind httpx, or as a process of its own where the wire matters."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from fastapi.dependencies import models

from loadtest.servers import free_port
from service.edge.app import create_app
from service.process.assembly import Parts
from service.settings.service import Settings
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

UNHURRIED_MS = 1000
"""The default deadline in tests; a busy machine must not turn answers into fallback answers."""


@dataclass(frozen=True)
class Running:
    """A service with its bundle loaded. client speaks HTTP to it, parts are what it is made of."""

    parts: Parts
    client: httpx.AsyncClient

    async def recommend(self, **request: Any) -> dict[str, Any]:
        """POST /recommend; the decoded answer, which must be a 200."""
        return await self.post("/recommend", request)

    async def post(self, path: str, body: Any) -> dict[str, Any]:
        """POST JSON; the decoded answer, which must be a 200."""
        response = await self.client.post(path, json=body)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def metric(self, name: str, **labels: str) -> float:
        """The value of a sample, 0 where there is none yet."""
        return self.parts.metrics.registry.get_sample_value(name, labels) or 0.0


def shared(redis: RedisServer) -> dict[str, Any]:
    """Settings of replicas on one Redis; a busy machine must not make them give up on it."""
    return {
        "redis_url": redis.url,
        "redis_read_timeout_ms": 5000,
        "redis_connect_timeout_ms": 5000,
        "circuit_open_seconds": 0.01,
    }


def make_parts(store: Path, **changes: Any) -> Parts:
    """Parts with settings for tests; changes: settings by name."""
    return Parts(
        Settings(**{"store": store, "deadline_ms": UNHURRIED_MS, "bundle_poll_seconds": 3600, **changes})
    )


@asynccontextmanager
async def running(store: Path, **changes: Any) -> AsyncIterator[Running]:
    """Start a service in this process; ready when the block begins."""
    parts = make_parts(store, **changes)
    app = create_app(parts)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    try:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://stillroom") as client,
        ):
            yield Running(parts, client)
    finally:
        forget_services()


def forget_services() -> None:
    """So that the next service collects this one with its bundle, whose mapped files are 45 descriptors: a service
    freezes what it has, and FastAPI's caches keep the endpoints of all there ever were.
    """
    gc.unfreeze()
    for each in vars(models).values():
        if hasattr(each, "cache_clear"):
            each.cache_clear()


def ids_of(answer: dict[str, Any]) -> list[str]:
    """The item ids of an answer, best first."""
    return [item["item_id"] for item in answer["items"]]


class ServiceProcess:
    """`python -m service` on a free port. Use as a context manager; environment: settings in upper case.

    command: what is started.
    """

    command: Sequence[str] = (sys.executable, "-m", "service")

    def __init__(self, store: Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        own = {
            "STILLROOM_STORE": str(store),
            "STILLROOM_PORT": str(self.port),
            "STILLROOM_DEADLINE_MS": str(UNHURRIED_MS),
            "STILLROOM_DRAIN_SECONDS": "0",
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("STILLROOM_")}
        given = {f"STILLROOM_{name}": value for name, value in environment.items()}
        self.environment = {**inherited, **own, **given}
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ServiceProcess:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start and wait until it is ready."""
        self.process = subprocess.Popen(self.command, env=self.environment, stdout=subprocess.DEVNULL)
        wait_until(self._is_ready, "the service")

    def stop(self) -> None:
        """End it with its workers, which a kill of the parent alone would leave behind."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(30)
        finally:
            self.process.kill()

    def workers(self) -> set[int]:
        """Process ids of several workers that live, without multiprocessing's own helper."""
        assert self.process is not None
        return set(filter(_is_worker, (child.pid for child in psutil.Process(self.process.pid).children())))

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "the service ended before it was ready"
        try:
            return httpx.get(f"{self.url}/health/ready").status_code == 200
        except httpx.TransportError:
            return False


def _is_worker(pid: int) -> bool:
    try:
        return "spawn_main" in " ".join(psutil.Process(pid).cmdline())
    except psutil.NoSuchProcess:  # or a zombie, which has no command any more
        return False
