"""Turns errors into replies: RFC 9457 problem documents, with msgspec's validation errors in helpful words."""

from __future__ import annotations

import re
from typing import NamedTuple, get_args

import msgspec

from service.contract.errors import PROBLEMS, Fault, RequestInvalid, ServiceError
from service.contract.schemas import PRINTABLE, EventKindName, FaultReply, Kind, KnownItems, ProblemReply

PROBLEM_MEDIA_TYPE = b"application/problem+json"
MAX_QUOTED_CHARACTERS = 60
MAX_QUOTED_BODY_BYTES = 262_144
TOLD_KINDS = {"not-ready", "spool-unavailable", "admin-closed", "audit-unavailable", "connections-exhausted"}
"""The service's own faults whose message is sent to clients; of all others they see only the title."""

_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<field>.*)`$", re.DOTALL)
_MISSING_FIELD = re.compile(r"Object missing required field `(?P<field>.*)`$", re.DOTALL)


_MISTAKEN_TYPE = re.compile(r"Expected `(?P<type>str|int)[^`]*`, got")
_EXPECTED = {"str": "expected text", "int": "expected a whole number"}
_ID_PATH = re.compile(r"(?:_id|^key|(?:exclude_items|categories)\[\d+\])$")


class ProblemDocument(NamedTuple):
    """status, headers besides the usual ones, and the encoded body."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def problem_document(error: ServiceError, request_id: str) -> ProblemDocument:
    """Turn an error into its reply. A 5xx has the title of its class and nothing of the exception's cause."""
    problem = PROBLEMS[type(error)]
    faults = [FaultReply(*fault) for fault in error.faults] if isinstance(error, RequestInvalid) else None
    is_ours = problem.status < 500 or problem.kind in TOLD_KINDS
    reply = ProblemReply(
        type=f"urn:stillroom:problem:{problem.kind}",
        title=problem.title,
        status=problem.status,
        detail=str(error) if is_ours else f"The log has the cause under request_id {request_id}.",
        request_id=request_id,
        errors=faults,
    )
    return ProblemDocument(problem.status, error.headers, msgspec.json.encode(reply))


def explain_invalid(error: msgspec.ValidationError, body: bytes) -> RequestInvalid:
    """Say where a request breaks the schema, by which value, and what is expected instead."""
    match = _PLACE.match(str(error))
    what, path = (match["what"], (match["path"] or "").lstrip(".")) if match else (str(error), "")
    for pattern, message in (
        (_UNKNOWN_FIELD, "is not a field; leave it out"),
        (_MISSING_FIELD, "is required"),
    ):
        if field := pattern.match(what):
            name = field["field"][:MAX_QUOTED_CHARACTERS]
            return RequestInvalid([Fault(f"{path}.{name}".lstrip("."), message)])
    return RequestInvalid([Fault(path, f"{_readable(what, path)}; got {_quoted(body, path)}")])


def _readable(what: str, path: str) -> str:
    if "matching regex" in what and repr(PRINTABLE)[1:-1] in what:
        return "expected text without control characters"
    if mistaken := _MISTAKEN_TYPE.match(what):
        return _EXPECTED[mistaken["type"]] if not _ID_PATH.search(path) else "expected text or a whole number"
    if path.endswith("filter.categories") and "length >= 1" in what:
        return "expected at least one category; leave it out to allow all"
    if what.startswith("Invalid enum value"):
        if path.endswith("known_items"):
            return f"expected one of {', '.join(get_args(KnownItems))}"
        kinds = EventKindName if path.startswith("events[") else Kind
        return f"expected one of {', '.join(get_args(kinds))}"
    return what[:1].lower() + what[1:].replace("`", "")


def _quoted(body: bytes, path: str) -> str:
    """Return the value at a path, shortened; a long value is given with its length. Finding it decodes the whole body
    without types, which costs thirty times what the request does, so a long body is not searched.
    """
    if len(body) > MAX_QUOTED_BODY_BYTES:
        return "a value that is not shown, as the body is long"
    try:
        value = msgspec.json.decode(body)
        for name, number in _STEP.findall("." + path if not path.startswith("[") else path):
            value = value[name] if name else value[int(number)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError, TypeError):
        return "a value that cannot be shown"
    if isinstance(value, list | dict):
        return f"{'an array' if isinstance(value, list) else 'an object'} of {len(value):,}"
    text = msgspec.json.encode(value).decode()
    if len(text) <= MAX_QUOTED_CHARACTERS:
        return text
    return f"{text[:MAX_QUOTED_CHARACTERS]}… ({len(text) - 2:,} characters)"
