"""What rows of several groups say."""

from __future__ import annotations

from loadtest.faults.setting import Setting

NOT_KEPT = frozenset({"503"})
"""What POST /events says, with its reason, where it can keep nothing (docs/events.md)."""

BROKEN_OFF = frozenset({"connection lost", "connection refused"})

COLD = {"STILLROOM_CACHE_BYTES": "0"}
"""Nobody is held in memory, so that every question goes to Redis."""

SHIPPED = Setting(redis_patience_ms=20)
"""Redis is given what it is given as shipped."""

LINE = Setting(has_line=True, settings=COLD, redis_patience_ms=20)
