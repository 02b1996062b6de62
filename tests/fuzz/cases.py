"""A case as it is written down, so that it can be tried again by itself."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import msgspec

Kind = Literal["document", "raw", "replies", "behind"]


class Case(msgspec.Struct, frozen=True):
    """One input. pieces: bytes in the order in which they are sent, a write each; of "document" one request as JSON,
    of "replies" and "behind" what Redis says. n_valid_bytes: at the beginning, a request that has to be answered
    whatever comes behind it.
    """

    kind: Kind
    pieces: tuple[bytes, ...]
    n_valid_bytes: int = 0

    @property
    def data(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces)


class Finding(msgspec.Struct):
    """What went wrong, with the smallest input that still does. n_times: how often, in all sizes."""

    kind: Kind
    words: str
    smallest: Case
    n_times: int = 1
    file: str = ""


class Findings:
    """Of one run: each way to go wrong once. folder: where the cases are written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._by_words: dict[tuple[Kind, str], Finding] = {}

    def add(self, case: Case, words: str) -> bool:
        """Note it; whether it is the first of its kind, or smaller than the smallest so far."""
        found = self._by_words.get((case.kind, words))
        if found is None:
            self._by_words[case.kind, words] = found = Finding(case.kind, words, case)
        else:
            found.n_times += 1
            if len(case.data) >= len(found.smallest.data):
                return False
            found.smallest = case
        self._write(found)
        return True

    def all(self) -> list[Finding]:
        """The most frequent first."""
        return sorted(self._by_words.values(), key=lambda finding: -finding.n_times)

    def of(self, kind: Kind) -> list[Finding]:
        """Of one kind."""
        return [finding for finding in self.all() if finding.kind == kind]

    def _write(self, finding: Finding) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(finding.words.encode()).hexdigest()[:8]
        file = self._folder / f"{finding.kind}-{name}.json"
        file.write_bytes(msgspec.json.format(msgspec.json.encode(finding), indent=1))
        finding.file = str(file)


def read_case(file: Path) -> Finding:
    """What was written. Raises msgspec.ValidationError for anything else."""
    return msgspec.json.decode(file.read_bytes(), type=Finding)
