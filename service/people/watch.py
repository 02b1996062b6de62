"""Whether a person in memory is what Redis has: Redis tells of every change while a connection is being watched.

Redis's client-side caching, in broadcast: each write to a person's key, by whichever replica, is told to all others
in the turn in which the writer gets its reply. So a person in memory is good until Redis says otherwise, and is not
read again by the clock, which cost a read of 23 µs for most answers of a busy service. Once the connection breaks
nothing is believed any more: what was read under it has its number, and the next watch has another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

NOT_WATCHED = -1


class Watch:
    """number: of the watch under way, 0 while there is none. Never equal to `NOT_WATCHED`."""

    def __init__(self) -> None:
        self.number = 0
        self._n_begun = 0
        self._outdate: Callable[[str], object] = lambda user_id: None
        self._being_read: Counter[str] = Counter()
        self._overtaken: set[str] = set()

    def call_for_each_change(self, outdate: Callable[[str], object]) -> None:
        """outdate: called with each user id that somebody wrote to."""
        self._outdate = outdate

    def begin(self) -> None:
        """A connection is told of every change from now on."""
        self._n_begun += 1
        self.number = self._n_begun

    def end(self) -> None:
        """Changes are no longer told of."""
        self.number = 0

    def changed(self, user_ids: Iterable[str]) -> None:
        """Somebody wrote to these people."""
        for user_id in user_ids:
            self._outdate(user_id)
            if user_id in self._being_read:
                self._overtaken.add(user_id)

    def changed_all(self) -> None:
        """The whole of Redis was emptied: what was read so far belongs to a watch of the past."""
        self._overtaken.update(self._being_read)
        self.begin()

    def start_reading(self, user_id: str) -> None:
        """A read of this person is under way until `finish_reading`."""
        self._being_read[user_id] += 1

    def finish_reading(self, user_id: str) -> bool:
        """Whether what was read may be out of date already: somebody wrote while it was on its way."""
        is_overtaken = user_id in self._overtaken
        if self._being_read[user_id] == 1:
            del self._being_read[user_id]
            self._overtaken.discard(user_id)
        else:
            self._being_read[user_id] -= 1
        return is_overtaken
