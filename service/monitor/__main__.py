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

from service.contract.errors import RedisTopologyUnsupported, SettingsInvalid
from service.monitor.health_server import serve
from service.monitor.metrics import MonitorMetrics
from service.monitor.monitor import Monitor
from service.redis.client import open_client
from service.settings.commands import MonitorProcessSettings
from service.settings.reading import read_settings
from service.telemetry.logging import configure_logging

logger = logging.getLogger("service.monitor")

EXIT_FAILED, EXIT_MISUSE = 1, 2
READ_SECONDS = 10.0
"""How long one trip to Redis may take. SIGTERM takes effect between trips, so this is less than a command's."""


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
        client = open_client(settings.redis_url, read_seconds=READ_SECONDS)
    except RedisTopologyUnsupported as error:
        _refuse(f"STILLROOM_REDIS_URL cannot be used: {error}", EXIT_MISUSE)
    metrics = MonitorMetrics()
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
