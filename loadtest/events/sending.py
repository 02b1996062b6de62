"""Send batches over HTTP, each again under its key until it is acknowledged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from time import perf_counter
from typing import Any

from loadtest.events.plan import Plan
from loadtest.servers import HOST

ATTEMPT_SECONDS = 10.0
PAUSE_SECONDS = 0.2
MAX_AT_ONCE = 200


@dataclass
class Sent:
    """What was sent so far.

    accepted: marks of events whose batch was answered with 202. sent: marks of all events. n_attempts: requests.
    unlike: batches whose replies differed from one attempt to another.
    """

    accepted: set[str] = field(default_factory=set)
    sent: set[str] = field(default_factory=set)
    n_attempts: int = 0
    n_replays: int = 0
    unlike: list[str] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)


class Sender:
    """Sends batches until they are acknowledged. port: of the service, whether it runs or not.

    replay_share: share of batches that are sent a second time after they were accepted. on_accepted: called with each
    batch's body and the duration of its last attempt in seconds.
    """

    def __init__(
        self,
        port: int,
        replay_share: float,
        seed: int,
        on_accepted: Callable[[dict[str, Any], float], object] = lambda body, seconds: None,
    ) -> None:
        self._port = port
        self._replay_share = replay_share
        self._on_accepted = on_accepted
        self._random = Random(seed)
        self._places = asyncio.Semaphore(MAX_AT_ONCE)
        self.sent = Sent()

    async def send_all(self, plan: Plan) -> None:
        """Send at the plan's rate, whatever happens; return when every batch is acknowledged."""
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        tasks = []
        for number, body in enumerate(plan.batches()):
            due_at = started_at + number * plan.batch_events / plan.rate
            await asyncio.sleep(max(0.0, due_at - loop.time()))
            tasks.append(asyncio.create_task(self.send(body)))
        await asyncio.gather(*tasks)

    async def send(self, body: dict[str, Any]) -> None:
        """Send one batch until it is acknowledged; each event's request_id identifies it."""
        marks = {event["request_id"] for event in body["events"]}
        self.sent.sent |= marks
        encoded = json.dumps(body).encode()
        while True:
            async with self._places:
                started_at = perf_counter()
                reply = await self._post(encoded)
            if reply is not None:
                break
            await asyncio.sleep(PAUSE_SECONDS)
        if reply["accepted"] != len(marks) or reply["rejected"]:
            self.sent.unlike.append(body["key"])
        self.sent.accepted |= marks
        self._on_accepted(body, perf_counter() - started_at)
        if self._random.random() < self._replay_share:
            await self._replay(body["key"], encoded, reply)

    async def _replay(self, key: str, encoded: bytes, first: dict[str, Any]) -> None:
        """Send a batch once more, as a client does that missed the reply."""
        async with self._places:
            again = await self._post(encoded)
        if again is not None:
            self.sent.n_replays += 1
            if (again["accepted"], again["rejected"]) != (first["accepted"], first["rejected"]):
                self.sent.unlike.append(key)

    async def _post(self, body: bytes) -> dict[str, Any] | None:
        """Return the reply's JSON, None if there was no reply or it was not a 202."""
        self.sent.n_attempts += 1
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                status, reply = await _exchange(self._port, body)
        except (OSError, TimeoutError, ValueError, IndexError):
            self._count("none")
            return None
        self._count(status)
        return json.loads(reply) if status == "202" else None

    def _count(self, status: str) -> None:
        self.sent.statuses[status] = self.sent.statuses.get(status, 0) + 1


async def _exchange(port: int, body: bytes) -> tuple[str, bytes]:
    """Return status and body of one POST /events on a connection of its own."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        head = (
            "POST /events HTTP/1.1\r\nhost: drill\r\ncontent-type: application/json\r\nconnection: close\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        reply = await reader.read()
    finally:
        writer.close()
    answered, separator, content = reply.partition(b"\r\n\r\n")
    lengths = [line for line in answered.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    if not separator or len(content) != int(lengths[0].partition(b":")[2]):
        raise ValueError("the reply was cut off")
    return answered.split(b" ", 2)[1].decode(), content
