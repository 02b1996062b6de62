"""Load beyond what the service can take: ten times the questions that it can answer, and mail beside a shop."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from itertools import cycle

import msgspec

from loadtest.bench.closed_loop import run_closed_loop
from loadtest.bench.connection import Connection, connect
from loadtest.bench.open_loop import GRACE_SECONDS, N_CONNECTIONS, OpenLoop, poisson_schedule
from loadtest.faults.hostile.attack import Attack, request
from loadtest.servers import HOST
from loadtest.verdict import percentile

MEASURING_SECONDS = 1.0
MEASURING_CONNECTIONS = 16
"""Number of connections while capacity is measured, few enough that nothing is refused."""

TIMES = 10
MAX_RATE = 12_000.0
"""The most requests per second; beyond it the client itself is late."""

N_MAILERS = 4
MAIL_REQUESTS = 64
N_DIFFERENT = 200


async def tenfold(attack: Attack) -> None:
    """Send ten times the questions that a closed loop gets answered, by a schedule that nothing delays."""
    requests = [request(_dear_question(attack)) for _ in range(N_DIFFERENT)]
    found = await run_closed_loop(attack.port, cycle(requests), MEASURING_SECONDS, MEASURING_CONNECTIONS)
    capacity = found.n_in_time / MEASURING_SECONDS
    rate = min(TIMES * capacity, MAX_RATE)
    loop = _ByStatus(
        poisson_schedule(rate, attack.left_seconds, attack.random.randrange(2**31)), cycle(requests)
    )
    await _run(attack, loop)
    attack.seen.answers = {status: len(latencies) for status, latencies in sorted(loop.latencies.items())}
    attack.seen.figures |= {"answers_a_second_alone": capacity, "asked_a_second": rate}
    for status, latencies in loop.latencies.items():
        attack.seen.figures[f"p99_ms_of_{status}"] = round(1000 * percentile(sorted(latencies), 0.99), 1)
    odd = set(loop.latencies) - {"200", "429"}
    if odd:
        attack.was_unexpected(f"under overload some were answered with {', '.join(sorted(odd))}")


async def mail_beside(attack: Attack) -> None:
    """Send batches of 64, one after the other from a few clients at once, as a job does that makes mail."""

    async def client() -> None:
        async with attack.connected() as (reader, writer):
            while not attack.is_over:
                people = attack.random.choices(attack.people, k=MAIL_REQUESTS)
                batch = {
                    "requests": [{"user_id": person, "limit": 20, "deadline_ms": 1000} for person in people]
                }
                await attack.send(writer, request(msgspec.json.encode(batch), path="/recommend/batch"))
                status, body = await attack.receive(reader)
                if status not in (200, 429):
                    attack.was_unexpected(f"a batch was answered with {status} {body[:80]!r}")

    await attack.by_many(N_MAILERS, client)


class _ByStatus(OpenLoop):
    """An open loop that keeps latencies by status. latencies: seconds from the scheduled moment."""

    def __init__(self, due: Sequence[float], requests: cycle[bytes]) -> None:
        super().__init__(due, requests)
        self.latencies: defaultdict[str, list[float]] = defaultdict(list)

    def replied(self, connection: Connection, is_ok: bool, body: bytes) -> None:
        """Record a reply's latency by its status too."""
        super().replied(connection, is_ok, body)
        self.latencies[connection.reply[9:12].decode("latin-1")].append(self.result.latencies[-1])


async def _run(attack: Attack, loop: OpenLoop) -> None:
    connections = await connect(HOST, attack.port, N_CONNECTIONS, loop)
    attack.seen.opened += len(connections)
    try:
        loop.begin(connections)
        # An event would have to come from a timer, and timers are too coarse.
        while loop.send_due() and attack.left_seconds:  # noqa: ASYNC110
            await asyncio.sleep(0)
        async with asyncio.timeout(GRACE_SECONDS):
            await loop.done.wait()
    except TimeoutError:
        loop.give_up()
    finally:
        loop.done.set()
        for connection in connections:
            connection.close()


def _dear_question(attack: Attack) -> bytes:
    """Make a question that needs the user tower and a walk through the ranking, so that one client can overload."""
    session = [{"item_id": item, "kind": "view"} for item in attack.random.sample(attack.items, 5)]
    return attack.question(limit=50, diversity=0.5, session=session)
