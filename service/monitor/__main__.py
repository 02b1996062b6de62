"""`python -m service.monitor` runs one process per deployment, beside the services. It reads their settings, and
STILLROOM_MONITOR_*.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from types import FrameType
from typing import NoReturn

import redis

from service.contract.errors import RedisTopologyUnsupported, SettingsInvalid
from service.monitor.health_server import serve
from service.monitor.metrics import MonitorMetrics
from service.monitor.monitor import Monitor
from service.redis.connection import check_topology
from service.settings.commands import MonitorProcessSettings
from service.settings.reading import read_settings
from service.telemetry.logging import configure_logging

logger = logging.getLogger("service.monitor")

REDIS_TIMEOUT_SECONDS = 10.0
EXIT_FAILED, EXIT_MISUSE = 1, 2


def main() -> None:
    """Watch until SIGTERM or SIGINT."""
    argparse.ArgumentParser(
        prog="python -m service.monitor",
        description="Watch the live log of a deployment; see docs/monitoring.md. Settings are STILLROOM_* variables.",
    ).parse_args()
    try:
        settings = read_settings(MonitorProcessSettings)
    except SettingsInvalid as error:
        _refuse(str(error), EXIT_MISUSE)
    if not settings.redis_url:
        _refuse("STILLROOM_REDIS_URL is empty; the monitor reads the live log in Redis", EXIT_MISUSE)
    configure_logging(settings.log_level)
    try:
        check_topology(settings.redis_url, REDIS_TIMEOUT_SECONDS)
    except RedisTopologyUnsupported as error:
        _refuse(f"STILLROOM_REDIS_URL cannot be used: {error}", EXIT_MISUSE)
    metrics = MonitorMetrics()
    client = redis.Redis.from_url(
        settings.redis_url,
        socket_timeout=REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
    )
    monitor = Monitor(settings, client, metrics)

    def stop(number: int, frame: FrameType | None) -> None:
        monitor.is_stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        server = serve(monitor, metrics, settings.host, settings.monitor_port)
    except OSError as error:
        _refuse(f"STILLROOM_MONITOR_PORT {settings.monitor_port}: {error.strerror or error}", EXIT_FAILED)
    logger.info("monitor on port %d", server.server_address[1])
    monitor.run()
    server.shutdown()


def _refuse(message: str, code: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
