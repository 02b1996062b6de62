"""Reads the address of Redis with redis-py; no error message repeats any part of the address.

A URL contains a password. If special characters in it are not percent-encoded, what a parser takes for host or port
is a piece of the password. So messages name neither, and no message of a library is passed on.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection, UnixDomainSocketConnection

SCHEMES = ("redis://", "rediss://", "unix://")

_TOPOLOGY = re.compile(r"[a-z+-]*(sentinel|cluster)[a-z+-]*://", re.IGNORECASE)
_DATABASE = re.compile(r"/?\d*/?")
_OPTION = re.compile(r"[a-z_]{1,40}")


def read_address(url: str) -> AbstractConnection:
    """Parse a URL. Raises ValueError, whose text has nothing from the URL but names of options."""
    if _TOPOLOGY.match(url):
        raise ValueError(
            "it names a Sentinel or a Cluster, which are not served yet; name one server, by redis://, rediss:// or "
            "unix://"
        )
    if not url.startswith(SCHEMES):
        raise ValueError("it begins with none of redis://, rediss:// and unix://")
    try:
        described: AbstractConnection = ConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]
    except Exception:  # redis-py calls what the options name, so any exception is possible
        raise ValueError(_why(url)) from None  # the original may contain a part of the password
    if isinstance(described, UnixDomainSocketConnection):
        if not described.path:
            raise ValueError("it names no socket; write unix:///path/of/the/socket")
    elif not _DATABASE.fullmatch(urlsplit(url).path):
        raise ValueError("what follows host and port is not the number of a database")
    if int(described.db) < 0:
        raise ValueError("the number of a database is 0 or more")
    return described


def check_address(url: str, name: str) -> None:
    """Raise ValueError for an address that cannot be used; `name` says in the message where it was given."""
    try:
        read_address(url)
    except ValueError as error:
        raise ValueError(f"{name} cannot be used: {error}") from None


def without_arguments(said: str) -> str:
    """Drop the repeated arguments from Redis's reply to an unknown command: one may be a password."""
    return said.partition(", with args beginning with")[0]


def _why(url: str) -> str:
    query = url.partition("?")[2]
    names = [] if "@" in query else [name for name, _ in parse_qsl(query, keep_blank_values=True)]
    options = [name for name in names if _OPTION.fullmatch(name)]  # after an @ it may be of the password
    if options:
        return f"one of its options is not known, or has a value that it cannot have: {', '.join(options)}"
    return (
        "host and port cannot be made out; write redis://user:password@host:port/0, with special characters of user "
        "and password percent-encoded"
    )
