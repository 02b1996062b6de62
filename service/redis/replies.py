"""Checks replies of Redis. Each function returns the reply in its type, or raises ReplyUnexpected.

They are called inside `Connection.ask`, which closes a connection whose reply has another shape, so no other code
meets such a reply.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from service.redis.wire import Reply

MAX_TEXT_BYTES = 256
_VALUE_TYPES = frozenset((bytes, type(None)))
_ENTRY_ID = re.compile(r"\d{1,20}-\d{1,20}")


class ReplyUnexpected(ValueError):
    """Redis, or whatever answers in its place, sent a reply that its command cannot have."""


class StreamEntry(NamedTuple):
    """One entry of a stream. fields: names and values in turn."""

    entry_id: bytes
    fields: list[bytes]

    def field(self, name: bytes) -> bytes | None:
        """Return the value of a field; None if there is none."""
        return dict(zip(self.fields[::2], self.fields[1::2], strict=False)).get(name)


def nothing(reply: Reply) -> None:
    """Ignore a reply that carries no information."""


def whole_number(reply: Reply) -> int:
    """Return a whole number."""
    if type(reply) is not int:
        raise _unexpected("a whole number", reply)
    return reply


def value(reply: Reply) -> bytes | None:
    """Return bytes, or None for a key that does not exist."""
    if reply is not None and type(reply) is not bytes:
        raise _unexpected("a value", reply)
    return reply


def values(reply: Reply, n_expected: int) -> list[bytes | None]:
    """Return as many values as keys were asked for."""
    if type(reply) is not list or len(reply) != n_expected:
        raise _unexpected(f"{n_expected} values", reply)
    if not _VALUE_TYPES.issuperset(map(type, reply)):
        raise _unexpected("values alone", reply)
    return reply


def text(reply: Reply) -> str:
    """Return a short ASCII text."""
    if type(reply) is not bytes or len(reply) > MAX_TEXT_BYTES or not reply.isascii():
        raise _unexpected("a short text", reply)
    return reply.decode("ascii")


def entry_id(reply: Reply) -> str:
    """Return the id of a stream's entry, such as 1700000000000-0, or "" for none."""
    found = text(reply)
    if found and not _ENTRY_ID.fullmatch(found):
        raise ReplyUnexpected("the id of an entry expected, another text came")
    return found


def array(reply: Reply, n_expected: int | None = None) -> list[Reply]:
    """Return a list of n_expected replies; None allows any number."""
    if type(reply) is not list or n_expected not in (None, len(reply)):
        raise _unexpected("an array" if n_expected is None else f"an array of {n_expected}", reply)
    return reply


def hash_values(reply: Reply) -> list[bytes]:
    """Return the values of HGETALL's reply, which is a map or a flat list of names and values."""
    pairs = reply.values() if type(reply) is dict else array(reply)[1::2]
    found = list(pairs)
    if not all(type(each) is bytes for each in found):
        raise _unexpected("values of a hash", reply)
    return found


def entries(reply: Reply) -> list[StreamEntry]:
    """Return the entries of XRANGE's reply."""
    return [_entry(each) for each in array(reply)]


def _entry(reply: Reply) -> StreamEntry:
    found_id, fields = array(reply, 2)
    if not entry_id(found_id):
        raise _unexpected("the id of an entry", found_id)
    if not all(type(each) is bytes for each in array(fields)):
        raise _unexpected("fields of an entry", fields)
    return StreamEntry(found_id, fields)


def _unexpected(wanted: str, reply: Reply) -> ReplyUnexpected:
    """Name the reply's type and no more: its content may be anything of any size."""
    n_elements = f" of {len(reply):,}" if isinstance(reply, list | dict | bytes) else ""
    return ReplyUnexpected(f"{wanted} expected, {type(reply).__name__}{n_elements} came")
