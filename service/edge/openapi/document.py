"""Makes the OpenAPI document from the schemas. `python -m service.edge.openapi.document` prints it.

Clients are generated from it: operations have ids and tags, each names the problems that it really answers, and the
schemas say what may be left out in which direction.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from typing import Any

import msgspec

from models.vocabulary import MAX_ID_CHARACTERS
from service.contract.errors import PROBLEMS, ServiceError
from service.contract.schemas import ProblemReply
from service.edge.openapi.components import REFERENCE, component_schemas
from service.edge.openapi.examples import PROBLEM, example_of
from service.edge.openapi.routes import ANYWHERE, OPERATORS, ROUTES, TAGS, Route, Struct

PROBLEM_JSON = "application/problem+json"
KEY = "operators_key"


def openapi_document() -> dict[str, Any]:
    """Make the OpenAPI 3.1 document, which is the same on every call."""
    requests = [route.request for route in ROUTES if route.request is not None]
    replies: list[Struct] = [ProblemReply, *(route.reply for route in ROUTES if route.reply is not None)]
    paths: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for route in ROUTES:
        paths[route.path][route.method] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Stillroom",
            "version": "1",
            "description": "Recommendations within a deadline, even while other systems fail.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The service that serves this document."}],
        "tags": [{"name": name, "description": description} for name, description in TAGS.items()],
        "paths": dict(paths),
        "components": {
            "schemas": component_schemas(requests, replies),
            "parameters": {"request_id": _REQUEST_ID},
            "headers": _HEADERS,
            "securitySchemes": {
                KEY: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key from STILLROOM_ADMIN_KEYS_FILE.",
                }
            },
        },
    }


@cache
def encoded_document() -> bytes:
    """Encode the document as JSON, once, because making it takes 50 ms."""
    return msgspec.json.encode(openapi_document())


_REQUEST_ID = {
    "name": "x-request-id",
    "in": "header",
    "description": "Returned in the answer and written to the log. Unless it consists of 1 to 128 letters, digits "
    "and . _ : -, it is replaced by a new one.",
    "schema": {"type": "string"},
}

_HEADERS = {
    "x-request-id": {
        "description": "The id of the request: the one it was sent with, or a new one.",
        "schema": {"type": "string"},
    },
    "server-timing": {"description": "Milliseconds spent in each stage.", "schema": {"type": "string"}},
    "retry-after": {"description": "Seconds to wait before the next attempt.", "schema": {"type": "integer"}},
    "www-authenticate": {"description": "How to send a key.", "schema": {"type": "string"}},
}


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation_id,
        "tags": [route.tag],
        "summary": route.summary,
        "parameters": _parameters(route),
        "responses": {route.status: _good(route), **_problems(route)},
    }
    if route.request is not None:
        operation["requestBody"] = {"required": True, "content": _content("application/json", route.request)}
    if route.tag == OPERATORS:
        operation["security"] = [{KEY: []}]
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    schema = {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARACTERS}
    in_path: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    if _is_hot(route) or route.tag == OPERATORS:
        return [*in_path, {"$ref": "#/components/parameters/request_id"}]
    return in_path


def _is_hot(route: Route) -> bool:
    """Whether the route is one of the endpoints that time their stages."""
    return route.request is not None and route.tag != OPERATORS


def _good(route: Route) -> dict[str, Any]:
    text = {"text/plain": {"schema": {"type": "string"}}}
    content = text if route.reply is None else _content("application/json", route.reply)
    answer = {"description": "The answer", "content": content}
    return answer | (_with_headers("x-request-id", "server-timing") if _is_hot(route) else {})


def _problems(route: Route) -> dict[str, Any]:
    by_status: defaultdict[int, list[type[ServiceError]]] = defaultdict(list)
    for error in (*route.problems, *ANYWHERE):
        by_status[PROBLEMS[error].status].append(error)
    return {str(status): _problem(route, found) for status, found in sorted(by_status.items())}


def _problem(route: Route, found: list[type[ServiceError]]) -> dict[str, Any]:
    titles = dict.fromkeys(PROBLEMS[error].title for error in found)
    own = {name.decode() for error in found for name, _ in error.headers} & set(_HEADERS)
    headers = sorted(own | ({"x-request-id"} if _is_hot(route) else set()))
    content = _content(PROBLEM_JSON, ProblemReply)
    if PROBLEMS[found[0]].status == PROBLEM.status:
        content[PROBLEM_JSON]["example"] = msgspec.to_builtins(PROBLEM)
    return {"description": "; ".join(titles), "content": content} | _with_headers(*headers)


def _with_headers(*names: str) -> dict[str, Any]:
    return {"headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names}} if names else {}


def _content(media_type: str, struct: Struct) -> dict[str, Any]:
    schema = {"$ref": REFERENCE.format(name=struct.__name__)}
    return {media_type: {"schema": schema, **example_of(struct)}}


if __name__ == "__main__":
    print(msgspec.json.format(msgspec.json.encode(openapi_document()), indent=2).decode())
