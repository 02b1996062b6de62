"""The same student under LitServe: one API process, one inference process, both on the server's core."""

from __future__ import annotations

from typing import Any

import litserve  # type: ignore[import-not-found]

from loadtest.peers.same_student import SameStudent
from loadtest.peers.setting import PeerSetting


class Recommend(litserve.LitAPI):  # type: ignore[misc]
    """One request at a time; batches would need a timer. Requests and replies pass as the JSON they are."""

    def setup(self, device: str) -> None:
        """In the inference process."""
        self._student = SameStudent(PeerSetting.read())

    def predict(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Rank."""
        return {"items": self._student.recommend(asked["user_id"], asked["limit"])}


if __name__ == "__main__":
    server = litserve.LitServer(Recommend(api_path="/recommend"), accelerator="cpu", timeout=60)
    server.run(
        host="127.0.0.1",
        port=PeerSetting.read().port,
        num_api_servers=1,
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )
