"""Parse replies in full: the sampled ones of a round, and those by which peers are compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

from loadtest.bench.errors import BenchFailed
from loadtest.servers import HOST

STUDENT_MARK = b'"tier":"student"'
"""Bytes in each answer of the service that came from its student; a simpler tier costs less and must not count."""


@dataclass
class Looked:
    """Counts of sampled replies. n_short: with fewer items than requested. n_degraded: that say they are degraded."""

    n_replies: int = 0
    n_short: int = 0
    n_degraded: int = 0


def look_at(bodies: Sequence[bytes], limit: int) -> Looked:
    """Parse replies of one recommendation or of a batch. Raises BenchFailed for a body that is neither."""
    looked = Looked()
    for body in bodies:
        for reply in _replies(body):
            looked.n_replies += 1
            looked.n_short += len(_items(reply)) < limit
            looked.n_degraded += reply.get("degraded") is not None
    return looked


def ask(port: int, user_id: str, limit: int) -> list[str]:
    """Return the item ids of one plain answer. Raises BenchFailed for anything but a 200 with items."""
    [parsed] = _replies(ask_for_body(port, user_id, limit))
    return [str(item["item_id"]) for item in _items(parsed)]


def ask_for_body(port: int, user_id: str, limit: int) -> bytes:
    """Return the body of one plain answer. Raises BenchFailed for anything but a 200."""
    question = json.dumps({"user_id": user_id, "limit": limit})
    connection = HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request("POST", "/recommend", question, {"content-type": "application/json"})
        reply = connection.getresponse()
        body = reply.read()
    finally:
        connection.close()
    if reply.status != 200:
        raise BenchFailed(f"status {reply.status} for {user_id!r}: {body[:300].decode(errors='replace')}")
    return body


def overlap(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """Return the share of our items that are theirs too; 1 for two empty answers."""
    return len(set(ours) & set(theirs)) / len(set(ours)) if ours else float(not theirs)


def _replies(body: bytes) -> list[dict[str, Any]]:
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise BenchFailed(f"a reply is not JSON: {body[:200]!r}") from error
    if not isinstance(parsed, dict):
        raise BenchFailed(f"a reply is no object: {body[:200]!r}")
    replies = parsed.get("replies", [parsed])
    return list(replies)


def _items(reply: dict[str, Any]) -> list[dict[str, Any]]:
    if not isinstance(reply.get("items"), list):
        raise BenchFailed(f"a reply has no items: {str(reply)[:200]}")
    return list(reply["items"])
