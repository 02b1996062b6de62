"""A small HTTP server of one file, on a free port, that can resume, refuse to resume, or break off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class FileServer:
    """What it serves, how it behaves, and the Range header of each request (None where there was none)."""

    content: bytes
    knows_ranges: bool = True
    breaks_off_after: int | None = None
    tells_length: bool = True
    status: int = 200
    ranges: list[str | None] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(server: FileServer) -> Iterator[FileServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, server)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        thread = Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        server.url = f"http://127.0.0.1:{listener.server_port}/file.bin"
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()


def _answer(request: BaseHTTPRequestHandler, server: FileServer) -> None:
    wanted = request.headers.get("Range")
    server.ranges.append(wanted)
    if server.status != 200:
        request.send_error(server.status)
        return
    first = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and server.knows_ranges else 0
    if first and first >= len(server.content):
        request.send_error(416)
        return
    body = server.content[first:]
    request.send_response(206 if first else 200)
    if server.tells_length:
        request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body[: server.breaks_off_after])
