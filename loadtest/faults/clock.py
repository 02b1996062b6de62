"""Move the clock of a process while it runs, by libfaketime, which reads an offset from a file.

Only the time of day moves. Timeouts use the monotonic clock, which no operator can set.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from loadtest.errors import ServerMissing

LIBRARY = "libfaketimeMT.so.1"
DAY_SECONDS = 86_400


class MovedClock:
    """A process's clock that can be moved. file: holds the offset."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.move(0)

    def environment(self) -> Mapping[str, str]:
        """Return the environment variables for the process. Raises ServerMissing if the library is not installed."""
        return {
            "LD_PRELOAD": _library(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",  # seconds until a move is seen; to read the file each time costs too much
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Its fix of waits on the monotonic clock slows a service from 1,600 answers a second to 80.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }

    def move(self, days: float) -> None:
        """Move the clock this many days from the machine's own time."""
        moved = self._file.with_suffix(".new")
        moved.write_text(f"{days * DAY_SECONDS:+.0f}")
        moved.replace(self._file)


def _library() -> str:
    for folder in ("/usr/lib", "/usr/local/lib"):
        found = sorted(Path(folder).glob(f"**/faketime/{LIBRARY}"))
        if found:
            return str(found[0])
    raise ServerMissing(f"no {LIBRARY}: apt-get install libfaketime, or leave these rows out")
