"""The same student under LitServe, with one API and one inference process, both on the server's core."""

from __future__ import annotations

from typing import Any

import litserve  # type: ignore[import-not-found]

from loadtest.peers.same_student import SameStudent
from loadtest.peers.setting import PeerSetting


class Recommend(litserve.LitAPI):  # type: ignore[misc]
    """Serves one request at a time, as batches would need a timer. Requests and replies pass unchanged as JSON."""

    def setup(self, device: str) -> None:
        """Load the student in the inference process."""
        self._student = SameStudent(PeerSetting.read())

    def predict(self, request: dict[str, Any]) -> dict[str, Any]:
        """Recommend items."""
        return {"items": self._student.recommend(request["user_id"], request["limit"])}


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
