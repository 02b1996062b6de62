"""Every bad request gets a problem document that says what was wrong, the value, the limit, the remedy."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from time import time
from typing import Any

import httpx
import pytest

from tests.support.service import Running


async def refused(
    service: Running, asked: Any, status: int, path: str = "/recommend", **options: Any
) -> dict[str, Any]:
    """Send a body (bytes as they are, anything else as JSON) that must be refused with this status."""
    body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    options.setdefault("headers", {"content-type": "application/json"})
    return problem(await service.client.post(path, content=body, **options), status)


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """Check the form of a problem document and return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == status
    assert document["type"].startswith("urn:stillroom:problem:")
    assert document["request_id"] == response.headers.get("x-request-id", document["request_id"])
    assert document["title"]
    assert document["detail"]
    return document


async def fault_of(service: Running, asked: Any, path: str = "/recommend") -> tuple[str, str]:
    """The one fault of a request that must be refused with 422: path and message."""
    [fault] = (await refused(service, asked, 422, path))["errors"]
    return fault["path"], fault["message"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"limit": 1} x', b"\xff\xfe", b'{"user_id": "\xff"}', b"nonsense"]
)
async def test_malformed_json_is_refused(service: Running, body: bytes) -> None:
    assert (await refused(service, body, 400))["type"].endswith("body-malformed")


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
async def test_numbers_that_are_not_json_are_refused(service: Running, number: bytes) -> None:
    await refused(service, b'{"diversity": ' + number + b"}", 400)


async def test_number_beyond_float_is_refused(service: Running) -> None:
    [fault] = (await refused(service, b'{"diversity": 1e400}', 422))["errors"]
    assert fault["path"] == "diversity"


async def test_deeply_nested_json_is_refused(service: Running) -> None:
    await refused(service, b'{"session":' + b"[" * 100_000, 422)
    await refused(service, b'{"x":' + b"[" * 100_000, 422)


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ([], ""),
        ("text", ""),
        ({"user_id": 7.5}, "user_id"),
        ({"user_id": True}, "user_id"),
        ({"user_id": [7]}, "user_id"),
        ({"limit": "10"}, "limit"),
        ({"limit": 1.5}, "limit"),
        ({"limit": True}, "limit"),
        ({"limit": None}, "limit"),
        ({"session": {}}, "session"),
        ({"session": [{"item_id": "a"}, 3]}, "session[1]"),
        ({"session": [{}]}, "session[0].item_id"),
        ({"session": [{"item_id": "a", "kind": "stare"}]}, "session[0].kind"),
        ({"session": [{"item_id": "a", "time": "now"}]}, "session[0].time"),
        ({"exclude_items": ["a", 1.5]}, "exclude_items[1]"),
        ({"placement": 7}, "placement"),
        ({"exclude_seen": "yes"}, "exclude_seen"),
        ({"known_items": "all"}, "known_items"),
        ({"known_items": True}, "known_items"),
        ({"session": [{"item_id": "a", "value": "good"}]}, "session[0].value"),
        ({"filter": []}, "filter"),
        ({"filter": {"min_price": -1}}, "filter.min_price"),
        ({"explain": 1}, "explain"),
    ],
)
async def test_wrong_types_are_refused_with_their_path(service: Running, asked: Any, path: str) -> None:
    assert (await fault_of(service, asked))[0] == path


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ({"user": "x"}, "user"),
        ({"session": [{"item_id": "a", "price": 3}]}, "session[0].price"),
        ({"filter": {"colour": "red"}}, "filter.colour"),
    ],
)
async def test_unknown_fields_are_refused_with_their_path(service: Running, asked: Any, path: str) -> None:
    found, message = await fault_of(service, asked)
    assert found == path
    assert "not a field" in message


@pytest.mark.parametrize("limit", [0, -1, 101, 10**9, 10**30])
async def test_limit_out_of_bounds_is_refused(service: Running, limit: int) -> None:
    path, message = await fault_of(service, {"limit": limit})
    assert path == "limit"
    assert ("100" if limit > 0 else "1") in message
    assert str(limit)[:20] in message


async def test_limit_in_exponent_notation_is_refused(service: Running) -> None:
    await refused(service, b'{"limit": 1e9}', 422)


@pytest.mark.parametrize("diversity", [-0.1, 1.1])
async def test_diversity_out_of_bounds_is_refused(service: Running, diversity: float) -> None:
    assert (await fault_of(service, {"diversity": diversity}))[0] == "diversity"


@pytest.mark.parametrize("deadline_ms", [0, -5, 1001])
async def test_deadline_out_of_bounds_is_refused(service: Running, deadline_ms: int) -> None:
    assert (await fault_of(service, {"deadline_ms": deadline_ms}))[0] == "deadline_ms"


async def test_deadline_of_one_millisecond_is_answered(service: Running) -> None:
    answer = await service.recommend(user_id="user-1", deadline_ms=1)
    assert len(answer["items"]) == 10
    assert answer["degraded"] == "deadline"


async def test_ten_thousand_session_events_are_refused(service: Running) -> None:
    path, message = await fault_of(service, {"session": [{"item_id": "item-1"}] * 10_000})
    assert path == "session"
    assert "100" in message
    assert "10,000" in message


@pytest.mark.parametrize("field", ["user_id", "placement"])
async def test_text_of_ten_thousand_characters_is_refused_and_not_echoed(
    service: Running, field: str
) -> None:
    path, message = await fault_of(service, {field: "x" * 10_000})
    assert path == field
    assert "10,000 characters" in message
    assert len(message) < 250


@pytest.mark.parametrize("bad", ["", "a\x00b", "line\n", "tab\tbed", "x" * 257, "\x7f"])
async def test_ids_that_are_empty_long_or_hold_control_characters_are_refused(
    service: Running, bad: str
) -> None:
    assert (await fault_of(service, {"user_id": bad}))[0] == "user_id"
    session = [{"item_id": "fine"}, {"item_id": bad}]
    assert (await fault_of(service, {"session": session}))[0] == "session[1].item_id"
    assert (await fault_of(service, {"exclude_items": [bad]}))[0] == "exclude_items[0]"
    assert (await fault_of(service, {"item_id": bad}, "/similar"))[0] == "item_id"


async def test_lone_surrogates_are_refused(service: Running) -> None:
    await refused(service, b'{"user_id": "\\ud800"}', 400)


async def test_too_many_excluded_items_are_refused(service: Running) -> None:
    assert (await fault_of(service, {"exclude_items": ["a"] * 501}))[0] == "exclude_items"


async def test_too_many_categories_are_refused(service: Running) -> None:
    path, _ = await fault_of(service, {"filter": {"categories": ["a"] * 51}})
    assert path == "filter.categories"


async def test_price_bounds_that_cross_are_refused(service: Running) -> None:
    path, message = await fault_of(service, {"filter": {"min_price": 5, "max_price": 4}})
    assert path == "filter.min_price"
    assert "max_price" in message


async def test_negative_time_is_refused(service: Running) -> None:
    path, _ = await fault_of(service, {"session": [{"item_id": "a", "time": -1}]})
    assert path == "session[0].time"


async def test_time_far_ahead_is_refused_and_milliseconds_are_suspected(service: Running) -> None:
    path, message = await fault_of(service, {"session": [{"item_id": "a", "time": int(time() * 1000)}]})
    assert path == "session[0].time"
    assert "milliseconds" in message


async def test_time_a_little_ahead_is_accepted(service: Running) -> None:
    session = [{"item_id": "item-1", "time": int(time()) + 3600}]
    assert (await service.recommend(session=session))["tier"] == "student"


async def test_batch_faults_carry_the_place_in_the_batch(service: Running) -> None:
    fine, soon = {"limit": 1}, int(time()) + 10**6
    for bad, path in (
        ({"limit": 0}, "requests[2].limit"),
        ({"filter": {"min_price": 2, "max_price": 1}}, "requests[2].filter.min_price"),
        ({"session": [{"item_id": "a", "time": soon}]}, "requests[2].session[0].time"),
    ):
        assert (await fault_of(service, {"requests": [fine, fine, bad]}, "/recommend/batch"))[0] == path


async def test_no_category_at_all_is_refused_with_the_remedy(service: Running) -> None:
    path, message = await fault_of(service, {"filter": {"categories": []}})
    assert path == "filter.categories"
    assert "leave it out to allow all" in message
    assert (await service.client.post("/recommend", json={"filter": {}})).status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "gzip, identity"])
@pytest.mark.parametrize("path", ["/recommend", "/recommend/batch", "/similar", "/events"])
async def test_compressed_bodies_are_refused_for_what_they_are(
    service: Running, path: str, encoding: str
) -> None:
    headers = {"content-type": "application/json", "content-encoding": encoding}
    response = await service.client.post(path, content=gzip.compress(b"{}"), headers=headers)
    document = problem(response, 415)
    assert document["type"].endswith("encoding-unsupported")
    assert encoding in document["detail"]
    assert response.headers["accept-encoding"] == "identity"


async def test_body_that_says_it_is_as_it_is_is_read(service: Running) -> None:
    headers = {"content-type": "application/json", "content-encoding": "Identity"}
    assert (await service.client.post("/recommend", content=b"{}", headers=headers)).status_code == 200


@pytest.mark.parametrize("n_requests", [0, 65])
async def test_batch_of_the_wrong_size_is_refused(service: Running, n_requests: int) -> None:
    path, _ = await fault_of(service, {"requests": [{}] * n_requests}, "/recommend/batch")
    assert path == "requests"


@pytest.mark.parametrize(
    "media_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/xml"]
)
async def test_other_media_types_are_refused(service: Running, media_type: str) -> None:
    document = await refused(service, {}, 415, headers={"content-type": media_type})
    assert "application/json" in document["detail"]


async def test_charset_parameter_is_accepted(service: Running) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert (await service.client.post("/recommend", content=b"{}", headers=headers)).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_wrong_method_is_refused_and_the_right_one_named(service: Running, method: str) -> None:
    response = await service.client.request(method, "/recommend")
    assert "POST" in problem(response, 405)["detail"]
    assert response.headers["allow"] == "POST"


async def test_unknown_path_is_a_problem_document(service: Running) -> None:
    problem(await service.client.get("/nothing/here"), 404)


async def test_declared_length_over_the_limit_is_refused_unread(service: Running) -> None:
    n_read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal n_read
        n_read += 1
        yield b" "

    headers = {"content-type": "application/json", "content-length": str(10 * 2**20)}
    response = await service.client.post("/recommend", content=body(), headers=headers)
    assert "1,048,576" in problem(response, 413)["detail"]
    assert response.headers["connection"] == "close"
    assert n_read == 0


async def test_undeclared_ten_megabytes_are_refused_before_the_end(service: Running) -> None:
    n_sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal n_sent
        for _ in range(160):
            n_sent += 1
            yield b" " * 65_536

    response = await service.client.post(
        "/recommend", content=pieces(), headers={"content-type": "application/json"}
    )
    problem(response, 413)
    assert n_sent < 20


async def test_nothing_that_was_refused_holds_a_permit(service: Running) -> None:
    await refused(service, b"{", 400)
    await refused(service, {"limit": 0}, 422)
    assert service.parts.permits.n_taken == 0


async def test_an_empty_body_is_called_empty(service: Running) -> None:
    assert (await refused(service, b"", 400))["detail"].startswith("The body is empty")


async def test_an_unknown_kind_gets_the_list_of_kinds(service: Running) -> None:
    path, message = await fault_of(service, {"session": [{"item_id": "item-1", "kind": "hover"}]})
    assert path == "session[0].kind"
    assert message == 'expected one of view, click, cart, purchase, rating, dislike; got "hover"'
