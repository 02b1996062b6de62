"""Everything that can go wrong while serving, and what each means over HTTP. One tree:

ServiceError
├── SettingsInvalid                 the process cannot start; the operator corrects a variable
├── RequestError                    the client corrects the request
│   ├── BodyMalformed               the body is not JSON
│   ├── RequestInvalid              the JSON is not a request; `errors` lists path and message
│   ├── BodyTooLarge                the body is longer than the service reads
│   ├── BodyTooSlow                 the body did not arrive in time
│   ├── MediaTypeUnsupported        the body is not declared as JSON
│   ├── EncodingUnsupported         the body is compressed
│   ├── ProtocolInvalid             what was sent is not HTTP/1.1
│   ├── HeadTooLarge                the head has more bytes or headers than the service reads
│   ├── HeadTooSlow                 the head did not arrive in time
│   ├── AddressBusy                 one address has more connections than allowed
│   ├── RouteUnknown                there is nothing at this path
│   ├── MethodNotAllowed            the path exists, with another method
│   ├── KeyReused                   an idempotency key came again with another body
│   ├── NotAuthorised               an operator's route, without a key that is known
│   ├── TargetUnknown               no such bundle version, experiment or arm
│   ├── ChangeRefused               an operator's change cannot be made in the present state
│   └── Overloaded                  more requests at work than allowed; the client comes back later
├── Unavailable                     the operator looks at the service; a client may retry
│   ├── ConnectionsExhausted        more connections than allowed, and none of them is idle
│   ├── NotReady                    requests should not be sent here: it drains, or the promoted bundle is refused
│   ├── SpoolUnavailable            events cannot be written to disk; none of the batch was accepted
│   ├── AdminClosed                 no admin key is configured
│   ├── AuditUnavailable            a change cannot be audited, so it is not made
│   └── NothingToServe              every tier failed
├── InternalFailure                 a fault of the code; a developer reads the log under the request id
└── StageFailed                     a stage of one request failed: the next tier answers, no client sees it
    ├── DeadlineExceeded            the stage overran its slice of the deadline
    ├── StudentFailed               the student raised or returned NaN
    ├── ScorerStopped               the scoring thread is gone
    ├── ScorerOverloaded            more requests wait for the scorer than allowed
    ├── VariantFailed               the ensemble or a member that an arm names is not loaded or raised
    ├── NoOpinion                   a member that an arm names scores nothing for this person
    ├── HistoryUnwritable           Redis does not let this one person's history be written; others are not touched
    └── RedisUnavailable            Redis is unreachable, slow, sends an invalid reply, or its circuit is open
        └── RedisTopologyUnsupported    the server is a node of a Cluster, or a Sentinel

`PROBLEMS` is the only place that knows HTTP status; a class missing from it fails a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple


class Fault(NamedTuple):
    """A fault in a request. path: such as `session[3].item_id`, "" for the whole body."""

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


class EncodingUnsupported(RequestError):
    """The body has a content coding, such as gzip; none is accepted."""

    headers = ((b"accept-encoding", b"identity"),)


class ProtocolInvalid(RequestError):
    """What was sent is not an HTTP/1.1 request, so nothing after it can be read either."""

    headers = ((b"connection", b"close"),)


class HeadTooLarge(RequestError):
    """The head is beyond STILLROOM_MAX_HEAD_BYTES or STILLROOM_MAX_HEADERS; it was not read to its end."""

    headers = ((b"connection", b"close"),)


class HeadTooSlow(RequestError):
    """The head did not arrive within STILLROOM_HEAD_TIMEOUT_SECONDS."""

    headers = ((b"connection", b"close"),)


class AddressBusy(RequestError):
    """STILLROOM_MAX_CONNECTIONS_PER_ADDRESS are open from this address, none of them idle."""

    headers = ((b"retry-after", b"1"), (b"connection", b"close"))


class RouteUnknown(RequestError):
    """No route has this path."""


class MethodNotAllowed(RequestError):
    """The route exists with another method."""


class KeyReused(RequestError):
    """The idempotency key of a batch was accepted with another body before; nothing of this batch was accepted."""


class Overloaded(RequestError):
    """As many requests, or bytes of their bodies, are at work as allowed. It is raised before any work is done."""

    headers = ((b"retry-after", b"1"),)


class NotAuthorised(RequestError):
    """The request has no key, or an unknown one."""

    headers = ((b"www-authenticate", b"Bearer"),)


class TargetUnknown(RequestError):
    """The target to be changed or shown does not exist."""


class ChangeRefused(RequestError):
    """The change cannot be made in the present state; the text says why. Nothing was changed."""


class Unavailable(ServiceError):
    """Nothing can be served at the moment."""

    headers: tuple[tuple[bytes, bytes], ...] = ((b"retry-after", b"1"),)


class ConnectionsExhausted(Unavailable):
    """STILLROOM_MAX_CONNECTIONS are open, none of them idle."""

    headers = ((b"retry-after", b"1"), (b"connection", b"close"))


class NotReady(Unavailable):
    """The service is shutting down, or has no bundle: requests are answered all the same, without a model."""


class SpoolUnavailable(Unavailable):
    """The disk of the spool is full, fails, or the spool is at its bound. Nothing of the batch was accepted."""


class AdminClosed(Unavailable):
    """No admin key is known, so nobody may change anything."""


class AuditUnavailable(Unavailable):
    """The change cannot be audited, so it was not made."""


class NothingToServe(Unavailable):
    """The student and every tier below it failed."""


class InternalFailure(ServiceError):
    """Stands for an unexpected exception; carries no detail of it."""


class StageFailed(ServiceError):
    """A stage of one request failed. reason: the value of `degraded`."""

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


class VariantFailed(StageFailed):
    """The ensemble or member that an arm names is not loaded, or raised."""

    reason = "variant_failed"


class NoOpinion(StageFailed):
    """The member that an arm names has no score of any item for this person."""

    reason = "no_opinion"


class HistoryUnwritable(StageFailed):
    """Redis refuses to write this one person's history because of its key's value, which an operator corrects."""

    reason = "history_unwritable"


class RedisUnavailable(StageFailed):
    """Redis refused, timed out, sent a reply that does not fit, or is not asked at the moment."""

    reason = "redis_unavailable"


class RedisTopologyUnsupported(RedisUnavailable):
    """A Cluster or Sentinel answers, which is not supported. The operator names another server."""


class Problem(NamedTuple):
    """An error class in HTTP."""

    status: int
    kind: str
    title: str


_NOT_SERVED = Problem(503, "unavailable", "Nothing can be served at the moment")
_BROKEN = Problem(500, "internal", "The service failed")

PROBLEMS: dict[type[ServiceError], Problem] = {
    ServiceError: _BROKEN,
    SettingsInvalid: _BROKEN,
    RequestError: Problem(400, "request", "The request cannot be served"),
    ProtocolInvalid: Problem(400, "protocol-invalid", "This is not HTTP/1.1"),
    HeadTooLarge: Problem(431, "head-too-large", "The head of the request is too large"),
    HeadTooSlow: Problem(408, "head-too-slow", "The head of the request did not arrive in time"),
    BodyMalformed: Problem(400, "body-malformed", "The body is not JSON"),
    RequestInvalid: Problem(422, "request-invalid", "The request is not valid"),
    BodyTooLarge: Problem(413, "body-too-large", "The body is too large"),
    BodyTooSlow: Problem(408, "body-too-slow", "The body did not arrive in time"),
    EncodingUnsupported: Problem(415, "encoding-unsupported", "The body must not be compressed"),
    MediaTypeUnsupported: Problem(415, "media-type-unsupported", "The body must be application/json"),
    RouteUnknown: Problem(404, "route-unknown", "There is nothing at this path"),
    MethodNotAllowed: Problem(405, "method-not-allowed", "The method is not allowed at this path"),
    KeyReused: Problem(409, "key-reused", "The key was used for another batch"),
    AddressBusy: Problem(429, "address-busy", "Too many connections from one address"),
    Overloaded: Problem(429, "overloaded", "Too many requests at once"),
    NotAuthorised: Problem(401, "not-authorised", "A key is needed"),
    TargetUnknown: Problem(404, "target-unknown", "The target does not exist"),
    ChangeRefused: Problem(409, "change-refused", "The change cannot be made now"),
    AdminClosed: Problem(503, "admin-closed", "No admin key is configured"),
    AuditUnavailable: Problem(503, "audit-unavailable", "The change cannot be audited"),
    Unavailable: _NOT_SERVED,
    ConnectionsExhausted: Problem(503, "connections-exhausted", "Too many connections at once"),
    NotReady: Problem(503, "not-ready", "The service is not ready"),
    SpoolUnavailable: Problem(503, "spool-unavailable", "Events cannot be accepted at the moment"),
    NothingToServe: _NOT_SERVED,
    InternalFailure: _BROKEN,
    StageFailed: _NOT_SERVED,
    DeadlineExceeded: _NOT_SERVED,
    StudentFailed: _NOT_SERVED,
    ScorerStopped: _NOT_SERVED,
    ScorerOverloaded: _NOT_SERVED,
    VariantFailed: _NOT_SERVED,
    NoOpinion: _NOT_SERVED,
    HistoryUnwritable: _NOT_SERVED,
    RedisUnavailable: _NOT_SERVED,
    RedisTopologyUnsupported: _NOT_SERVED,
}
