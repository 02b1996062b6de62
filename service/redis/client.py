"""redis-py for the commands and the monitor: they block while Redis answers, and wait longer than a request may."""

from __future__ import annotations

import redis

from service.redis.connection import check_topology

CONNECT_SECONDS = 5.0
"""Outlasts two lost packets, which Linux sends again after 1 and 3 seconds; an operator hears soon that nobody is at
the address.
"""

READ_SECONDS = 60.0
"""One trip of a command carries thousands of people or entries, and giving up on one ends the whole run."""


def open_client(url: str, *, read_seconds: float = READ_SECONDS) -> redis.Redis:
    """Return a client of the server at this URL. It connects with its first command, so a server may come later.

    read_seconds: how long one trip may take. Raises RedisTopologyUnsupported if a Cluster node or a Sentinel answers.
    """
    check_topology(url, CONNECT_SECONDS)
    return redis.Redis.from_url(url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=read_seconds)
