"""Which visits were a person's, as far as this process knows: they are forgotten with the person."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

MAX_VISITS = 1000
"""Of one person, the latest ones."""


class KnownVisits:
    """max_people: those whose visits were named last are known."""

    def __init__(self, max_people: int) -> None:
        self._max_people = max_people
        self._session_ids: OrderedDict[str, dict[str, None]] = OrderedDict()

    def of(self, user_id: str) -> frozenset[str]:
        """The visits of a person."""
        return frozenset(self._session_ids.get(user_id, ()))

    def add(self, user_id: str, session_ids: Iterable[str]) -> None:
        """These were a person's too."""
        known = self._session_ids.setdefault(user_id, {})
        known.update(dict.fromkeys(session_ids))
        for oldest in list(known)[: max(0, len(known) - MAX_VISITS)]:
            del known[oldest]
        self._session_ids.move_to_end(user_id)
        if len(self._session_ids) > self._max_people:
            self._session_ids.popitem(last=False)

    def forget(self, user_id: str) -> None:
        """Nothing is known of a person's visits."""
        self._session_ids.pop(user_id, None)

    def clear(self) -> None:
        """Nothing is known of anybody's: Redis, which was told of them, has lost what it had."""
        self._session_ids.clear()
