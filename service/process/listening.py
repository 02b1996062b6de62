"""Checks whether the service can listen where its settings say, before anything is loaded.

`python -m service` checks it before it starts uvicorn; `make up` runs `python -m service.process.listening` before it
trains.
"""

from __future__ import annotations

import errno
import socket
import sys
from typing import Any

from service.contract.errors import SettingsInvalid
from service.settings.process import ProcessSettings
from service.settings.reading import read_settings

EXIT_MISUSE = 2


def check_listening(settings: ProcessSettings) -> None:
    """Raise SettingsInvalid where the address cannot be listened on; the message names the variable to change.

    Nothing stays open, so somebody else may still take the port in the moment before uvicorn does.
    """
    host, port = settings.host, settings.port
    if not port:
        return
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise SettingsInvalid(
            f"STILLROOM_HOST is {host!r}, which names no address: {error.strerror}"
        ) from error
    errors = []
    for family, _, _, _, address in found:
        try:
            _bind(family, address)
        except OSError as error:
            errors.append(error)
    of_the_port = [error for error in errors if error.errno in (errno.EADDRINUSE, errno.EACCES)]
    # "localhost" may name an IPv6 address that the machine lacks: one that works is enough.
    if of_the_port or len(errors) == len(found):
        first = [*of_the_port, *errors][0]
        raise SettingsInvalid(_why(host, port, first)) from first


def _bind(family: socket.AddressFamily, address: tuple[Any, ...]) -> None:
    """Take the address and let it go. Raises OSError."""
    with socket.socket(family, socket.SOCK_STREAM) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn does
        if family == socket.AF_INET6:
            tried.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        tried.bind(address)


def _why(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is taken: stop what listens there, or set STILLROOM_PORT to another one "
            "(0 takes a free one)"
        )
    if error.errno == errno.EACCES:
        return f"port {port} may not be used by this user: set STILLROOM_PORT to one from 1024 on"
    return f"STILLROOM_HOST is {host!r}, where nothing can listen on this machine: {error.strerror}"


def main() -> None:
    """Exit with code 2 and one line if the service could not listen."""
    try:
        check_listening(read_settings(ProcessSettings))
    except SettingsInvalid as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_MISUSE)


if __name__ == "__main__":
    main()
