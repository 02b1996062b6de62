"""The callback by which long work reports its progress."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""A function that is called with the share done in [0, 1] and a few words on the current state."""


def no_progress(share: float, words: str) -> None:
    """Report nothing."""
