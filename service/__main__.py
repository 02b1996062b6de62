"""`python -m service` checks the settings and the address, then hands over to uvicorn."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from types import FrameType

import uvicorn

from service.contract.errors import RedisTopologyUnsupported, SettingsInvalid
from service.process.listening import check_listening
from service.redis.connection import check_topology
from service.settings.reading import read_settings
from service.settings.service import Settings
from service.telemetry.logging import configure_logging

EXIT_MISUSE = 2
HELP = """usage: python -m service

Serve the promoted bundle of the store, or popular items before the first one is promoted.

There are no options. Settings are environment variables that begin with STILLROOM_, for example STILLROOM_PORT=9000
and STILLROOM_STORE=models/store; docs/settings.md lists them all. SIGTERM or Ctrl-C ends the service after the
requests at work. Exit code 2: a setting or the address cannot be used, and one line says why."""
REDIS_SECONDS = 1.0
"""How long a start waits to learn what kind of Redis it is to use; one that comes later is checked then."""


def main(arguments: Sequence[str] = ()) -> None:
    """Start the service, or exit with code 2 and one line for the operator. arguments: of the command line."""
    _check_arguments(arguments)
    try:
        settings = read_settings(Settings)
        check_listening(settings)
    except SettingsInvalid as error:
        _refuse(f"error: {error}")
    configure_logging(settings.log_level)
    _check_redis(settings)
    signal.signal(signal.SIGTERM, _exit_cleanly)
    if settings.workers == 1:
        _run(settings)
        return
    with tempfile.TemporaryDirectory(prefix="stillroom-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        _run(settings)


def _run(settings: Settings) -> None:
    uvicorn.run(
        "service.edge.app:serve",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        loop="uvloop",
        http="service.edge.protocol.whole_requests:WholeRequestProtocol",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )


def _check_arguments(arguments: Sequence[str]) -> None:
    """Show the help, or refuse arguments: an ignored option would be believed to work."""
    if {"--help", "-h"} & set(arguments):
        print(HELP)
        sys.exit(0)
    if arguments:
        _refuse(
            f"error: python -m service takes no arguments, {arguments[0]!r} was given; settings are STILLROOM_* "
            "variables, which docs/settings.md lists"
        )


def _check_redis(settings: Settings) -> None:
    if not settings.redis_url:
        return
    try:
        check_topology(settings.redis_url, REDIS_SECONDS)
    except RedisTopologyUnsupported as error:
        _refuse(f"error: STILLROOM_REDIS_URL cannot be used: {error}")


def _refuse(message: str) -> None:
    print(message, file=sys.stderr)
    sys.exit(EXIT_MISUSE)


def _exit_cleanly(number: int, frame: FrameType | None) -> None:
    """Exit with 0: uvicorn raises SIGTERM again after draining, but a drained service has ended well."""
    sys.exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
