"""Knows whether a person in memory equals the one in Redis, which reports every change to a watched connection.

This is Redis's client-side caching in broadcast mode: when a replica writes a person's key, all others are told in
the turn in which the writer gets its reply. So a person in memory is valid until Redis says otherwise. Reading people
again after a set time cost a busy service a read of 23 µs for most answers. When the connection breaks, nothing in
memory is trusted any more: what was read under a watch has its number, and the next watch has another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

NOT_WATCHED = -1


class Watch:
    """number: the number of the current watch, 0 without one. It never equals `NOT_WATCHED`."""

    def __init__(self) -> None:
        self.number = 0
        self._n_begun = 0
        self._outdate: Callable[[str], object] = lambda user_id: None
        self._being_read: Counter[str] = Counter()
        self._overtaken: set[str] = set()

    def call_for_each_change(self, outdate: Callable[[str], object]) -> None:
        """outdate: called with each user id that was written to."""
        self._outdate = outdate

    def begin(self) -> None:
        """Begin a watch: a connection is told of every change from now on."""
        self._n_begun += 1
        self.number = self._n_begun

    def end(self) -> None:
        """End the watch: changes are no longer reported."""
        self.number = 0

    def changed(self, user_ids: Iterable[str]) -> None:
        """Note that these people were written to."""
        for user_id in user_ids:
            self._outdate(user_id)
            if user_id in self._being_read:
                self._overtaken.add(user_id)

    def changed_all(self) -> None:
        """Note that all of Redis was emptied: what was read so far belongs to a past watch."""
        self._overtaken.update(self._being_read)
        self.begin()

    def start_reading(self, user_id: str) -> None:
        """Note that a read of this person is under way until `finish_reading`."""
        self._being_read[user_id] += 1

    def finish_reading(self, user_id: str) -> bool:
        """End a read; return whether somebody wrote to the person meanwhile, so that it may be outdated."""
        is_overtaken = user_id in self._overtaken
        if self._being_read[user_id] == 1:
            del self._being_read[user_id]
            self._overtaken.discard(user_id)
        else:
            self._being_read[user_id] -= 1
        return is_overtaken
