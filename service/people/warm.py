"""`python -m service.people.warm` puts the people of the current bundle into Redis, with their user vectors.

Run it for a fresh Redis, or after a promotion that many people will notice at once. It leaves people who are already
there alone, so it can run beside live traffic, and it continues when it is run again after an interruption.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt
import redis
from redis.exceptions import OutOfMemoryError, RedisError

from models.bundles.bundle import read_bundle
from models.bundles.registry import Registry
from models.errors import StillroomError
from models.packed_histories import Histories
from service.bundles.serving import ServingBundle
from service.contract.errors import RedisTopologyUnsupported, RedisUnavailable, SettingsInvalid
from service.people.blobs import encode_person
from service.people.redis import KEY_PREFIX
from service.people.stored import StoredEvents, StoredPerson
from service.redis.address import check_address, without_arguments
from service.redis.client import open_client
from service.settings.commands import WarmSettings
from service.settings.reading import read_settings

CHUNK = 2048
"""How many people are handled at a time: one trip to see who is there, one to write; the tower runs by length."""

TOWER_BATCH = 64
FULL_SHARE = 0.95
"""The share of Redis's maxmemory at which warming stops: beyond it Redis would evict people who are asked for."""

REPORT_SECONDS = 1.0
GO_ON = "What was written stays in Redis; run it again to go on"
EXIT_STOPPED, EXIT_MISUSE, EXIT_INTERRUPTED = 1, 2, 130


class Warmed(NamedTuple):
    """The progress. n_seen: people looked at, out of n_people. n_written: those who were not in Redis. bytes_written:
    the size of their blobs.
    """

    n_seen: int
    n_people: int
    n_written: int
    bytes_written: int


def main() -> None:
    """Exit with 0 when everybody is there, 2 for what the operator must correct first, 1 if Redis stopped it."""
    arguments = _arguments().parse_args()
    try:
        settings = read_settings(WarmSettings)
        url = arguments.redis_url or settings.redis_url
        if not url:
            _stop("no Redis is named; set STILLROOM_REDIS_URL or give --redis-url", EXIT_MISUSE)
        check_address(url, "the address of Redis")
        client = open_client(url)
        serving = _current(settings.store)
    except (SettingsInvalid, RedisTopologyUnsupported, StillroomError, ValueError) as error:
        _stop(str(error), EXIT_MISUSE)
    say = Reporter()
    rows = people_to_warm(serving.people.histories, arguments.limit)
    try:
        for warmed in warm(serving, client, rows, ttl_seconds=settings.redis_ttl_seconds):
            say(warmed)
    except RedisUnavailable as error:
        _stop(f"{str(error).rstrip('.')}. {GO_ON}", EXIT_STOPPED)
    except KeyboardInterrupt:
        _stop(f"interrupted. {GO_ON}", EXIT_INTERRUPTED)


def people_to_warm(histories: Histories, limit: int | None) -> npt.NDArray[np.int64]:
    """Return the rows of people who have events; (n_people,). limit: at most so many, those with the latest events.

    While it chooses, this takes 20 bytes of memory per person of the bundle with a limit, and 9 without.
    """
    rows = np.flatnonzero(np.diff(histories.offsets) > 0)
    if limit is None or limit >= len(rows):
        return rows
    latest = histories.times[histories.offsets[rows + 1] - 1]
    return np.sort(rows[np.argpartition(-latest.astype(np.int64), limit)[:limit]])


def warm(
    serving: ServingBundle, client: redis.Redis, rows: npt.NDArray[np.int64], *, ttl_seconds: int
) -> Iterator[Warmed]:
    """Write people who are not there yet; yield after each chunk. Raises RedisUnavailable: Redis is away or full."""
    item_keys = serving.item_keys
    n_written = bytes_written = 0
    for start in range(0, max(1, len(rows)), CHUNK):
        try:
            _check_room(client)
            missing = _missing(serving, client, rows[start : start + CHUNK])
            blobs = _blobs(serving, item_keys, missing)
            pipeline = client.pipeline(transaction=False)
            for row, blob in zip(missing, blobs, strict=True):
                pipeline.set(_key(serving, row), blob, ex=ttl_seconds, nx=True)
            are_written = pipeline.execute()
        except OutOfMemoryError as error:
            raise RedisUnavailable(_full(client)) from error
        except RedisError as error:
            said = without_arguments(str(error))
            raise RedisUnavailable(f"Redis went away: {type(error).__name__}: {said}") from error
        written = [blob for blob, is_written in zip(blobs, are_written, strict=True) if is_written]
        n_written += len(written)
        bytes_written += sum(map(len, written))
        yield Warmed(min(start + CHUNK, len(rows)), len(rows), n_written, bytes_written)


class Reporter:
    """Prints a line a second, and the last one. clock: returns seconds and may start anywhere."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._started_at = clock()
        self._due_at = self._started_at

    def __call__(self, warmed: Warmed) -> None:
        """Print the progress, if a line is due."""
        now = self._clock()
        if now < self._due_at and warmed.n_seen < warmed.n_people:
            return
        self._due_at = now + REPORT_SECONDS
        a_second = warmed.n_seen / max(now - self._started_at, 1e-9)
        seconds_left = (warmed.n_people - warmed.n_seen) / max(a_second, 1e-9)
        print(
            f"{warmed.n_seen:,} of {warmed.n_people:,} people, {a_second:,.0f} a second; "
            f"{warmed.n_written:,} written, {warmed.bytes_written / 2**20:,.1f} MiB, "
            f"{warmed.n_seen - warmed.n_written:,} were there; {_duration(seconds_left)} left",
            file=sys.stderr,
        )


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service.people.warm", description=__doc__)
    parser.add_argument(
        "--redis-url", help="address of Redis (redis://, rediss:// or unix://); default: STILLROOM_REDIS_URL"
    )
    parser.add_argument(
        "--limit",
        type=_at_least_one,
        help="maximum number of people to warm; those with the latest events are taken",
    )
    return parser


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} people; at least 1 is needed")
    return int(text)


def _current(store: Path) -> ServingBundle:
    registry = Registry(store)
    version = registry.current()
    print(f"verifying bundle {version}", file=sys.stderr)
    return ServingBundle(read_bundle(registry.path(version)))


def _missing(serving: ServingBundle, client: redis.Redis, rows: npt.NDArray[np.int64]) -> list[int]:
    pipeline = client.pipeline(transaction=False)
    for row in rows.tolist():
        pipeline.exists(_key(serving, row))
    return [row for row, is_there in zip(rows.tolist(), pipeline.execute(), strict=True) if not is_there]


def _blobs(serving: ServingBundle, item_keys: npt.NDArray[np.uint64], rows: Sequence[int]) -> list[bytes]:
    """Encode what Redis is to hold of these people, in the order given."""
    histories = [serving.people.histories[row] for row in rows]
    encoded = [serving.student.encode(history) for history in histories]
    vectors = np.empty((len(rows), serving.student.n_factors), np.float16)
    by_length = sorted(range(len(rows)), key=lambda place: len(encoded[place].item_rows))
    for start in range(0, len(rows), TOWER_BATCH):
        places = by_length[start : start + TOWER_BATCH]
        vectors[places] = serving.student.vectors_of([encoded[place] for place in places])
    people = [
        StoredPerson(StoredEvents.from_history(history, item_keys), vector, serving.tag)
        for history, vector in zip(histories, vectors, strict=True)
    ]
    user_ids = map(serving.people.people.id_of, rows)
    return [encode_person(person, user_id) for person, user_id in zip(people, user_ids, strict=True)]


def _key(serving: ServingBundle, row: int) -> str:
    return KEY_PREFIX + serving.people.people.id_of(row)


def _check_room(client: redis.Redis) -> None:
    memory = client.info("memory")
    if memory["maxmemory"] and memory["used_memory"] > FULL_SHARE * memory["maxmemory"]:
        raise RedisUnavailable(_full(client))


def _full(client: redis.Redis) -> str:
    memory = client.info("memory")
    return (
        f"Redis is full: it holds {memory['used_memory']:,} bytes and its maxmemory is {memory['maxmemory']:,}, of "
        f"which warming uses {FULL_SHARE:.0%}; raise maxmemory, or warm fewer people with --limit"
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _stop(message: str, code: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
