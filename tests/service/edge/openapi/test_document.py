"""The OpenAPI document: committed, served, and fit to generate clients from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.contract.errors import PROBLEMS
from service.edge.openapi.document import encoded_document, openapi_document
from service.edge.openapi.examples import ASKED, REPLIES
from service.edge.openapi.routes import OPERATORS, ROUTES
from tests.support.service import Running

COMMITTED = Path(__file__).parents[4] / "docs" / "openapi.json"
DOCUMENT = openapi_document()
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
OPERATIONS = [operation for methods in DOCUMENT["paths"].values() for operation in methods.values()]


def parts_of(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object inside a schema, itself included."""
    if isinstance(schema, dict):
        yield schema
        for part in schema.values():
            yield from parts_of(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from parts_of(part)


def test_the_committed_document_is_up_to_date() -> None:
    committed = json.loads(COMMITTED.read_text())
    assert committed == DOCUMENT, "run `python -m service.edge.openapi.document > docs/openapi.json`"


async def test_the_service_serves_the_document(service: Running) -> None:
    assert (await service.client.get("/openapi.json")).json() == json.loads(COMMITTED.read_text())


async def test_every_route_that_is_served_is_in_the_document(service: Running) -> None:
    for route in ROUTES:
        path = route.path.replace("{name}", "x").replace("{user_id}", "x")
        status = (await service.client.request(route.method, path, json={})).status_code
        assert status not in (404, 405), route.path


def test_limits_of_the_schemas_are_in_the_document() -> None:
    properties = SCHEMAS["RecommendRequest"]["properties"]
    assert (properties["limit"]["minimum"], properties["limit"]["maximum"]) == (1, 100)
    assert properties["session"]["maxItems"] == 100


def test_every_operation_has_an_id_of_its_own_and_a_tag_that_is_described() -> None:
    ids = [operation["operationId"] for operation in OPERATIONS]
    assert len(set(ids)) == len(ids)
    described = {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]}
    assert {tag for operation in OPERATIONS for tag in operation["tags"]} == described


def test_the_document_says_where_requests_go() -> None:
    assert [server["url"] for server in DOCUMENT["servers"]] == ["/"]


def test_no_schema_is_a_bare_boolean_where_generators_want_an_object() -> None:
    for schema in parts_of(SCHEMAS):
        assert not isinstance(schema.get("items"), bool)
        assert "prefixItems" not in schema


def test_what_a_request_may_leave_out_is_optional_and_its_default_is_told_in_words() -> None:
    asked = SCHEMAS["RecommendRequest"]
    assert "required" not in asked
    assert not any("default" in field for field in asked["properties"].values())
    assert asked["properties"]["limit"]["description"].endswith("Default: 10.")
    assert asked["properties"]["explain"]["description"].endswith("Default: false.")
    assert asked["properties"]["known_items"]["description"].endswith("leave_out_bought.")
    assert asked["properties"]["exclude_seen"]["deprecated"] is True
    assert SCHEMAS["ShopEvent"]["required"] == ["kind", "item_id"]


def test_what_an_answer_always_has_is_required_and_what_it_leaves_out_is_never_null() -> None:
    assert SCHEMAS["RecommendReply"]["required"] == list(SCHEMAS["RecommendReply"]["properties"])
    assert SCHEMAS["ServedModel"]["required"] == ["version", "variant"]
    assert SCHEMAS["LiveReply"]["required"] == ["status"]
    item = SCHEMAS["RecommendedItem"]
    assert item["required"] == ["item_id", "score"]
    assert item["properties"]["title"] == {"type": "string"}


def test_an_enumeration_says_of_what_type_it_is() -> None:
    assert all(schema.get("type") == "string" for schema in parts_of(SCHEMAS) if "enum" in schema)


@pytest.mark.parametrize("struct", ASKED, ids=lambda struct: struct.__name__)
def test_every_request_has_an_example_that_is_accepted(struct: type[msgspec.Struct]) -> None:
    msgspec.json.decode(json.dumps(ASKED[struct]), type=struct)


def test_every_request_and_every_answer_that_a_shop_meets_has_an_example() -> None:
    assert set(ASKED) == {route.request for route in ROUTES if route.request is not None}
    met = {route.reply for route in ROUTES if route.tag != OPERATORS and route.reply is not None}
    assert met <= set(REPLIES)


@pytest.mark.parametrize("reply", REPLIES.values(), ids=lambda reply: type(reply).__name__)
def test_examples_of_answers_are_as_the_service_encodes_them(reply: msgspec.Struct) -> None:
    assert msgspec.json.decode(msgspec.json.encode(reply), type=type(reply)) == reply


def test_operators_routes_need_a_key_and_no_other_does() -> None:
    for route in ROUTES:
        operation = DOCUMENT["paths"][route.path][route.method]
        assert ("security" in operation) == route.path.startswith(("/admin", "/people", "/sessions"))
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert {scheme["scheme"] for scheme in schemes.values()} == {"bearer"}


def test_each_status_of_a_problem_is_told_in_the_words_of_what_can_happen_there() -> None:
    for route in ROUTES:
        responses = DOCUMENT["paths"][route.path][route.method]["responses"]
        for error in route.problems:
            told = responses[str(PROBLEMS[error].status)]
            assert PROBLEMS[error].title in told["description"]
            assert list(told["content"]) == ["application/problem+json"]
    assert "409" not in DOCUMENT["paths"]["/recommend"]["post"]["responses"]


def test_headers_of_requests_and_answers_are_there() -> None:
    operation = DOCUMENT["paths"]["/recommend"]["post"]
    assert {"$ref": "#/components/parameters/request_id"} in operation["parameters"]
    assert set(operation["responses"]["200"]["headers"]) == {"x-request-id", "server-timing"}
    assert set(operation["responses"]["429"]["headers"]) == {"x-request-id", "retry-after"}


def test_document_is_made_once() -> None:
    assert encoded_document() is encoded_document()
    assert msgspec.json.decode(encoded_document()) == DOCUMENT
