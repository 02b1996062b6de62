"""Run one hostile client, `python -m loadtest.faults.hostile KIND PORT SECONDS SEED IDS`; it prints what it saw.

IDS: a JSON file with people and items.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random

import msgspec
import uvloop

from loadtest.faults.hostile import exchanges, heads, overload
from loadtest.faults.hostile.attack import Attack

DESCRIPTORS = 4096
KINDS: dict[str, Callable[[Attack], Coroutine[None, None, None]]] = {
    "endless_head": heads.endless_head,
    "giant_header": heads.giant_header,
    "slow_heads": heads.slow_heads,
    "slow_bodies": heads.slow_bodies,
    "silent": heads.silent,
    "never_reading": exchanges.never_reading,
    "byte_by_byte": exchanges.byte_by_byte,
    "half_closed": exchanges.half_closed,
    "h2c": exchanges.h2c,
    "garbage_behind": exchanges.garbage_behind,
    "bad_line": exchanges.bad_line,
    "tenfold": overload.tenfold,
    "mail_beside": overload.mail_beside,
}


def main(kind: str, port: str, seconds: str, seed: str, ids: str) -> None:
    """Attack, and write what was seen to stdout."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, DESCRIPTORS)), hard))
    people, items = msgspec.json.decode(Path(ids).read_bytes(), type=tuple[list[str], list[str]])
    attack = Attack(kind, int(port), float(seconds), Random(int(seed)), people, items)
    uvloop.run(KINDS[kind](attack))
    sys.stdout.buffer.write(msgspec.json.encode(attack.seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
