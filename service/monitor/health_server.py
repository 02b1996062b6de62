"""The monitor's own port: /metrics, /health/live and /health/ready."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Thread
from time import monotonic
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from service.monitor.metrics import MonitorMetrics
from service.monitor.monitor import Monitor

STUCK_SECONDS = 120.0
"""If no turn ends for this long, though one takes seconds, the monitor counts as not alive."""

CLIENT_SECONDS = 10.0
"""How long a client may take to send its request, and to read the reply."""

MAX_CLIENTS = 16
"""How many clients are served at once, on a thread each; one more is closed at once. Prometheus and a health check
are two."""

Answer = tuple[int, str, bytes]


def serve(monitor: Monitor, metrics: MonitorMetrics, host: str, port: int) -> ThreadingHTTPServer:
    """Serve on a thread until `shutdown()`. Raises OSError for a port that is taken."""

    class Handler(BaseHTTPRequestHandler):
        """Answers one request. http.server bounds its lines and headers."""

        timeout = CLIENT_SECONDS

        def do_GET(self) -> None:
            """Answer a GET request."""
            status, content_type, body = answer(self.path, monitor, metrics)
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Log nothing, as scrapes are not worth a line."""

    server = _FewClients((host, port), Handler)
    Thread(target=server.serve_forever, name="monitor-http", daemon=True).start()
    return server


class _FewClients(ThreadingHTTPServer):
    """Runs a thread for each of a few connections."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._places = BoundedSemaphore(MAX_CLIENTS)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread if a place is free, else close the connection."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Run the thread, and free its place at its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()


def answer(path: str, monitor: Monitor, metrics: MonitorMetrics) -> Answer:
    """Return status, content type and body."""
    if path == "/metrics":
        return 200, CONTENT_TYPE_LATEST, generate_latest(metrics.registry)
    if path == "/health/live":
        is_alive = monotonic() - monitor.turned_at < STUCK_SECONDS
        return _health(is_alive, "alive", f"no turn has ended for {STUCK_SECONDS:.0f} s")
    if path == "/health/ready":
        return _health(monitor.is_watching, "watching", "no bundle is current, or Redis was not reached yet")
    return 404, "text/plain", b"there is /metrics, /health/live and /health/ready\n"


def _health(is_well: bool, well: str, ill: str) -> Answer:
    return (200, "text/plain", f"{well}\n".encode()) if is_well else (503, "text/plain", f"{ill}\n".encode())
