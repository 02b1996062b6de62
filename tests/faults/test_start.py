"""Workers that start: none is asked before its bundle is in service, and the others answer in the meantime."""

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

from models.registry import Registry
from tests.support.ports import wait_until
from tests.support.service import ServiceProcess

N_KILLS = 4
N_CLIENTS = 4


def kill_one_and_wait_until_another_is_asked(service: ServiceProcess) -> None:
    """SIGKILL a worker, and wait until one that took its place was given a connection."""
    before = service.workers()
    os.kill(min(before), signal.SIGKILL)

    def is_another_asked() -> bool:
        try:
            new = service.workers() - before
            return bool(new) and has_connections(new.pop(), service.port)
        except psutil.NoSuchProcess:
            return False

    wait_until(is_another_asked, "a worker in place of the killed one")


def has_connections(pid: int, port: int) -> bool:
    """Whether clients are connected to this worker."""
    connections = psutil.Process(pid).net_connections("tcp")
    return any(each.status == psutil.CONN_ESTABLISHED and each.laddr.port == port for each in connections)


@contextmanager
def shop(url: str) -> Iterator[Counter[str]]:
    """Clients that ask for items and for readiness inside, a connection each time; what they were told, counted."""
    told: Counter[str] = Counter()
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            try:
                answer = httpx.post(f"{url}/recommend", json={"user_id": "user-1"})
                ready = httpx.get(f"{url}/health/ready")
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
        wait_until(lambda: len(service.workers()) == 2, "two workers")
        with shop(service.url) as told:
            for _ in range(N_KILLS):
                kill_one_and_wait_until_another_is_asked(service)
    assert set(told) <= {"broken", "recommend 200 student", f"ready 200 {version}"}
    assert told["broken"] <= N_KILLS * N_CLIENTS
