"""The same student under Ray Serve, with one replica behind one proxy, no dashboard, in its own folder."""

from __future__ import annotations

import signal
from typing import Any

import ray  # type: ignore[import-not-found]
from ray import serve
from starlette.requests import Request

from loadtest.peers.same_student import SameStudent
from loadtest.peers.setting import PeerSetting

MAX_WAITING = 1000
OBJECT_STORE_BYTES = 100 * 2**20


@serve.deployment(num_replicas=1, max_ongoing_requests=MAX_WAITING)
class Recommend:
    """The deployment, which runs as one replica in one process."""

    def __init__(self) -> None:
        self._student = SameStudent(PeerSetting.read())

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Take Starlette's request, and return JSON."""
        body = await request.json()
        return {"items": self._student.recommend(body["user_id"], body["limit"])}


if __name__ == "__main__":
    ray.init(
        num_cpus=4,  # slots for proxy, controller and replica, which all share one core
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        log_to_driver=False,
        logging_level="warning",
    )
    serve.start(http_options={"host": "127.0.0.1", "port": PeerSetting.read().port})
    serve.run(Recommend.bind(), route_prefix="/recommend")  # type: ignore[attr-defined]
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
