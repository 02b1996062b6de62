"""Keeps which visits were a person's, as far as this process knows: they are forgotten with the person."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

MAX_VISITS = 1000
"""How many visits are kept of one person, the latest ones."""


class KnownVisits:
    """max_people: how many people are kept, those whose visits were named last."""

    def __init__(self, max_people: int) -> None:
        self._max_people = max_people
        self._session_ids: OrderedDict[str, dict[str, None]] = OrderedDict()

    def of(self, user_id: str) -> frozenset[str]:
        """Return the visits of a person."""
        return frozenset(self._session_ids.get(user_id, ()))

    def add(self, user_id: str, session_ids: Iterable[str]) -> None:
        """Add visits to a person's."""
        known = self._session_ids.setdefault(user_id, {})
        known.update(dict.fromkeys(session_ids))
        for oldest in list(known)[: max(0, len(known) - MAX_VISITS)]:
            del known[oldest]
        self._session_ids.move_to_end(user_id)
        if len(self._session_ids) > self._max_people:
            self._session_ids.popitem(last=False)

    def forget(self, user_id: str) -> None:
        """Drop what is known of a person's visits."""
        self._session_ids.pop(user_id, None)

    def clear(self) -> None:
        """Drop everybody's visits, because Redis has lost what it was told of them."""
        self._session_ids.clear()
