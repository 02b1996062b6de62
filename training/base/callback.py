"""How long work says how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Called with the share done in [0, 1] and a few words on where it stands."""


def no_progress(share: float, words: str) -> None:
    """Report to nobody."""
