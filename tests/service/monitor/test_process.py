"""`python -m service.monitor` as it is run: real Redis, real port."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx

from tests.support.monitoring import MonitorProcess, push, shown
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

WINDOW = {"MONITOR_WINDOW_SECONDS": "10", "MONITOR_MIN_RECORDS": "200", "OUTCOME_WINDOW_SECONDS": "5"}


def test_records_move_metrics_and_redis_may_go_and_come(store: Path, redis_server: RedisServer) -> None:
    with MonitorProcess(store, redis_server.url, **WINDOW) as monitor:
        wait_until(lambda: monitor.status("/health/ready") == 200, "the monitor")
        push(redis_server.url, [shown(number, n_history=0) for number in range(300)])
        wait_until(
            lambda: monitor.metric("stillroom_drift_alarm", input="history_length") == 1, "an alarm of drift"
        )
        redis_server.kill()
        redis_server.start()
        push(redis_server.url, [shown(number) for number in range(1_000, 1_400)])
        wait_until(lambda: monitor.metric("stillroom_drift_alarm", input="history_length") == 0, "its end")
        trimmed = monitor.metric("stillroom_monitor_trimmed_total", stream="exposures")
        assert trimmed == 1
        assert monitor.metric("stillroom_accuracy", outcome="click") == 0
        assert httpx.get(f"{monitor.url}/nothing").status_code == 404
        assert monitor.stop() == 0


def test_it_waits_for_a_redis_that_is_not_there_yet(store: Path, redis_server: RedisServer) -> None:
    redis_server.kill()
    with MonitorProcess(store, redis_server.url, **WINDOW) as monitor:
        assert monitor.status("/health/ready") == 503
        assert monitor.status("/health/live") == 200
        redis_server.start()
        wait_until(lambda: monitor.status("/health/ready") == 200, "the monitor")


def test_without_redis_it_says_what_is_missing() -> None:
    ended = subprocess.run([sys.executable, "-m", "service.monitor"], capture_output=True, text=True)
    assert ended.returncode == 2
    assert "STILLROOM_REDIS_URL is empty" in ended.stderr
