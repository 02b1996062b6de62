"""Words why an answer has fewer items than requested, naming only the causes that apply to the request."""

from __future__ import annotations

from collections.abc import Sequence


def shortfall_words(n_items: int, limit: int, among: str, causes: Sequence[str]) -> str:
    """Return one line: how many items of how many, out of which candidates, and which causes allow no more.

    causes: what removed candidates, in the words of the request; empty if the shop has no more items than these.
    """
    if not causes:
        return f"{n_items:,} of {limit:,}: there are only {among}"
    *others, last = causes
    named = f"{', '.join(others)} and {last}" if others else last
    return f"{n_items:,} of {limit:,}: of {among}, {named} {'leave' if others else 'leaves'} no more"
