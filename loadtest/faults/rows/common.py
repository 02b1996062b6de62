"""Values that rows of several groups share."""

from __future__ import annotations

from loadtest.faults.setting import Setting

NOT_KEPT = frozenset({"503"})
"""Statuses with which POST /events refuses, giving its reason, if it can keep nothing (docs/events.md)."""

BROKEN_OFF = frozenset({"connection lost", "connection refused"})

COLD = {"STILLROOM_CACHE_BYTES": "0"}
"""The cache is off, so that every question goes to Redis."""

SHIPPED = Setting(redis_patience_ms=20)
"""The service waits for Redis as long as it does as shipped."""

LINE = Setting(has_line=True, settings=COLD, redis_patience_ms=20)
