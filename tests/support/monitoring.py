"""Records of the live log for the monitor's tests, and the monitor as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import redis
from prometheus_client.parser import text_string_to_metric_families

from loadtest.servers import free_port
from service.log.records import (
    ERASURES_STREAM,
    EVENTS_STREAM,
    EXPOSURES_STREAM,
    RECORD_FIELD,
    ErasureRecord,
    EventRecord,
    ExposureRecord,
    pack_scores,
)
from tests.support.waiting import wait_until

NOON_MS = 1_700_000_000_000
STREAMS = {
    EventRecord: EVENTS_STREAM,
    ExposureRecord: EXPOSURES_STREAM,
    ErasureRecord: ERASURES_STREAM,
}


def shown(number: int, **changes: Any) -> ExposureRecord:
    """Answer number n, sent n times 100 ms after noon to a person of its own."""
    fields: dict[str, Any] = {
        "request_id": f"request-{number}",
        "sent_ms": NOON_MS + 100 * number,
        "item_ids": ["item-1", "item-2"],
        "scores": pack_scores([0.5, 0.25]),
        "version": "20240101T000000Z-0123456789ab",
        "variant": "student",
        "tier": "student",
        "took_us": 1000,
        "unit": f"user-{number}",
        "user_id": f"user-{number}",
        "n_history": 3 * (number % 2),
    }
    return ExposureRecord(**{**fields, **changes})


def click(number: int, **changes: Any) -> EventRecord:
    """A click on what answer number n showed, a second later."""
    fields: dict[str, Any] = {
        "event_id": f"{number:032x}-0",
        "kind": "click",
        "item_id": "item-1",
        "time": NOON_MS // 1000,
        "received_ms": NOON_MS + 100 * number + 1000,
        "user_id": f"user-{number}",
        "request_id": f"request-{number}",
    }
    return EventRecord(**{**fields, **changes})


def push(url: str, records: Sequence[EventRecord | ExposureRecord | ErasureRecord]) -> list[bytes]:
    """Put records into their streams, in this order; returns the ids of the entries."""
    with redis.Redis.from_url(url) as client, client.pipeline(transaction=False) as pipeline:
        for record in records:
            pipeline.xadd(STREAMS[type(record)], {RECORD_FIELD: msgspec.msgpack.encode(record)})
        added: list[bytes] = pipeline.execute()
    return added


class MonitorProcess:
    """`python -m service.monitor` on a free port. Use as a context manager; environment: settings in upper case."""

    def __init__(self, store: Path, redis_url: str, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        given = {
            "STORE": str(store),
            "REDIS_URL": redis_url,
            "MONITOR_PORT": str(self.port),
            "BUNDLE_POLL_SECONDS": "0.1",
            **environment,
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("STILLROOM_")}
        self._environment = {**inherited, **{f"STILLROOM_{name}": value for name, value in given.items()}}
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> MonitorProcess:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service.monitor"], env=self._environment, stdout=subprocess.DEVNULL
        )
        wait_until(lambda: self.status("/health/live") == 200, "the monitor", 60)
        return self

    def __exit__(self, *exception: object) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it as an operator does; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)

    def status(self, path: str) -> int:
        """Of a GET; 0 where nobody listens."""
        assert self.process is not None
        assert self.process.poll() is None, "the monitor ended"
        try:
            return httpx.get(f"{self.url}{path}").status_code
        except httpx.TransportError:
            return 0

    def metric(self, name: str, **labels: str) -> float | None:
        """The value of a sample, None where there is none yet."""
        text = httpx.get(f"{self.url}/metrics").text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return float(sample.value)
        return None
