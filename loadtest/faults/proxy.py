"""A network line between a client and a server on this machine that can be impaired while it is in use.

`Line` forwards bytes inside an event loop. A drill runs it in a process of its own (`ProxyProcess`), so that it takes
no CPU time from the measuring process, and controls it by a second port.

    python -m loadtest.faults.proxy PORT TARGET_PORT CONTROL_PORT [redis]
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from asyncio import StreamReader, StreamWriter
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec

from loadtest.errors import FaultUnknown
from loadtest.faults.conditions import Conditions, Touched, Way
from loadtest.faults.odd_replies import RULES
from loadtest.faults.resp import Frame, NotRedis, Question, Rewriter
from loadtest.servers import HOST, Marked, free_port

READ_BYTES = 65_536
MAX_WAITING = 64
"""The most pieces that wait on their way; beyond it, the sender has to wait."""

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of 0 seconds, with which a close sends RST instead of FIN."""


class _Piece(NamedTuple):
    """Bytes of one read. due_at: when they go on, by the loop's clock. ends: how the connection then ends, or ""."""

    data: bytes
    due_at: float
    ends: str = ""


class Line:
    """Forwards bytes from `port` to `target_port` and back.

    is_redis: the target is Redis, whose replies can be replaced whole.
    """

    def __init__(self, port: int, target_port: int, *, is_redis: bool = False) -> None:
        self.port = port
        self.touched = Touched()
        self._conditions = Conditions()
        self._target_port = target_port
        self._is_redis = is_redis
        self._random = Random(0)
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    def set(self, conditions: Conditions) -> None:
        """Apply these conditions to pieces from now on. Raises FaultUnknown for a rule that does not exist."""
        if conditions.replies and conditions.replies not in RULES:
            raise FaultUnknown(f"no rule {conditions.replies!r} for replies; there is {', '.join(RULES)}")
        self._conditions = conditions
        self._random = Random(conditions.seed)

    async def open(self) -> None:
        """Start to listen."""
        self._server = await asyncio.start_server(self._accept, HOST, self.port, limit=READ_BYTES)

    async def close(self) -> None:
        """Break every connection and stop listening."""
        assert self._server is not None
        self._server.close()
        while self._connections:
            for task in self._connections:
                task.cancel()
            await asyncio.wait(self._connections)
        await asyncio.sleep(0)  # transports close one turn of the loop after they are told to

    async def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self.touched.connections += 1
        try:
            await self._carry(reader, writer)
        except asyncio.CancelledError:
            pass  # `close` did it; asyncio would report a task that it made itself
        finally:
            self._connections.discard(task)

    async def _carry(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Carry one connection until an end closes it; without a target it is closed at once."""
        try:
            there, thither = await asyncio.open_connection(HOST, self._target_port, limit=READ_BYTES)
            try:
                for each in (writer, thither):
                    each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await self._both_ways((reader, thither), (there, writer))
            finally:
                thither.close()
        except OSError:
            pass  # nothing listens at the target
        finally:
            writer.close()

    async def _both_ways(
        self, of_questions: tuple[StreamReader, StreamWriter], of_answers: tuple[StreamReader, StreamWriter]
    ) -> None:
        rewriter = Rewriter(self._reply, self._random) if self._is_redis else None
        questions = asyncio.create_task(self._copy("questions", *of_questions, rewriter))
        answers = asyncio.create_task(self._copy("answers", *of_answers, rewriter))
        try:
            await asyncio.wait({questions, answers}, return_when=asyncio.FIRST_COMPLETED)
            if questions.done() and questions.result() == "end" and not answers.done():
                of_questions[1].write_eof()  # a client that sent everything still wants its answer
                await answers
        finally:
            for way in (questions, answers):
                way.cancel()
            await asyncio.gather(questions, answers, return_exceptions=True)

    async def _copy(self, way: Way, source: StreamReader, to: StreamWriter, rewriter: Rewriter | None) -> str:
        """Forward until the source ends, and return how it ended: "end", "reset" or "closed"."""
        waiting: asyncio.Queue[_Piece] = asyncio.Queue(MAX_WAITING)
        reading = asyncio.create_task(self._read(way, source, waiting, rewriter))
        try:
            while True:
                piece = await waiting.get()
                await asyncio.sleep(max(0.0, piece.due_at - asyncio.get_running_loop().time()))
                await self._write(piece, way, to)
                if piece.ends == "reset":
                    to.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    to.transport.abort()
                if piece.ends:
                    return piece.ends
        except OSError:
            return "closed"
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(
        self, way: Way, source: StreamReader, waiting: asyncio.Queue[_Piece], rewriter: Rewriter | None
    ) -> None:
        due_at = 0.0
        with suppress(OSError, NotRedis):
            while data := await source.read(READ_BYTES):
                if rewriter is not None:
                    data = (
                        rewriter.note_questions(data)
                        if way == "questions"
                        else rewriter.rewrite_answers(data)
                    )
                piece = self._met(data, way, due_at)
                due_at = piece.due_at
                await waiting.put(piece)
                if piece.ends:
                    return
        await waiting.put(_Piece(b"", due_at, "end"))

    def _met(self, data: bytes, way: Way, after: float) -> _Piece:
        """Apply the conditions to a piece that comes now, behind one that goes on at `after`."""
        conditions, random = self._conditions, self._random
        self.touched.pieces += 1
        now = asyncio.get_running_loop().time()
        if way not in conditions.ways or not data:
            return _Piece(data, max(now, after))
        wait = conditions.delay_ms / 1000 + random.uniform(0, conditions.jitter_ms / 1000)
        if conditions.bytes_per_second:
            now, wait = max(now, after), wait + len(data) / conditions.bytes_per_second
        due_at, ends, met = max(now + wait, after), "", data
        if random.random() < conditions.resets:
            met, ends = b"", "reset"
        elif random.random() < conditions.truncates:
            met, ends = data[: len(data) // 2], "closed"
        elif conditions.drops:
            met = b""
        elif random.random() < conditions.flips:
            met = flipped(data, random)
        self.touched.changed += met != data or wait > 0 or 0 < conditions.piece_bytes < len(data)
        return _Piece(met, due_at, ends)

    async def _write(self, piece: _Piece, way: Way, to: StreamWriter) -> None:
        conditions = self._conditions
        size = conditions.piece_bytes if way in conditions.ways else 0
        for start in range(0, len(piece.data), size or READ_BYTES):
            to.write(piece.data[start : start + (size or READ_BYTES)])
            await to.drain()
            if size:
                await asyncio.sleep(0)

    def _reply(self, question: Question, reply: Frame, random: Random) -> bytes:
        """Return the bytes of Redis's reply under the current rule."""
        rule = RULES.get(self._conditions.replies)
        said = reply.raw if rule is None else rule(question, reply, random)
        self.touched.changed += said != reply.raw
        return said


def flipped(data: bytes, random: Random) -> bytes:
    """Flip one random bit."""
    changed = bytearray(data)
    changed[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(changed)


class ProxyProcess(Marked):
    """A line that runs in a process of its own."""

    name = "the line"

    def __init__(self, target_port: int, log: Path, *, is_redis: bool = False) -> None:
        super().__init__(free_port(), log)
        self._control_port = free_port()
        self._target_port = target_port
        self._is_redis = is_redis

    @property
    def redis_url(self) -> str:
        """URL of the Redis behind the line."""
        return f"redis://{HOST}:{self.port}/0"

    def command(self) -> list[str]:
        """Return the command that runs this module."""
        ports = map(str, (self.port, self._target_port, self._control_port))
        return [sys.executable, "-m", "loadtest.faults.proxy", *ports, *(["redis"] if self._is_redis else [])]

    def answers(self) -> bool:
        """Whether its control port replies."""
        self.touched()
        return True

    def set(self, conditions: Conditions) -> Touched:
        """Apply these conditions from now on, and return what the line has done until now."""
        return self._say(msgspec.json.encode(conditions))

    def touched(self) -> Touched:
        """Return what the line has done until now."""
        return self._say(b"")

    def _say(self, line: bytes) -> Touched:
        with socket.create_connection((HOST, self._control_port), timeout=10) as connection:
            connection.sendall(line + b"\n")
            with connection.makefile("rb") as said:
                return msgspec.json.decode(said.readline(), type=Touched)


async def _control(line: Line, reader: StreamReader, writer: StreamWriter) -> None:
    """Read a line of JSON with new conditions, or an empty one, and reply with what was done until now."""
    said = (await reader.readline()).strip()
    if said:
        line.set(msgspec.json.decode(said, type=Conditions))
    writer.write(msgspec.json.encode(line.touched) + b"\n")
    await writer.drain()
    writer.close()


async def _run(port: str, target_port: str, control_port: str, kind: str = "") -> None:
    line = Line(int(port), int(target_port), is_redis=kind == "redis")
    await line.open()
    server = await asyncio.start_server(partial(_control, line), HOST, int(control_port))
    await server.serve_forever()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_run(*sys.argv[1:]))
