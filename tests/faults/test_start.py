"""Workers that start: none gets requests before its bundle is in service, and the others answer meanwhile."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from models.bundles.registry import Registry
from tests.support.service import ServiceProcess
from tests.support.waiting import wait_until

N_KILLS = 3
N_CLIENTS = 2
START_SECONDS = 120.0
"""A limit for a test that would hang: on a busy machine a worker takes half a minute to start."""


def kill_the_oldest_and_wait_for_another(service: ServiceProcess) -> None:
    """SIGKILL a worker; back when another one takes connections. In between those that come are all for the one that
    was started last.
    """
    oldest = min(service.workers(), key=lambda pid: psutil.Process(pid).create_time())
    os.kill(oldest, signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(oldest), "the end of the killed worker", START_SECONDS)
    wait_until(lambda: n_answering(service) == 2, "a worker in its place", START_SECONDS)


def n_answering(service: ServiceProcess) -> int:
    """Workers that take connections, as the service counts them."""
    text = httpx.get(f"{service.url}/metrics", timeout=START_SECONDS).text
    return int(float(text.partition("\nstillroom_workers ")[2].partition("\n")[0]))


@contextmanager
def shop(url: str) -> Iterator[Counter[str]]:
    """Clients that ask for items and for readiness inside, a connection each time; what they were told, counted."""
    told: Counter[str] = Counter()
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            try:
                answer = httpx.post(f"{url}/recommend", json={"user_id": "user-1"}, timeout=START_SECONDS)
                ready = httpx.get(f"{url}/health/ready", timeout=START_SECONDS)
            except httpx.TransportError:  # the killed worker had it
                told["broken"] += 1
                continue
            told[f"recommend {answer.status_code} {answer.json().get('tier')}"] += 1
            told[f"ready {ready.status_code} {ready.json().get('bundle_version')}"] += 1

    with ThreadPoolExecutor(N_CLIENTS) as clients:
        asking = [clients.submit(ask) for _ in range(N_CLIENTS)]
        try:
            yield told
        finally:
            is_over.set()
        for each in asking:
            each.result()


def test_no_request_is_refused_while_one_of_two_workers_is_killed_again_and_again(store: Path) -> None:
    version = Registry(store).current()
    with ServiceProcess(store, WORKERS="2") as service:
        wait_until(lambda: n_answering(service) == 2, "two workers", START_SECONDS)
        with shop(service.url) as told:
            for _ in range(N_KILLS):
                kill_the_oldest_and_wait_for_another(service)
    assert set(told) <= {"broken", "recommend 200 student", f"ready 200 {version}"}
    assert told["broken"] <= N_KILLS * N_CLIENTS
