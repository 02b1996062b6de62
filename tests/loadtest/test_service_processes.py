"""The service of the drills, found, measured and ended process by process."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from loadtest.service_processes import Service

METRICS = b"""# HELP stillroom_spool_bytes Of events.
stillroom_spool_bytes{pid="1"} 10.0
stillroom_spool_bytes{pid="2"} 32.0
stillroom_spool_bytes_total 1000.0
stillroom_up 1.0
"""


class Metrics(BaseHTTPRequestHandler):
    """The same each time."""

    def do_GET(self) -> None:
        """Whatever the path is."""
        self.send_response(200)
        self.send_header("content-length", str(len(METRICS)))
        self.end_headers()
        self.wfile.write(METRICS)

    def log_message(self, *words: object) -> None:
        """Nothing."""


def test_metric_is_the_sum_of_its_own_samples(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Metrics) as server:
        Thread(target=server.serve_forever).start()
        try:
            service = Service(server.server_port, tmp_path / "log", {})
            assert service.metric("stillroom_spool_bytes") == 42.0
            assert service.metric("stillroom_up") == 1.0
            assert service.metric("stillroom_spool") is None
        finally:
            server.shutdown()


def test_service_is_started_by_its_prefix_with_its_settings(tmp_path: Path) -> None:
    service = Service(
        1, tmp_path / "log", {"STILLROOM_STORE": "s"}, n_workers=2, prefix=("nice",), module="m"
    )
    assert service.command() == ["nice", sys.executable, "-m", "m"]
    environment = service.environment()
    assert (environment["STILLROOM_STORE"], environment["STILLROOM_WORKERS"]) == ("s", "2")
    assert service.workers() == []
