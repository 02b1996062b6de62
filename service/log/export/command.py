"""Export the live log to Parquet. The command may be killed and run again at any time."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from signal import SIGTERM, signal
from threading import Event
from typing import NoReturn

import msgspec
import redis

from service.contract.errors import RedisTopologyUnsupported, SettingsInvalid
from service.log.export.errors import ExportFailed
from service.log.export.run import Export, Exported, opened, tell_services
from service.log.export.sources import LogStreams, SpoolFolder
from service.redis.address import check_address, without_arguments
from service.redis.client import open_client
from service.settings.commands import ExportSettings
from service.settings.reading import read_settings

EXIT_PART, EXIT_MISUSE = 1, 2


def main() -> None:
    """Exit with 0 when all was read, 1 if Redis was away or had lost something, 2 for what must be corrected.

    With --every it runs until SIGTERM, which lets a run under way end first.
    """
    arguments = _arguments().parse_args()
    stop = Event()
    signal(SIGTERM, lambda *_: stop.set())
    while True:
        trouble = _run(arguments)
        if arguments.every is None:
            break
        if trouble:
            print(f"export-events: {trouble}", file=sys.stderr, flush=True)
        if stop.wait(arguments.every):
            return
    if trouble:
        _stop(trouble, EXIT_PART)


def _run(arguments: argparse.Namespace) -> str:
    """Export once; return what went wrong, "" for nothing."""
    try:
        settings = read_settings(ExportSettings)
        url = arguments.redis_url if arguments.redis_url is not None else settings.redis_url
        client = None
        if url:
            check_address(url, "the address of Redis")
            client = open_client(url)
        spool = SpoolFolder(arguments.spool or settings.spool_folder)
        with opened(arguments.out) as export:
            trouble = _read(export, spool, client, arguments)
            export.finish(arguments.remember_days)
            _tell(export.done, arguments.out)
    except (SettingsInvalid, RedisTopologyUnsupported, ExportFailed, ValueError) as error:
        _stop(str(error), EXIT_MISUSE)
    return trouble


def _read(
    export: Export, spool: SpoolFolder, client: redis.Redis | None, arguments: argparse.Namespace
) -> str:
    """Read all there is; return what went wrong, "" for nothing."""
    export.read_spool(spool)
    if client is None:
        return _lost(export.done)
    try:
        export.read_streams(LogStreams(client))
        tell_services(client, export, arguments.keep_hours)
    except redis.RedisError as error:
        said = f"{type(error).__name__}: {without_arguments(str(error))}"
        return f"Redis is away ({said}); only this machine's spool was read. Run it again"
    return _lost(export.done)


def _lost(done: Exported) -> str:
    """Return what could not be exported and will not be, "" for nothing."""
    if done.trimmed:
        return (
            f"{done.trimmed:,} events had left Redis's stream before they were read; export more often, or "
            "raise STILLROOM_EVENTS_STREAM_ENTRIES. What a service still has on disk comes from there"
        )
    if done.damaged_bytes:
        return (
            f"{done.damaged_bytes:,} bytes of the spool are damaged, and the events in them are lost unless "
            "Redis had them; look at the disk"
        )
    if done.unreadable:
        return (
            f"{done.unreadable:,} entries of Redis's streams are no records of this release and were passed "
            "over; export with the release that wrote them before it is replaced"
        )
    return ""


def _tell(done: Exported, folder: Path) -> None:
    (folder / "export.json.tmp").write_bytes(msgspec.json.format(msgspec.json.encode(done), indent=2))
    (folder / "export.json.tmp").rename(folder / "export.json")
    print(
        f"export-events: {done.events:,} events and {done.exposures:,} exposures in {done.parts} new parts under "
        f"{folder}; {done.already_there:,} were there, {done.of_erased:,} are of erased people, {done.erased_rows:,} "
        f"older rows of theirs are gone, {done.trimmed:,} were trimmed before they were read",
        flush=True,
    )
    if done.is_stream_new:
        print(
            "export-events: Redis lost its log since the last export; services ship what they still have again"
        )


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service.log.export", description=__doc__)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the export; use the same one every time"
    )
    parser.add_argument(
        "--redis-url", help="address of Redis; default: STILLROOM_REDIS_URL; empty reads the spool only"
    )
    parser.add_argument("--spool", type=Path, help="folder of the spool; default: STILLROOM_SPOOL")
    parser.add_argument(
        "--keep-hours",
        type=_within(0, 24 * 365),
        default=24.0,
        help="hours that exported events stay in Redis for live readers; 0 to 8760",
    )
    parser.add_argument(
        "--remember-days",
        type=_within(1, 3650, int),
        default=7,
        help="days for which ids of exported events are kept, to recognise one that comes again; 1 to 3650",
    )
    parser.add_argument(
        "--every",
        type=_within(1, 86_400),
        metavar="SECONDS",
        help="seconds between exports, 1 to 86400, until SIGTERM; default: export once",
    )
    return parser


def _within(low: int, high: int, kind: type[int] | type[float] = float) -> Callable[[str], float]:
    """Make a function that reads a number within bounds."""

    def read(text: str) -> float:
        number = kind(text)
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return number

    read.__name__ = "number"  # argparse calls it so in errors
    return read


def _stop(message: str, code: int) -> NoReturn:
    print(f"export-events: {message}", file=sys.stderr)
    sys.exit(code)
