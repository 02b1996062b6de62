"""Find unforeseen errors in the service's own log."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

MAX_LINES = 5
ADDRESS = re.compile("0x[0-9a-f]+")


def unforeseen(log: Path) -> list[str]:
    """Return lines with a traceback and lines that are not the service's, with their counts, most frequent first.

    The service writes one JSON object per line; anything else was written by something that broke.
    """
    counts: dict[str, int] = {}
    for line in _said(log):
        counts[line] = counts.get(line, 0) + 1
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    return [f"{n_times} x {line}" for line, n_times in ordered[:MAX_LINES]]


def _said(log: Path) -> Iterator[str]:
    if not log.exists():
        return
    for line in log.read_text(errors="replace").splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            said = {"message": line, "error": line} if line.strip() else {}
        if isinstance(said, dict) and "error" in said:
            message, *_ = str(said.get("message")).strip().splitlines() or [""]
            last = str(said["error"]).strip().splitlines()[-1:]
            yield ADDRESS.sub("0x…", f"{message[:80]} ({''.join(last)[:120]})")
