"""Why an answer has fewer items than were asked for, in words that name only what applies to the request."""

from __future__ import annotations

from collections.abc import Sequence


def shortfall_words(n_items: int, limit: int, among: str, causes: Sequence[str]) -> str:
    """One line: how many of how many there are, among which items, and what leaves no more of them.

    causes: what took items away, in the words of the request; empty where the shop has no more items than these.
    """
    if not causes:
        return f"{n_items:,} of {limit:,}: there are only {among}"
    *others, last = causes
    named = f"{', '.join(others)} and {last}" if others else last
    return f"{n_items:,} of {limit:,}: of {among}, {named} {'leave' if others else 'leaves'} no more"
