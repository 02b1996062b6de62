"""The OpenAPI document, made from the schemas. `python -m service.openapi` prints it."""

from __future__ import annotations

from typing import Any

import msgspec

from service import schemas
from service.errors import PROBLEMS

POST_ROUTES: dict[str, tuple[type[msgspec.Struct], type[msgspec.Struct], str]] = {
    "/recommend": (schemas.RecommendRequest, schemas.RecommendReply, "Items that suit a person now"),
    "/recommend/batch": (
        schemas.RecommendBatchRequest,
        schemas.RecommendBatchReply,
        "Several requests, scored together, answered in order",
    ),
    "/similar": (schemas.SimilarRequest, schemas.RecommendReply, "Items that go with one item"),
}

_POST_PROBLEMS = (400, 408, 413, 415, 422, 429, 500, 503)
_REFERENCE = "#/components/schemas/{name}"


def openapi_document() -> dict[str, Any]:
    """OpenAPI 3.1, the same on every call."""
    replies = [schemas.ProblemReply, schemas.LiveReply, schemas.ReadyReply]
    types = [struct for asked, reply, _ in POST_ROUTES.values() for struct in (asked, reply)]
    _, components = msgspec.json.schema_components([*types, *replies], ref_template=_REFERENCE)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Stillroom",
            "version": "1",
            "description": "Recommendations inside a deadline, whatever breaks around them.",
        },
        "paths": {**_post_paths(), **_get_paths()},
        "components": {"schemas": dict(sorted(components.items()))},
    }


def _post_paths() -> dict[str, Any]:
    return {
        path: {
            "post": {
                "summary": summary,
                "operationId": path.strip("/").replace("/", "_"),
                "requestBody": {"required": True, "content": _content("application/json", asked)},
                "responses": {
                    "200": {"description": "The answer", "content": _content("application/json", reply)},
                    **_problems(_POST_PROBLEMS),
                },
            }
        }
        for path, (asked, reply, summary) in POST_ROUTES.items()
    }


def _get_paths() -> dict[str, Any]:
    text = {"text/plain": {"schema": {"type": "string"}}}
    live = _content("application/json", schemas.LiveReply)
    ready = _content("application/json", schemas.ReadyReply)
    return {
        "/health/live": _get("The process runs", live),
        "/health/ready": _get("A verified bundle is in service", ready, (503,)),
        "/metrics": _get("What Prometheus reads", text),
    }


def _get(summary: str, content: dict[str, Any], problems: tuple[int, ...] = ()) -> dict[str, Any]:
    responses = {"200": {"description": summary, "content": content}, **_problems(problems)}
    return {"get": {"summary": summary, "responses": responses}}


def _problems(statuses: tuple[int, ...]) -> dict[str, Any]:
    titles: dict[int, str] = {}
    for problem in PROBLEMS.values():
        titles[problem.status] = problem.title  # the most specific class of a status comes last
    content = _content("application/problem+json", schemas.ProblemReply)
    return {str(status): {"description": titles[status], "content": content} for status in statuses}


def _content(media_type: str, struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": _REFERENCE.format(name=struct.__name__)}}}


if __name__ == "__main__":
    print(msgspec.json.format(msgspec.json.encode(openapi_document()), indent=2).decode())
