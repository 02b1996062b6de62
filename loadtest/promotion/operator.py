"""The actions of an operator, by the service's own routes and its metrics."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from loadtest.servers import HOST

TIMEOUT_SECONDS = 120.0


class OperatorReply(NamedTuple):
    """A reply's status and decoded body."""

    status: int
    body: dict[str, Any]


def new_key(file: Path) -> str:
    """Make a key for an operator called drill, and write it into a file of keys."""
    key = secrets.token_hex(16)
    file.write_text(f"drill:{key}\n")
    file.chmod(0o600)
    return key


class Operator:
    """An operator's client, which blocks; call it on a thread beside the traffic."""

    def __init__(self, port: int, key: str) -> None:
        self._url = f"http://{HOST}:{port}"
        self._key = key

    def promote(self, version: str) -> OperatorReply:
        """Promote a version by POST /admin/promote."""
        return self._post("/admin/promote", {"version": version})

    def roll_back(self) -> OperatorReply:
        """Roll back by POST /admin/rollback."""
        return self._post("/admin/rollback", {})

    def n_refused(self) -> float:
        """Return the number of bundles refused so far by all workers together."""
        with urlopen(f"{self._url}/metrics", timeout=TIMEOUT_SECONDS) as reply:
            lines = reply.read().decode().splitlines()
        return sum(
            float(line.split()[-1]) for line in lines if line.startswith("stillroom_bundles_refused_total")
        )

    def _post(self, path: str, body: dict[str, Any]) -> OperatorReply:
        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        request = Request(f"{self._url}{path}", json.dumps(body).encode(), headers)
        try:
            with urlopen(request, timeout=TIMEOUT_SECONDS) as reply:
                return OperatorReply(reply.status, json.loads(reply.read()))
        except HTTPError as error:
            return OperatorReply(error.code, json.loads(error.read()))
