"""Spools on a disk of the test's own, and what becomes of them."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from service.log.records import SpooledBatch
from service.log.segments import ShippedNote
from service.log.spool import Spool, Spooled

NOTE = ShippedNote("redis-1:a", "5-0", 1_800_000_000.0)
EVERYTHING = 2**30


def opened_spool(
    root: Path, *, with_redis: bool = True, max_bytes: int = EVERYTHING, segment_bytes: int = 2**20
) -> Spool:
    """A spool whose worker lives."""
    spool = Spool(root, max_bytes=max_bytes, with_redis=with_redis, segment_bytes=segment_bytes)
    spool.open()
    return spool


def die(spool: Spool) -> None:
    """As a kill does: the lock is let go and nothing else is done."""
    spool._folder.close()


def numbers_of(found: list[Spooled] | Iterator[SpooledBatch]) -> list[str]:
    """The numbers of batches, as `spooled` was given them."""
    batches = [one.batch if isinstance(one, Spooled) else one for one in found]
    return [batch.batch_id.lstrip("0") for batch in batches]


def before(moment: int) -> Callable[[int], bool]:
    """Whether something was received earlier."""
    return lambda received_ms: received_ms < moment


@contextmanager
def files_of_at_most(n_bytes: int) -> Iterator[None]:
    """The kernel lets no file grow beyond it, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def merge(spool: Spool, found: list[Spooled], world: str = "a", *, are_all: bool = True) -> None:
    """These batches are in people's histories."""
    spool.mark_merged([each.place for each in found], world, are_all=are_all)
