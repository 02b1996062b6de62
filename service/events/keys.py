"""Idempotency keys that this process knows: which batch each key stands for and when it was received."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import NamedTuple


class KnownBatch(NamedTuple):
    """batch_id: the hash of key and body. received_ms: when the batch was accepted."""

    batch_id: bytes
    received_ms: int


class BatchKeys:
    """max_keys: how many of the latest keys are kept, at about 250 bytes each."""

    def __init__(self, max_keys: int) -> None:
        self._max_keys = max_keys
        self._known: OrderedDict[bytes, KnownBatch] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def add(self, key: str, batch_id: str, received_ms: int) -> None:
        """Note that a batch was accepted. The first batch under a key counts."""
        self._known.setdefault(_short(key), KnownBatch(bytes.fromhex(batch_id), received_ms))
        if len(self._known) > self._max_keys:
            self._known.popitem(last=False)

    def find(self, key: str) -> tuple[str, int] | None:
        """Return which batch was accepted under a key, and when; None if there is none."""
        known = self._known.get(_short(key))
        return None if known is None else (known.batch_id.hex(), known.received_ms)


def _short(key: str) -> bytes:
    return blake2b(key.encode(), digest_size=16).digest()
