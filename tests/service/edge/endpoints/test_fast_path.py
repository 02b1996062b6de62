"""The short way in is FastAPI to everybody outside: same answers, and the usual way wherever FastAPI has a say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, cast

import httpx
import pytest
from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.edge.app import create_app
from service.edge.endpoints.endpoint import JsonEndpoint
from service.edge.endpoints.fast_path import FastPathApp
from tests.support.service import make_parts


class EchoPath:
    """A hot endpoint: says at which path it was asked, and by which way it was reached."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await Response(scope["path"], headers={"x-routed": str("router" in scope)})(scope, receive, send)


def app_with_a_hot_route() -> FastPathApp:
    app = FastPathApp()
    app.add_hot_route("/hot", cast(JsonEndpoint[Any], EchoPath()))
    return app


def client_of(app: FastAPI, root_path: str = "") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, root_path=root_path, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://stillroom")


def currency() -> str:
    """What a dependency of another route gives."""
    return "GBP"


async def test_hot_route_is_reached_without_the_router() -> None:
    response = await client_of(app_with_a_hot_route()).post("/hot?page=2")
    assert (response.text, response.headers["x-routed"]) == ("/hot", "False")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/hot", 405), ("POST", "/hot/", 404)])
async def test_everything_but_a_post_of_exactly_this_path_is_fastapis(
    method: str, path: str, status: int
) -> None:
    app = app_with_a_hot_route()
    app.router.redirect_slashes = False
    response = await client_of(app).request(method, path)
    assert response.status_code == status


async def test_hot_route_is_found_below_a_prefix() -> None:
    response = await client_of(app_with_a_hot_route(), root_path="/shop").post("/shop/hot")
    assert (response.status_code, response.headers["x-routed"]) == (200, "True")


async def stamp(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """A middleware that marks what passes through it."""
    response = await call_next(request)
    response.headers["x-stamped"] = "yes"
    return response


async def test_middleware_wraps_a_hot_route() -> None:
    app = app_with_a_hot_route()
    app.middleware("http")(stamp)
    response = await client_of(app).post("/hot")
    assert (response.status_code, response.headers["x-stamped"]) == (200, "yes")


async def test_middleware_that_comes_after_a_first_request_wraps_the_next() -> None:
    app = app_with_a_hot_route()
    await client_of(app).post("/hot")
    app.middleware("http")(stamp)
    assert (await client_of(app).post("/hot")).headers["x-stamped"] == "yes"


async def test_dependencies_of_other_routes_are_resolved_and_overridden_as_ever() -> None:
    app = app_with_a_hot_route()

    @app.post("/price")
    async def price(answer: Annotated[str, Depends(currency)]) -> str:
        return answer

    assert (await client_of(app).post("/price")).json() == "GBP"
    app.dependency_overrides[currency] = lambda: "EUR"
    assert (await client_of(app).post("/price")).json() == "EUR"
    assert (await client_of(app).post("/hot")).status_code == 200


def test_dependencies_of_the_whole_app_are_refused_as_a_hot_route_would_pass_them_by() -> None:
    with pytest.raises(TypeError, match="dependencies"):
        FastPathApp(dependencies=[Depends(lambda: None)])


@asynccontextmanager
async def shop_api(store: Path, *, is_wrapped: bool) -> AsyncIterator[httpx.AsyncClient]:
    """The service; wrapped in a middleware it takes FastAPI's way to every route."""
    parts = make_parts(store, max_body_bytes=1024)
    app = create_app(parts)
    if is_wrapped:
        app.middleware("http")(stamp)
    await parts.bundles.follow()
    async with app.router.lifespan_context(app), client_of(app) as client:
        yield client


REQUESTS: list[tuple[str, bytes, str]] = [
    ("/recommend", b'{"user_id": "user-1", "limit": 3, "explain": true}', "application/json"),
    ("/recommend/batch", b'{"requests": [{"user_id": "user-1"}, {}]}', "application/json"),
    ("/similar", b'{"item_id": "item-2"}', "application/json; charset=utf-8"),
    ("/recommend", b"{", "application/json"),
    ("/recommend", b'{"limit": 0}', "application/json"),
    ("/recommend", b"{}", "text/plain"),
    ("/recommend", b" " * 2000, "application/json"),
    ("/recommend/none", b"{}", "application/json"),
]


def without_times(response: httpx.Response) -> tuple[int, dict[str, str], Any]:
    """Status, headers and document, without what differs from one request to the next."""
    document = response.json()
    for part in (document, *document.get("replies", ())):
        part.pop("took_ms", None)
    timing = response.headers.pop("server-timing", "")
    response.headers.pop("content-length", None)
    response.headers.pop("x-stamped", None)
    stages = ",".join(entry.split(";")[0] for entry in timing.split(", "))
    return response.status_code, {**response.headers, "stages": stages}, document


@pytest.mark.parametrize(("path", "body", "media_type"), REQUESTS)
async def test_both_ways_give_the_same_status_headers_and_document(
    store: Path, path: str, body: bytes, media_type: str
) -> None:
    answers = []
    for is_wrapped in (False, True):
        async with shop_api(store, is_wrapped=is_wrapped) as client:
            headers = {"content-type": media_type, "x-request-id": "the-same"}
            response = await client.post(path, content=body, headers=headers)
            assert ("x-stamped" in response.headers) is is_wrapped
            answers.append(without_times(response))
    assert answers[0] == answers[1]


async def test_both_ways_serve_the_same_openapi_document(store: Path) -> None:
    documents = []
    for is_wrapped in (False, True):
        async with shop_api(store, is_wrapped=is_wrapped) as client:
            documents.append((await client.get("/openapi.json")).json())
    assert documents[0] == documents[1]
