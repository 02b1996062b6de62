"""Stopped arms, as Redis knows them: the monitor and operators write them, and every service follows them.

They are a single hash; a field is `experiment/arm`, or `experiment/*` for all of its arms.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from models.experiments.assignment import ArmName
from models.experiments.declaration import Declaration
from service.redis.replies import ReplyUnexpected, hash_values, whole_number
from service.redis.wire import Command, Reply

STOPPED_KEY = "stillroom:experiments:stopped"
EVERY_ARM = "*"


class Stop(msgspec.Struct, frozen=True):
    """salt: the experiment's when it was stopped; under another one the experiment begins anew. arm: "*" for all.

    cause: the guardrail's name, or "operator". detail: the figure and its limit, or who stopped it and why.
    stopped_ms: Unix milliseconds.
    """

    experiment: str
    arm: str
    salt: str
    cause: str
    detail: str
    stopped_ms: int


def stop_command(stop: Stop) -> Command:
    """Stop an arm; an arm that is already stopped keeps its first cause."""
    return ("HSETNX", STOPPED_KEY, f"{stop.experiment}/{stop.arm}", msgspec.json.encode(stop))


RESUME = """
local prefix, arm = ARGV[1] .. '/', ARGV[2]
if arm ~= '*' then
    if redis.call('HEXISTS', KEYS[1], prefix .. '*') == 1 then return 0 end
    redis.call('HDEL', KEYS[1], prefix .. arm)
    return 1
end
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, #prefix) == prefix then redis.call('HDEL', KEYS[1], field) end
end
return 1
"""
"""KEYS: the hash of stops. ARGV: experiment, arm. Returns 0 if all arms are stopped together."""


def resume_command(experiment: str, arm: str) -> Command:
    """Let an arm go on, or all of them; guardrails then judge it by new answers only. The reply is for
    `read_resumed`.
    """
    return ("EVAL", RESUME, 1, STOPPED_KEY, experiment, arm)


def read_resumed(reply: Reply) -> bool:
    """Return False if all arms are stopped together, so that a single one cannot go on."""
    return whole_number(reply) == 1


def stopped_together(experiment: str) -> str:
    """Return the message for that case."""
    return (
        f"all arms of {experiment!r} are stopped together; let all go on with {EVERY_ARM!r}, and stop the arms that "
        "are not to"
    )


READ_STOPS: Command = ("HGETALL", STOPPED_KEY)


def read_stops(reply: Reply) -> list[Stop]:
    """Read the reply to READ_STOPS, a mapping or a flat list. Raises ReplyUnexpected for anything else."""
    try:
        return [msgspec.json.decode(value, type=Stop) for value in hash_values(reply)]
    except msgspec.MsgspecError as error:
        raise ReplyUnexpected(f"a stop was expected: {error}") from error


def stopped_arms(stops: Iterable[Stop], declaration: Declaration) -> frozenset[ArmName]:
    """Return the arms of a declaration that get no more requests."""
    names: set[ArmName] = set()
    for stop in stops:
        experiment = declaration.experiment(stop.experiment)
        if experiment is not None and stop.salt == experiment.seed:
            names |= {
                (stop.experiment, arm.name) for arm in experiment.arms if stop.arm in (arm.name, EVERY_ARM)
            }
    return frozenset(names)
