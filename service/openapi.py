"""The OpenAPI document, made from the schemas. `python -m service.openapi` prints it."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from service import schemas
from service.admin import schemas as admin
from service.errors import PROBLEMS
from service.experiments.report import ExperimentReport

POST_ROUTES: dict[str, tuple[type[msgspec.Struct], type[msgspec.Struct], str]] = {
    "/recommend": (schemas.RecommendRequest, schemas.RecommendReply, "Items that suit a person now"),
    "/recommend/batch": (
        schemas.RecommendBatchRequest,
        schemas.RecommendBatchReply,
        "Several requests, scored together, answered in order",
    ),
    "/similar": (schemas.SimilarRequest, schemas.RecommendReply, "Items that go with one item"),
    "/events": (schemas.EventBatch, schemas.EventsReply, "What people did; 202 means that it is kept"),
}

OPERATORS_ROUTES: tuple[tuple[str, str, type[msgspec.Struct] | None, type[msgspec.Struct], str], ...] = (
    ("get", "/admin/state", None, admin.StateReply, "The service at a glance"),
    ("get", "/admin/bundles", None, admin.BundlesReply, "Every bundle of the store"),
    ("post", "/admin/promote", admin.PromoteRequest, admin.PromotedReply, "Put a bundle into service"),
    ("post", "/admin/rollback", None, admin.PromotedReply, "Back to the bundle before"),
    ("get", "/admin/experiments", None, admin.ExperimentsReply, "What is in force"),
    ("get", "/admin/experiments/{name}", None, ExperimentReport, "What an experiment has come to"),
    ("post", "/admin/experiments/{name}/stop", admin.StopRequest, admin.StoppedReply, "Stop an arm"),
    ("post", "/admin/experiments/{name}/resume", admin.ResumeRequest, admin.StoppedReply, "Let it go on"),
    ("delete", "/people/{user_id}", None, schemas.ErasureReply, "Forget a person and their visits"),
    ("delete", "/sessions/{session_id}", None, schemas.VisitErasureReply, "Forget a visit"),
)

_POST_PROBLEMS = (400, 408, 413, 415, 422, 429, 500, 503)
_STATUS = {"/events": "202"}
"""Of a good answer, where it is not 200."""

_MORE_PROBLEMS = {"/events": (409,)}

_REFERENCE = "#/components/schemas/{name}"


def openapi_document() -> dict[str, Any]:
    """OpenAPI 3.1, the same on every call."""
    replies = [schemas.ProblemReply, schemas.LiveReply, schemas.ReadyReply]
    types = [struct for asked, reply, _ in POST_ROUTES.values() for struct in (asked, reply)]
    types += [struct for _, _, asked, reply, _ in OPERATORS_ROUTES for struct in (asked, reply) if struct]
    _, components = msgspec.json.schema_components([*types, *replies], ref_template=_REFERENCE)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Stillroom",
            "version": "1",
            "description": "Recommendations inside a deadline, whatever breaks around them.",
        },
        "paths": {**_post_paths(), **_get_paths(), **_operators_paths()},
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _post_paths() -> dict[str, Any]:
    return {
        path: {
            "post": {
                "summary": summary,
                "operationId": path.strip("/").replace("/", "_"),
                "requestBody": {"required": True, "content": _content("application/json", asked)},
                "responses": {
                    _STATUS.get(path, "200"): {
                        "description": "The answer",
                        "content": _content("application/json", reply),
                    },
                    **_problems((*_POST_PROBLEMS, *_MORE_PROBLEMS.get(path, ()))),
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


def _operators_paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for method, path, asked, reply, summary in OPERATORS_ROUTES:
        route: dict[str, Any] = {
            "summary": summary,
            "security": [{"key": []}],
            "parameters": [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
                for name in re.findall(r"{(\w+)}", path)
            ],
            "responses": {
                "200": {"description": "The answer", "content": _content("application/json", reply)},
                **_problems((400, 401, 404, 408, 409, 413, 415, 422, 500, 503)),
            },
        }
        if asked is not None:
            route["requestBody"] = {"required": True, "content": _content("application/json", asked)}
        paths.setdefault(path, {})[method] = route
    return paths


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
