"""The same student under BentoML, with one worker and default metrics and traces."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import bentoml  # type: ignore[import-not-found]

from loadtest.peers.same_student import SameStudent
from loadtest.peers.setting import PeerSetting

THIS = "loadtest.peers.bentoml.server:Recommend"


@bentoml.service(workers=1, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Recommend:
    """The service, which runs as one worker in one process."""

    def __init__(self) -> None:
        self._student = SameStudent(PeerSetting.read())

    @bentoml.api(route="/recommend")  # type: ignore[untyped-decorator]
    async def recommend(self, user_id: str, limit: int) -> dict[str, Any]:
        """Recommend items; it is asynchronous, so that BentoML does not start a thread as for a plain function."""
        return {"items": self._student.recommend(user_id, limit)}


if __name__ == "__main__":
    port = str(PeerSetting.read().port)
    words = [
        "-m",
        "bentoml",
        "serve",
        THIS,
        "--host",
        "127.0.0.1",
        "--port",
        port,
        "--working-dir",
        str(Path.cwd()),
    ]
    os.execv(sys.executable, [sys.executable, *words, "--do-not-track", "--quiet"])
