"""The committed OpenAPI document, and that the service serves the same."""

from __future__ import annotations

import json
from pathlib import Path

from service.openapi import openapi_document
from tests.support.service import Running

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.json"


def test_the_committed_document_is_up_to_date() -> None:
    committed = json.loads(COMMITTED.read_text())
    assert committed == openapi_document(), "run `python -m service.openapi > docs/openapi.json`"


async def test_the_service_serves_the_document(service: Running) -> None:
    assert (await service.client.get("/openapi.json")).json() == json.loads(COMMITTED.read_text())


async def test_the_document_can_be_browsed(service: Running) -> None:
    page = await service.client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")


def test_limits_of_the_schemas_are_in_the_document() -> None:
    properties = openapi_document()["components"]["schemas"]["RecommendRequest"]["properties"]
    assert (properties["limit"]["minimum"], properties["limit"]["maximum"]) == (1, 100)
    assert properties["session"]["maxItems"] == 100
