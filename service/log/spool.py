"""The write-ahead spool: events are on this disk before anybody is told that they were accepted.

Each worker has a folder (`folders`); whoever finds the folder of a dead one takes its segments over. Everything here
blocks, and runs on one thread of its worker (`service.events.thread`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from service.contract.errors import SpoolUnavailable
from service.log.folders import WorkerFolder
from service.log.frames import frame
from service.log.records import SpooledBatch
from service.log.segments import Place, Segment, ShippedNote
from service.log.writer import SegmentWriter

SEGMENT_BYTES = 16 * 2**20


class Spooled(NamedTuple):
    """A batch that has yet to be handed on, and its place."""

    batch: SpooledBatch
    place: Place


class Spool:
    """root: the folder that all workers of this machine share. max_bytes: the bound on this worker's segments.
    with_redis: whether shipped segments may be removed; without Redis only exported ones may.

    n_torn_bytes: bytes of torn tails cut off segments of dead workers, and of damage inside.
    """

    def __init__(
        self, root: Path, *, max_bytes: int, with_redis: bool, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self._folder = WorkerFolder(root)
        self._max_bytes = max_bytes
        self._with_redis = with_redis
        self._segments: list[Segment] = []
        self._writer = SegmentWriter(
            self._folder, self._segments, with_redis=with_redis, segment_bytes=segment_bytes
        )
        self.n_torn_bytes = 0

    @property
    def n_lost_bytes(self) -> int:
        """The number of bytes of events that were nowhere else when their files were deleted under the service."""
        return self._writer.n_lost_bytes

    @property
    def n_bytes(self) -> int:
        """The size of all segments."""
        return sum(segment.end for segment in self._segments)

    @property
    def n_unshipped_bytes(self) -> int:
        """The number of bytes that Redis's log does not have."""
        return sum(segment.end - segment.shipped_to for segment in self._segments)

    def open(self) -> None:
        """Make this worker's folder, if it has none. Raises SpoolUnavailable."""
        self._writer.open()

    def adopt(self) -> int:
        """Take over segments of dead workers; return how many. What cannot be read stays and is logged."""
        adopted = self._folder.adopt()
        self._segments[:0] = [each.segment for each in adopted]
        self.n_torn_bytes += sum(each.n_torn_bytes for each in adopted)
        return len(adopted)

    def append(self, payloads: Sequence[bytes]) -> list[Place]:
        """Write records durably against crash and power failure, all or none; return their places.

        Raises SpoolUnavailable if the disk is full or fails, or the spool is at its bound.
        """
        frames = list(map(frame, payloads))
        data = b"".join(frames)
        self._make_room(len(data))
        segment = self._writer.write(data)
        places = []
        for each in frames:
            start = segment.end
            segment.end += len(each)
            places.append(Place(segment, start, segment.end, segment.n_rewrites))
        return places

    def look_after(self) -> None:
        """Find out whether somebody deleted or replaced the folder or files in it, and if so begin anew. Raises
        SpoolUnavailable.
        """
        self._writer.look_after()

    def batches(self) -> Iterator[SpooledBatch]:
        """Yield all batches, to learn their keys again."""
        for segment in self._segments:
            for batch, _ in segment.read(0):
                yield batch

    def unshipped(self, n_bytes: int) -> list[Spooled]:
        """Return the next batches for Redis's log, of one segment, about n_bytes of them; none if it has all."""
        for segment in self._segments:
            if not segment.is_shipped:
                if found := _spooled(segment, segment.shipped_to, n_bytes):
                    return found
                segment.shipped_to = segment.end  # none of it can be read
        return []

    def unmerged(self, n_bytes: int) -> list[Spooled]:
        """Return the next batches for histories, like `unshipped`; none if they have all."""
        for segment in self._segments:
            if not segment.is_merged:
                if found := _spooled(segment, segment.merged_to, n_bytes):
                    return found
                segment.merged_to = segment.end  # none of it can be read
        return []

    def oldest_ms(self) -> int | None:
        """Return when the oldest batch was received that Redis does not have or, without Redis, no export has; None
        if there is none.
        """
        for segment in self._segments:
            is_elsewhere = segment.is_shipped if self._with_redis else segment.is_exported
            found = [] if is_elsewhere else segment.read(segment.shipped_to if self._with_redis else 0, 1)
            if found:
                return found[0].batch.received_ms
        return None

    def mark_shipped(self, last: Spooled, note: ShippedNote) -> None:
        """Note that Redis's log has everything up to this batch of its segment."""
        segment = last.place.segment
        if not last.place.is_valid:
            return
        segment.shipped_to = last.place.end
        if note.last_id or segment.note is None:
            segment.note = note
        segment.write_notes()

    def mark_merged(self, places: Sequence[Place], world: str, *, are_all: bool = True) -> None:
        """Note that histories in this Redis have these batches. are_all: False if somebody was set aside."""
        for place in places:
            if place.is_valid:
                place.segment.is_set_aside |= not are_all
                place.segment.merged(place.start, place.end, world)

    def unship_all_but(self, incarnation: str) -> int:
        """Mark segments shipped to another Redis as unshipped, as they may be lost; return how many there are."""
        others = [
            segment
            for segment in self._segments
            if segment.note is not None and segment.note.incarnation != incarnation
        ]
        for segment in others:
            segment.unship()
        return len(others)

    def unmerge_all_but(self, world: str) -> int:
        """Mark segments merged in another Redis as unmerged, as they may be lost; return how many there are."""
        others = [segment for segment in self._segments if segment.merged_in not in ("", world)]
        for segment in others:
            segment.unmerge()
        return len(others)

    def release(self, exported_to: str, shipped_before: float) -> None:
        """Remove segments that are exported and merged, or that Redis has had for long. exported_to: the last entry
        of the events' stream that every export has, "" for none. shipped_before: Unix seconds.
        """
        self._writer.seal_idle()
        for segment in list(self._segments):
            if segment.is_sealed and self._may_go(segment, exported_to, shipped_before):
                self._remove(segment)

    def session_ids(self, user_id: str) -> frozenset[str]:
        """Return the visits that this person's events name."""
        found: set[str] = set()
        for segment in self._segments:
            found |= segment.session_ids(user_id)
        return frozenset(found)

    def erase(self, key: str, is_covered: Callable[[int], bool]) -> int:
        """Remove a person's or visit's events from all segments, as `Segment.erase`; return how many there were."""
        self._writer.seal()
        return sum(segment.erase(key, is_covered) for segment in self._segments)

    def close(self) -> None:
        """Release the folder to the next worker."""
        self._writer.close()

    def _make_room(self, n_bytes: int) -> None:
        """Remove the oldest segments that Redis has, if needed. Raises SpoolUnavailable if that is not enough."""
        if self.n_bytes + n_bytes > self._max_bytes:
            self._writer.seal()
        for segment in list(self._segments):
            if self.n_bytes + n_bytes <= self._max_bytes:
                return
            if segment.is_sealed and (segment.is_exported or (self._with_redis and segment.is_shipped)):
                self._remove(segment)
        if self.n_bytes + n_bytes > self._max_bytes:
            raise SpoolUnavailable(
                f"the spool {self._folder.path} holds {self.n_bytes:,} bytes and {n_bytes:,} more would pass its "
                f"bound of {self._max_bytes:,}; bring Redis back, run `make export-events`, or raise "
                "STILLROOM_SPOOL_BYTES"
            )

    def _may_go(self, segment: Segment, exported_to: str, shipped_before: float) -> bool:
        if not self._with_redis:
            return segment.is_exported
        if not segment.is_shipped or segment.note is None:
            return False
        if segment.note.at < shipped_before:
            return True
        return segment.is_merged and (
            segment.is_exported
            or (
                bool(segment.note.last_id)
                and stream_position(segment.note.last_id) <= stream_position(exported_to)
            )
        )

    def _remove(self, segment: Segment) -> None:
        segment.remove()
        self._segments.remove(segment)


def stream_position(entry_id: str) -> tuple[int, int]:
    """Convert a stream entry's id to a form that sorts; (0, 0) for ""."""
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds or 0), int(number or 0)


def _spooled(segment: Segment, start: int, n_bytes: int) -> list[Spooled]:
    found = []
    for batch, end in segment.read(start, n_bytes):
        found.append(Spooled(batch, Place(segment, start, end, segment.n_rewrites)))
        start = end
    return found
