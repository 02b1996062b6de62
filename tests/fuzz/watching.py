"""What is true of every kind: memory comes to rest, nothing unhandled is in a log, and 5xx is never the answer."""

from __future__ import annotations

from collections import Counter

import msgspec

MEBIBYTE = 2**20
WARM_SHARE = 0.3
"""Of the cases, after which caches are full and growth is counted from."""

GROWTH_MIB = 24.0
"""What memory may still move by; an allocator gives back in arenas of a mebibyte."""

DOCUMENTED_503 = frozenset({"admin-closed", "not-ready", "spool-unavailable", "audit-unavailable"})
"""Problems that the document allows; a healthy service has none of them but the first."""


class KindReport(msgspec.Struct):
    """One kind. outcomes: by status, or by what the connection code said. growth_mib: between the warm moment and the
    end. unhandled: lines of the log.
    """

    kind: str
    cases: int = 0
    outcomes: dict[str, int] = {}
    findings: int = 0
    growth_mib: float = 0.0
    unhandled: list[str] = []
    seconds: float = 0.0

    def problems(self) -> list[str]:
        """Why it is not as it must be."""
        found = []
        if self.findings:
            found.append(f"{self.findings} kinds of findings")
        if self.growth_mib > GROWTH_MIB:
            found.append(f"memory grew by {self.growth_mib:.0f} MiB, {GROWTH_MIB:g} MiB are allowed")
        found += [f"unhandled: {line}" for line in self.unhandled]
        return found


class GrowthWatch:
    """n_cases: in all. `look` is asked again and again with how many are done, and a measure of memory in bytes."""

    def __init__(self, n_cases: int) -> None:
        self._n_warm = int(WARM_SHARE * n_cases)
        self._warm_bytes: int | None = None
        self._last_bytes = 0

    def look(self, n_done: int, n_bytes: int) -> None:
        """After so many cases."""
        self._last_bytes = n_bytes
        if n_done >= self._n_warm:
            self._warm_bytes = n_bytes if self._warm_bytes is None else max(self._warm_bytes, 0)

    @property
    def growth_mib(self) -> float:
        """Since the warm moment."""
        return 0.0 if self._warm_bytes is None else round((self._last_bytes - self._warm_bytes) / MEBIBYTE, 1)


def server_error(status: int, body: bytes) -> str | None:
    """What is wrong with a status, if anything is."""
    if status < 500:
        return None
    try:
        problem = msgspec.json.decode(body)["type"].rpartition(":")[2]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        problem = "no problem document"
    return None if status == 503 and problem in DOCUMENTED_503 else f"{status} {problem}"


def ordered(counts: Counter[str]) -> dict[str, int]:
    """By name."""
    return dict(sorted(counts.items()))
