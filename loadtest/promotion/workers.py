"""Open as many connections to each worker as to the other, so that each of them is seen to swap.

Workers share one listening socket, and an idle one takes the next connection, so without load one worker has them
all. Therefore the worker that has enough connections is kept busy while the next one is opened.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

from loadtest.bench.connection import Connection, Listener, connect
from loadtest.errors import ServerFailed
from loadtest.processes import GONE, PROC
from loadtest.servers import HOST

MAX_TRIES = 2000
ESTABLISHED = "01"


class _Router:
    """Passes on to the listener only the replies of connections that are kept."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.kept: set[Connection] = set()
        self.resting: list[Connection] = []

    def replied(self, connection: Connection, is_ok: bool, body: bytes) -> None:
        """Pass on a reply, or take note that a surplus connection is idle."""
        if connection in self.kept:
            self._listener.replied(connection, is_ok, body)
        else:
            self.resting.append(connection)

    def lost(self, connection: Connection) -> None:
        """Pass on that a kept connection was lost."""
        if connection in self.kept:
            self._listener.lost(connection)


async def connect_to_each(
    port: int, processes: Sequence[int], n_each: int, listener: Listener, heavy: bytes
) -> list[Connection]:
    """Open connections to these processes in turn, n_each of them. heavy: a request that keeps a worker busy.

    Raises ServerFailed if a process takes no connection.
    """
    taken: defaultdict[int, list[Connection]] = defaultdict(list)
    router, surplus = _Router(listener), list[Connection]()
    for _ in range(MAX_TRIES):
        if all(len(taken[process]) == n_each for process in processes):
            break
        while router.resting:
            router.resting.pop().send(heavy)
        before = _sockets(port)
        [connection] = await connect(HOST, port, 1, router)
        process = await _taker(port, before, processes)
        if len(taken[process]) < n_each:
            router.kept.add(connection)
            taken[process].append(connection)
        else:
            surplus.append(connection)
            router.resting.append(connection)
    else:
        raise ServerFailed(f"of the processes {list(processes)} one takes no connection in {MAX_TRIES} tries")
    for connection in surplus:
        connection.close()
    return [taken[process][place] for place in range(n_each) for process in processes]


async def _taker(port: int, before: set[str], processes: Sequence[int]) -> int:
    """Return the process that has accepted the newest connection."""
    while True:
        new = _sockets(port) - before
        for process in processes:
            if new & _open_sockets(process):
                return process
        await asyncio.sleep(0.001)


def _sockets(port: int) -> set[str]:
    """Return the inodes of the server's ends of connections to a port."""
    lines = (PROC / "net" / "tcp").read_text().splitlines()[1:]
    fields = [line.split() for line in lines]
    return {
        each[9] for each in fields if each[3] == ESTABLISHED and int(each[1].partition(":")[2], 16) == port
    }


def _open_sockets(process: int) -> set[str]:
    """Return the inodes of the sockets that a process has open."""
    found = set()
    with suppress(*GONE):
        for descriptor in (PROC / str(process) / "fd").iterdir():
            with suppress(*GONE):
                target = str(descriptor.readlink())
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found
