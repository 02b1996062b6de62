"""`python -m service.experiments` prints the report of an experiment, and stops or resumes its arms.

Settings are the service's: STILLROOM_REDIS_URL, STILLROOM_EXPERIMENTS, STILLROOM_STORE.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import time
from typing import Any, NoReturn

import redis

from models.bundles.registry import Registry
from models.errors import ExperimentsInvalid
from models.experiments.declaration import Declaration
from models.experiments.known import known_variants
from models.experiments.reading import read_declaration
from service.contract.errors import RedisTopologyUnsupported, SettingsInvalid
from service.experiments.report import read_command, read_report, report_lines
from service.experiments.stopped import (
    EVERY_ARM,
    READ_STOPS,
    Stop,
    read_resumed,
    read_stops,
    resume_command,
    stop_command,
    stopped_together,
)
from service.redis.client import open_client
from service.settings.commands import ExperimentsCommandSettings
from service.settings.reading import read_settings

EXIT_FAILED, EXIT_MISUSE = 1, 2


def main(words: Sequence[str] | None = None) -> None:
    """Run one command; an error is one line and an exit code."""
    arguments = _parser().parse_args(words)
    try:
        settings = read_settings(ExperimentsCommandSettings)
        file = arguments.file or (Path(settings.experiments) if settings.experiments else None)
        if file is None:
            _refuse("no declaration; set STILLROOM_EXPERIMENTS or give --file", EXIT_MISUSE)
        declaration = read_declaration(file, known_variants(Registry(settings.store)))
        for line in _answer(arguments, declaration, settings):
            print(line)
    except (SettingsInvalid, ExperimentsInvalid) as error:
        _refuse(str(error), EXIT_MISUSE)
    except RedisTopologyUnsupported as error:
        _refuse(f"STILLROOM_REDIS_URL cannot be used: {error}", EXIT_MISUSE)
    except (redis.RedisError, OSError) as error:
        _refuse(f"Redis at STILLROOM_REDIS_URL: {error}", EXIT_FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service.experiments", description=__doc__)
    parser.add_argument(
        "name", nargs="?", help="print this experiment's report; without it, list what is declared"
    )
    parser.add_argument(
        "--file", type=Path, help="declaration of experiments; default: STILLROOM_EXPERIMENTS"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    change = parser.add_mutually_exclusive_group()
    change.add_argument("--stop", metavar="ARM", help='stop an arm, or "*" for the whole experiment')
    change.add_argument("--resume", metavar="ARM", help='resume a stopped arm, or "*" for all of them')
    parser.add_argument("--why", default="by hand", help="reason, stored with --stop")
    return parser


def _answer(
    arguments: argparse.Namespace, declaration: Declaration, settings: ExperimentsCommandSettings
) -> Iterator[str]:
    if arguments.name is None:
        yield from _listed(declaration)
        return
    experiment = declaration.experiment(arguments.name)
    if experiment is None:
        names = ", ".join(each.name for each in declaration.experiments) or "none"
        _refuse(f"no experiment {arguments.name!r} is declared, there is: {names}", EXIT_MISUSE)
    arm = arguments.stop or arguments.resume
    known = [each.name for each in experiment.arms] + [EVERY_ARM]
    if arm is not None and arm not in known:
        _refuse(f"{arguments.name!r} has no arm {arm!r}, it has: {', '.join(known)}", EXIT_MISUSE)
    if not settings.redis_url:
        _refuse("STILLROOM_REDIS_URL is empty; the monitor's reports and stops are in Redis", EXIT_MISUSE)
    with open_client(settings.redis_url) as client:
        if arguments.stop:
            now_ms = int(1000 * time())
            stop = Stop(arguments.name, arm, experiment.seed, "operator", arguments.why, now_ms)
            client.execute_command(*stop_command(stop))
            yield f"{arguments.name}/{arm} is stopped; services follow within STILLROOM_BUNDLE_POLL_SECONDS"
        elif arguments.resume:
            if not read_resumed(client.execute_command(*resume_command(arguments.name, arm))):
                _refuse(stopped_together(arguments.name), EXIT_MISUSE)
            yield f"{arguments.name}/{arm} goes on"
        else:
            yield from _reported(arguments, client)


def _reported(arguments: argparse.Namespace, client: Any) -> Iterator[str]:
    raw: bytes | None = client.execute_command(*read_command(arguments.name))
    report = read_report(raw)
    if report is None or raw is None:
        _refuse(f"nothing is known of {arguments.name!r} yet; is the monitor running?", EXIT_FAILED)
    if arguments.json:
        yield raw.decode()
        return
    yield from report_lines(report)
    for stop in read_stops(client.execute_command(*READ_STOPS)):
        if stop.experiment == arguments.name and stop.cause == "operator":
            yield f"{stop.arm}: stopped by an operator, {stop.detail}"


def _listed(declaration: Declaration) -> Iterator[str]:
    for experiment in declaration.experiments:
        arms = ", ".join(
            f"{arm.name} {arm.weight:.0%} {arm.version}/{arm.variant}" for arm in experiment.arms
        )
        low, high = experiment.share
        yield f"{experiment.name}: {low:.0%} to {high:.0%} of {experiment.layer or 'a layer of its own'}; {arms}"
    if not declaration.experiments:
        yield "no experiment is declared"


def _refuse(message: str, code: int) -> NoReturn:
    for line in message.splitlines():
        print(f"error: {line}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
