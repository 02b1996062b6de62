"""The settings of a peer, which it reads from its environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PREFIX = "BENCH_PEER_"


@dataclass(frozen=True)
class PeerSetting:
    """The settings of a peer.

    store: a store of bundles with one promoted. people: a file of the user ids that will be requested, one per line.
    redis_url: a Redis that may be filled.
    """

    port: int
    store: Path
    people: Path
    redis_url: str

    def environment(self) -> dict[str, str]:
        """Return the settings as variables for a child process."""
        return {f"{PREFIX}{name.upper()}": str(value) for name, value in vars(self).items()}

    @staticmethod
    def read() -> PeerSetting:
        """Read the settings from this process's environment. Raises KeyError if a variable is missing."""
        words = {name: os.environ[f"{PREFIX}{name.upper()}"] for name in PeerSetting.__dataclass_fields__}
        return PeerSetting(
            int(words["port"]), Path(words["store"]), Path(words["people"]), words["redis_url"]
        )

    def read_people(self) -> list[str]:
        """Read the user ids."""
        return self.people.read_text().splitlines()
