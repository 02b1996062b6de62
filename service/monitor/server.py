"""The monitor's own port: /metrics, /health/live and /health/ready."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import monotonic

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from service.monitor.metrics import MonitorMetrics
from service.monitor.monitor import Monitor

STUCK_SECONDS = 120.0
"""Without the end of a turn, which takes seconds, the monitor is not alive."""

Answer = tuple[int, str, bytes]


def serve(monitor: Monitor, metrics: MonitorMetrics, host: str, port: int) -> ThreadingHTTPServer:
    """Answer on a thread of its own, until `shutdown()`. Raises OSError for a port that is taken."""

    class Handler(BaseHTTPRequestHandler):
        """One request."""

        def do_GET(self) -> None:
            """Answer it."""
            status, content_type, body = answer(self.path, monitor, metrics)
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Scrapes are not worth a line."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, name="monitor-http", daemon=True).start()
    return server


def answer(path: str, monitor: Monitor, metrics: MonitorMetrics) -> Answer:
    """Status, content type and body."""
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
