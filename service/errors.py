"""Everything that can go wrong while serving, and what each means over HTTP. One tree:

ServiceError
├── SettingsInvalid                 the process cannot start; the operator corrects a variable
├── RequestError                    the client corrects the request
│   ├── BodyMalformed               the body is not JSON
│   ├── RequestInvalid              the JSON is not a request; `errors` lists path and message
│   ├── BodyTooLarge                the body is longer than the service reads
│   ├── BodyTooSlow                 the body did not arrive in time
│   ├── MediaTypeUnsupported        the body is not declared as JSON
│   ├── RouteUnknown                there is nothing at this path
│   ├── MethodNotAllowed            the path exists, with another method
│   └── Overloaded                  more requests at work than allowed; the client comes back later
├── Unavailable                     the operator looks at the service; a client may retry
│   ├── NotReady                    no bundle is loaded and verified yet, or the service is draining
│   └── NothingToServe              every tier failed
├── InternalFailure                 a fault of the code; a developer reads the log under the request id
└── StageFailed                     a stage of one request failed: the next tier answers, no client sees it
    ├── DeadlineExceeded            the stage overran its slice of the deadline
    ├── StudentFailed               the student raised or returned NaN
    ├── ScorerStopped               the scoring thread is gone
    ├── ScorerOverloaded            more requests wait for the scorer than allowed
    └── RedisUnavailable            Redis is away, slow, or its circuit is open

`PROBLEMS` is the only place that knows HTTP status; a class missing from it fails a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple


class Fault(NamedTuple):
    """One thing that is wrong with a request. path: as in `session[3].item_id`, "" for the whole body."""

    path: str
    message: str


class ServiceError(Exception):
    """Root of every error that `service` raises on purpose. The text is the problem's `detail`."""

    headers: tuple[tuple[bytes, bytes], ...] = ()


class SettingsInvalid(ServiceError):
    """A variable of the environment is out of its bounds. Raised before anything is started."""


class RequestError(ServiceError):
    """The client can correct this; the text tells how."""


class BodyMalformed(RequestError):
    """The body is not JSON in UTF-8; NaN and Infinity are not JSON either."""


class RequestInvalid(RequestError):
    """The body is JSON but breaks the schema or a rule between fields."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{path or 'body'}: {message}" for path, message in faults))
        self.faults = tuple(faults)


class BodyTooLarge(RequestError):
    """The body is longer than STILLROOM_MAX_BODY_BYTES; it was not read to its end."""

    headers = ((b"connection", b"close"),)


class BodyTooSlow(RequestError):
    """The body did not arrive within STILLROOM_BODY_TIMEOUT_SECONDS."""

    headers = ((b"connection", b"close"),)


class MediaTypeUnsupported(RequestError):
    """The content type is not application/json."""


class RouteUnknown(RequestError):
    """No route has this path."""


class MethodNotAllowed(RequestError):
    """The route exists with another method."""


class Overloaded(RequestError):
    """STILLROOM_MAX_IN_FLIGHT requests are at work. Refused before any work was done."""

    headers = ((b"retry-after", b"1"),)


class Unavailable(ServiceError):
    """Nothing can be served at the moment."""

    headers = ((b"retry-after", b"1"),)


class NotReady(Unavailable):
    """The bundle is being loaded and verified, was refused, or the service is shutting down."""


class NothingToServe(Unavailable):
    """The student and every tier below it failed."""


class InternalFailure(ServiceError):
    """Stands for an exception that nobody expected; carries no detail of it."""


class StageFailed(ServiceError):
    """A stage of one request failed. reason: what `degraded` says."""

    reason: ClassVar[str] = "stage_failed"


class DeadlineExceeded(StageFailed):
    """The stage was still waiting when its slice of the deadline was over."""

    reason = "deadline"


class StudentFailed(StageFailed):
    """The student raised, or scored with NaN."""

    reason = "student_failed"


class ScorerStopped(StudentFailed):
    """The scoring thread ended; readiness fails until the process is replaced."""


class ScorerOverloaded(StageFailed):
    """STILLROOM_MAX_WAITING requests wait for the scorer already."""

    reason = "overloaded"


class RedisUnavailable(StageFailed):
    """Redis refused, timed out, or is not asked at the moment."""

    reason = "redis_unavailable"


class Problem(NamedTuple):
    """What an error class is over HTTP."""

    status: int
    kind: str
    title: str


_NOT_SERVED = Problem(503, "unavailable", "Nothing can be served at the moment")
_BROKEN = Problem(500, "internal", "The service failed")

PROBLEMS: dict[type[ServiceError], Problem] = {
    ServiceError: _BROKEN,
    SettingsInvalid: _BROKEN,
    RequestError: Problem(400, "request", "The request cannot be served"),
    BodyMalformed: Problem(400, "body-malformed", "The body is not JSON"),
    RequestInvalid: Problem(422, "request-invalid", "The request is not valid"),
    BodyTooLarge: Problem(413, "body-too-large", "The body is too large"),
    BodyTooSlow: Problem(408, "body-too-slow", "The body did not arrive in time"),
    MediaTypeUnsupported: Problem(415, "media-type-unsupported", "The body must be application/json"),
    RouteUnknown: Problem(404, "route-unknown", "There is nothing at this path"),
    MethodNotAllowed: Problem(405, "method-not-allowed", "The method is not allowed at this path"),
    Overloaded: Problem(429, "overloaded", "Too many requests at once"),
    Unavailable: _NOT_SERVED,
    NotReady: Problem(503, "not-ready", "The service is not ready"),
    NothingToServe: _NOT_SERVED,
    InternalFailure: _BROKEN,
    StageFailed: _NOT_SERVED,
    DeadlineExceeded: _NOT_SERVED,
    StudentFailed: _NOT_SERVED,
    ScorerStopped: _NOT_SERVED,
    ScorerOverloaded: _NOT_SERVED,
    RedisUnavailable: _NOT_SERVED,
}
