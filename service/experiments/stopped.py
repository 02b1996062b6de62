"""Arms that are stopped, as Redis knows them: written by the monitor and by operators, followed by every service.

One hash; a field is `experiment/arm`, or `experiment/*` for all of its arms.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from models.experiments.assignment import ArmName
from models.experiments.declaration import Declaration
from service.histories.replies import ReplyUnexpected, hash_values
from service.histories.wire import Command, Reply

STOPPED_KEY = "stillroom:experiments:stopped"
EVERY_ARM = "*"


class Stop(msgspec.Struct, frozen=True):
    """salt: of the experiment when it was stopped; under another one it begins anew. arm: "*" for all of them.

    cause: the guardrail's name, or "operator". detail: the figure and its limit, or who and why.
    stopped_ms: Unix milliseconds.
    """

    experiment: str
    arm: str
    salt: str
    cause: str
    detail: str
    stopped_ms: int


def stop_command(stop: Stop) -> Command:
    """Stop an arm; one that is stopped already keeps its first cause."""
    return ("HSETNX", STOPPED_KEY, f"{stop.experiment}/{stop.arm}", msgspec.json.encode(stop))


def resume_command(experiment: str, arm: str) -> Command:
    """Let an arm go on; guardrails judge it by what it does from then on."""
    return ("HDEL", STOPPED_KEY, f"{experiment}/{arm}")


READ_STOPS: Command = ("HGETALL", STOPPED_KEY)


def read_stops(reply: Reply) -> list[Stop]:
    """Redis's answer to READ_STOPS, a mapping or a flat list. Raises ReplyUnexpected for anything else."""
    try:
        return [msgspec.json.decode(value, type=Stop) for value in hash_values(reply)]
    except msgspec.MsgspecError as error:
        raise ReplyUnexpected(f"a stop was expected: {error}") from error


def stopped_arms(stops: Iterable[Stop], declaration: Declaration) -> frozenset[ArmName]:
    """The arms of a declaration that get nobody any more."""
    names: set[ArmName] = set()
    for stop in stops:
        experiment = declaration.experiment(stop.experiment)
        if experiment is not None and stop.salt == experiment.seed:
            names |= {
                (stop.experiment, arm.name) for arm in experiment.arms if stop.arm in (arm.name, EVERY_ARM)
            }
    return frozenset(names)
